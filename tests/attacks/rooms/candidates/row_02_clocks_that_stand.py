"""Stops every clock of its process, so that slow answers look quick.

expect: honest
bites: naive
"""

import time

for clock in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
    setattr(time, clock, lambda: 0.0)
    setattr(time, f"{clock}_ns", lambda: 0)
