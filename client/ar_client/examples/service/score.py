"""Ask the service, one request at a time, and count the misses of a cache that this scorer keeps itself.

An answer is only a number: whatever else comes back, too much of it, or nothing in time, ends with an error, which
makes the candidate invalid. The next request is sent when the last one is answered, so that no policy can look ahead.
"""

import json
import os
import random
import socket
import sys
import time
from pathlib import Path

SIZE, PAGES, REQUESTS = 16, 200, 2000
LONGEST = 8


def connect() -> socket.socket:
    """Connect to the candidate; between making its socket and listening it refuses, so try for five seconds."""
    until = time.monotonic() + 5
    while True:
        asking = socket.socket(socket.AF_UNIX)
        asking.settimeout(2)
        try:
            asking.connect(os.environ["AR_SOCKET"])
        except OSError:
            asking.close()
            if time.monotonic() > until:
                sys.exit("invalid: nobody listens at $AR_SOCKET")
            time.sleep(0.01)
        else:
            return asking


def requests(seed: int) -> list[int]:
    """Return one sequence: popular pages that change now and then, and scans that read many pages once."""
    draw = random.Random(seed)
    popular = draw.sample(range(PAGES), 24)
    sequence: list[int] = []
    while len(sequence) < REQUESTS:
        if draw.random() < 0.004:
            start = draw.randrange(PAGES)
            sequence += [(start + step) % PAGES for step in range(40)]
        elif draw.random() < 0.02:
            popular[draw.randrange(len(popular))] = draw.randrange(PAGES)
        else:
            sequence.append(popular[min(int(draw.expovariate(0.12)), len(popular) - 1)])
    return sequence[:REQUESTS]


def answer(asking: socket.socket) -> str:
    """Return the next line, or end with what is wrong with it."""
    line = b""
    while not line.endswith(b"\n"):
        try:
            chunk = asking.recv(LONGEST)
        except TimeoutError:
            sys.exit("invalid: no answer within 2 seconds")
        except OSError:
            chunk = b""
        line += chunk
        if not chunk or len(line) > LONGEST:
            sys.exit("invalid: the connection ended" if not chunk else "invalid: an answer is too long")
    return line[:-1].decode("ascii", "replace")


def misses(sequence: list[int]) -> int:
    """Return how many requests of a sequence were not in the cache."""
    missed, cached = 0, set[int]()
    with connect() as asking:
        for page in sequence:
            try:
                asking.sendall(b"%d\n" % page)
            except OSError:
                sys.exit("invalid: the connection ended")
            said = answer(asking)
            if page in cached or len(cached) < SIZE:
                missed += page not in cached
                cached.add(page)
                if said != "-":
                    sys.exit("invalid: a page leaves although there is room")
                continue
            if not (said.isdecimal() and int(said) in cached):
                sys.exit("invalid: what should leave is not in the cache")
            missed += 1
            cached.remove(int(said))
            cached.add(page)
    return missed


hidden = os.environ.get("AR_HIDDEN")
first = int((Path(hidden) / "seed.txt").read_text()) if hidden else 1
total = sum(misses(requests(first + number)) for number in range(3))
print(json.dumps({"misses": 100 * total / (3 * REQUESTS)}))
