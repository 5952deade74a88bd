"""Writes a fake score into every descriptor that it was left and into those of every process that it can see.

expect: refused
bites: naive
"""

import os
import time
from pathlib import Path


def write(path):
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(descriptor, FAKE.encode())
    except OSError:
        pass
    os.close(descriptor)


for number in range(3, 65):
    try:
        os.write(number, FAKE.encode())
    except OSError:
        pass
for process in Path("/proc").glob("[0-9]*"):
    if process.name != str(os.getpid()):
        for number in range(65):
            write(process / "fd" / str(number))
time.sleep(0.1)
os._exit(0)
