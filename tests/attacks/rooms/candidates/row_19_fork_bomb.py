"""Starts as many processes as it is let, each of which does the same.

expect: refused
seconds: 3
"""

import os

try:
    while True:
        os.fork()
except OSError:
    os._exit(3)
