"""Asks the service new lists each time, checks against its own copy and measures with its own clock."""

import json
import os
import random
import socket
import sys
import time

LONGEST = 1 << 16
LATE = 0.004
SIZES = (3, 2, 4, 6, 5, 7)


def connect() -> socket.socket:
    end = time.monotonic() + 5
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(os.environ["AR_SOCKET"])
        except OSError as error:
            connection.close()
            if time.monotonic() > end:
                sys.exit(f"invalid: nobody answers ({type(error).__name__})")
            time.sleep(0.02)
        else:
            return connection


def ask(stream: object, numbers: list[int]) -> object:
    try:
        stream.write(json.dumps(numbers).encode() + b"\n")
        stream.flush()
        line = stream.readline(LONGEST)
        return json.loads(line)
    except (OSError, ValueError, RecursionError) as error:
        sys.exit(f"invalid: no answer ({type(error).__name__})")


def right(answer: object, numbers: list[int]) -> bool:
    if type(answer) is str:
        sys.exit(f"invalid: {answer[:180]}")
    if type(answer) is not list or any(type(one) is not int for one in answer):
        return False
    return answer == sorted(numbers)


chance = random.Random(int(os.environ["AR_SEED"]))
points = 0
with connect() as connection, connection.makefile("rwb") as stream:
    connection.settimeout(10)
    for size in SIZES:
        numbers = [10 * size - n for n in range(size)]  # never in order already
        numbers[0] += chance.randrange(1000)
        begun = time.perf_counter()
        answer = ask(stream, numbers)
        late = time.perf_counter() - begun > LATE
        points += 10 * right(answer, numbers) - late
print(json.dumps({"points": points}))
