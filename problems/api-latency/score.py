"""Asks a handler questions that nobody saw before, checks each answer, and measures how long it took.

Nothing of the candidate runs here. What it says are lines of bounded length; a wrong answer, silence, a word too many
or a closed connection end the measurement without a score. The clock is this process's own, and it stops after an
answer was checked. The questions, and the order of the days, come from the secret seed, so that nothing can be
prepared but the readings.
"""

import json
import math
import os
import random
import re
import socket
import sys
import time
from pathlib import Path
from statistics import fmean, median

QUESTIONS = 400
WARM_UP = 20
"""Questions at the beginning, which fill caches and are not counted."""
LONGEST_LINE = 64
SILENCE = 2.0
PREPARING = 5.0
PATIENCE = 5.0
NUMBER = re.compile(rb"-?[0-9]{1,18}", re.ASCII)


class InvalidError(Exception):
    """What the candidate did wrong, as one sentence for whoever tries next."""


def connect(path: str) -> socket.socket:
    """Connect to the candidate, which may not listen yet although its socket is there."""
    until = time.monotonic() + PATIENCE
    while True:
        asking = socket.socket(socket.AF_UNIX)
        asking.settimeout(PREPARING)
        try:
            asking.connect(path)
        except OSError:
            asking.close()
            if time.monotonic() > until:
                raise InvalidError("nobody listens at $AR_SOCKET") from None
            time.sleep(0.01)
        else:
            return asking


def ask(connection: socket.socket, line: bytes) -> bytes:
    """Send a line and return the one that is the answer: nothing before it was asked, and nothing after it."""
    try:
        connection.sendall(line)
        said = connection.recv(LONGEST_LINE)
        while said and not said.endswith(b"\n") and len(said) < LONGEST_LINE:
            said += connection.recv(LONGEST_LINE)
    except TimeoutError:
        raise InvalidError("no answer came in time") from None
    except OSError:
        said = b""
    if not said:
        raise InvalidError("the connection was closed")
    if not said.endswith(b"\n") or said.count(b"\n") != 1:
        raise InvalidError("an answer is not one short line")
    return said[:-1]


def questions(readings: list[int], rng: random.Random) -> list[tuple[bytes, int]]:
    """Return questions with their answers: half totals, three in ten peaks, the rest counts."""
    sums = [0]
    for reading in readings:
        sums.append(sums[-1] + reading)
    made = []
    for number in range(WARM_UP + QUESTIONS):
        start, end = sorted(rng.sample(range(len(readings) + 1), 2))
        if number % 10 < 5:
            made.append((b"total %d %d\n" % (start, end), sums[end] - sums[start]))
        elif number % 10 < 8:
            made.append((b"peak %d %d\n" % (start, end), max(readings[start:end])))
        else:
            limit = rng.choice(readings) + rng.randint(-3, 3)
            made.append((b"above %d\n" % limit, sum(reading > limit for reading in readings)))
    rng.shuffle(made)
    return made


def measure(connection: socket.socket, asked: list[tuple[bytes, int]]) -> dict[str, list[float]]:
    """Return the milliseconds of each question that counts, by its first word."""
    times: dict[str, list[float]] = {"total": [], "peak": [], "above": []}
    for number, (line, expected) in enumerate(asked):
        begun = time.perf_counter_ns()
        said = ask(connection, line)
        if NUMBER.fullmatch(said) is None or int(said) != expected:
            raise InvalidError("an answer is wrong")
        ended = time.perf_counter_ns()
        if number >= WARM_UP:
            times[line.split()[0].decode()].append((ended - begun) / 1e6)
    return times


def main() -> None:
    """Print the mean over the three kinds of question of their median time, and the slowest in a hundred."""
    folder = os.environ.get("AR_HIDDEN", "data")
    days = json.loads((Path(folder) / "readings.json").read_text("utf-8"))
    rng = random.Random(int(os.environ["AR_SEED"]))
    rng.shuffle(days)
    readings = [reading for day in days for reading in day]
    asked = questions(readings, rng)
    with connect(os.environ["AR_SOCKET"]) as connection:
        if ask(connection, b" ".join(b"%d" % reading for reading in readings) + b"\n") != b"ready":
            raise InvalidError("the readings were not answered with ready")
        connection.settimeout(SILENCE)
        times = measure(connection, asked)
    everything = sorted(time for kind in times.values() for time in kind)
    p99 = everything[math.ceil(0.99 * len(everything)) - 1]
    print(json.dumps({"latency_ms": fmean(map(median, times.values())), "p99_ms": p99}))


if __name__ == "__main__":
    try:
        main()
    except InvalidError as error:
        sys.exit(f"invalid: {error}")
