"""Fills memory from several processes, none of which uses much itself.

expect: refused
outcomes: out_of_memory
"""

import os
import time

for _ in range(8):
    if os.fork() == 0:
        block = bytearray(b"x") * (48 << 20)
        time.sleep(60)
time.sleep(60)
