"""A donated machine: ``ar-worker`` takes leases from a pool, tries candidates in rooms, and reports what it tried.

Not here: making rooms (``ar_sandbox``), proposing (``ar_search``), and believing any of its numbers, which nobody does.
"""
