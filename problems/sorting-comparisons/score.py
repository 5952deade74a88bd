"""Counts how many comparisons a sorting service asks for; only this scorer knows the lists.

Nothing of the candidate runs here. Its words are lines of bounded length in one of two forms; anything else, a wrong
order, too many questions, silence or a closed connection end the measurement without a score.
"""

import json
import os
import re
import socket
import sys
import time
from pathlib import Path

MAX_QUESTIONS = 4000
LONGEST_LINE = 1024
SILENCE = 2.0
PATIENCE = 5.0
QUESTION = re.compile(rb"([0-9]{1,4}) ([0-9]{1,4})", re.ASCII)
RESULT = re.compile(rb"=( [0-9]{1,4})*", re.ASCII)


class InvalidError(Exception):
    """What the candidate did wrong, as one sentence for whoever tries next."""


def connect(path: str) -> socket.socket:
    """Connect to the candidate, which may not listen yet although its socket is there."""
    until = time.monotonic() + PATIENCE
    while True:
        asking = socket.socket(socket.AF_UNIX)
        asking.settimeout(SILENCE)
        try:
            asking.connect(path)
        except OSError:
            asking.close()
            if time.monotonic() > until:
                raise InvalidError("nobody listens at $AR_SOCKET") from None
            time.sleep(0.01)
        else:
            return asking


class Lines:
    """The lines that come over a connection, none longer than `LONGEST_LINE`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def send(self, line: bytes) -> None:
        try:
            self._connection.sendall(line)
        except OSError:
            raise InvalidError("the connection was closed") from None

    def next(self) -> bytes:
        while b"\n" not in self._rest:
            if len(self._rest) > LONGEST_LINE:
                raise InvalidError("a line is too long")
            try:
                more = self._connection.recv(LONGEST_LINE)
            except TimeoutError:
                raise InvalidError(f"nothing was said for {SILENCE:g} seconds") from None
            except OSError:
                more = b""
            if not more:
                raise InvalidError("the connection was closed")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def questions(values: list[int], lines: Lines) -> int:
    """Have one list sorted; return how many questions that took."""
    count = len(values)
    lines.send(b"%d\n" % count)
    for asked in range(MAX_QUESTIONS + 1):
        line = lines.next()
        question = QUESTION.fullmatch(line)
        if question is None:
            if RESULT.fullmatch(line) is None:
                raise InvalidError("a line is neither a question nor a result")
            order = [int(word) for word in line[1:].split()]
            if order != sorted(range(count), key=values.__getitem__):
                raise InvalidError("the result is not in order")
            return asked
        a, b = int(question[1]), int(question[2])
        if not (a < count and b < count):
            raise InvalidError(f"a question is about something else than 0 to {count - 1}")
        lines.send(b"<\n" if values[a] < values[b] else b">\n")
    raise InvalidError(f"more than {MAX_QUESTIONS} questions for one list")


def main() -> None:
    """Print the mean over all lists."""
    folder = os.environ.get("AR_HIDDEN", "data")
    lists = json.loads((Path(folder) / "lists.json").read_text("utf-8"))
    total = 0
    for values in lists:
        with connect(os.environ["AR_SOCKET"]) as connection:
            total += questions(values, Lines(connection))
    print(json.dumps({"comparisons": total / len(lists), "lists": len(lists)}))


if __name__ == "__main__":
    try:
        main()
    except InvalidError as error:
        sys.exit(f"invalid: {error}")
