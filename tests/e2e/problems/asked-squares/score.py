"""Asks for the squares of 1 to 60 in an order that depends on the seed, and counts the right answers."""

import os
import random
import socket
import sys
import time

if "AR_HIDDEN" in os.environ:
    with open(os.environ["AR_HIDDEN"] + "/word.txt") as file:
        print(file.read(), file=sys.stderr)
until = time.monotonic() + 5
while True:
    asking = socket.socket(socket.AF_UNIX)
    asking.settimeout(3)
    try:
        asking.connect(os.environ["AR_SOCKET"])
        break
    except OSError:
        asking.close()
        if time.monotonic() > until:
            sys.exit("invalid: nobody listens")
        time.sleep(0.01)
numbers = list(range(1, 61))
random.Random(int(os.environ["AR_SEED"])).shuffle(numbers)
right = 0
for number in numbers:
    asking.sendall(b"%d\n" % number)
    said = b""
    while not said.endswith(b"\n"):
        chunk = asking.recv(16)
        if not chunk or len(said) > 16:
            sys.exit("invalid: that is no answer")
        said += chunk
    right += said == b"%d\n" % number**2
print(f"METRIC right={right}")
