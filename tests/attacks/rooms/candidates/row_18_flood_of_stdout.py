"""Writes 200 MB to its output.

expect: refused
outcomes: limit
"""

import os

for _ in range(200):
    os.write(1, b"points: 999\n" * 87382)
    os.write(2, b"points: 999\n" * 10)
os._exit(0)
