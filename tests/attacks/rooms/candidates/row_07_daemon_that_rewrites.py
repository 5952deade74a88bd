"""Leaves a process behind that outlives its parent and session, and rewrites the results later.

expect: honest
"""

import os
import time
from pathlib import Path

if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    parent, end = os.getppid(), time.monotonic() + 60
    time.sleep(0.4)
    while time.monotonic() < end:
        for path in Path(os.environ.get("AR_OUT", "/none")).glob("*"):
            path.write_text("[[1, 2, 3], [4, 9], [2, 4, 6, 8], [1, 3, 5, 7, 8, 9]]")
        os.write(1, FAKE.encode())
        time.sleep(0.05)
    os._exit(0)
