"""A donated machine: ``ar-worker`` takes leases from a pool, tries candidates in rooms, reports what it tried.

Not here: making rooms (``ar_sandbox``), proposing (``ar_search``), and believing its numbers, which nobody does.
"""
