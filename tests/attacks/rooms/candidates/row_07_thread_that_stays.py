"""Starts a thread that never ends, so that its process does not either, and prints scores for ever.

expect: fair
seconds: 1
"""

import sys
import threading
import time


def talk():
    while True:
        print(FAKE, file=sys.stderr, flush=True)
        time.sleep(0.05)


threading.Thread(target=talk).start()
