"""Leaves processes behind that keep the processor busy, to slow down whatever is measured next.

expect: honest
"""

import os

for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        while True:
            pass
