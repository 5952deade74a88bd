"""How a command speaks: data to stdout, talk to stderr, JSON on one line, and nothing a terminal would obey.

Not here: what is said.
"""

import json
import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

from ar_core.errors import PoolError
from ar_core.text import one_line, printable

_CELL, _LAST_CELL = 64, 200
"""Characters of a cell of a table: the name of a problem fits into any, and a sentence into the last."""
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class ReaderGoneError(Exception):
    """Whoever read our output has closed it: nothing more to do, and nothing to say."""


class Output:
    """One command's voice. Everything shown passes through ``ar_core.text``, since much of it is strangers' text."""

    def __init__(self, *, as_json: bool, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._passing = False

    # --- Data

    def document(self, document: Mapping[str, object]) -> None:
        """Print one JSON document on one line; characters beyond ASCII are escaped, so it is safe to look at."""
        text = json.dumps(document, allow_nan=False, separators=(",", ":"))
        self._write(self._stdout, text.replace("\x7f", "\\u007f") + "\n")

    def data(self, text: str) -> None:
        """Print lines of data for people."""
        self._write(self._stdout, printable(text, limit=10_000_000) + "\n")

    def content(self, data: bytes) -> None:
        """Print a file: its exact bytes into a pipe, made safe on a terminal."""
        if self._stdout.isatty():
            text = printable(data.decode("utf-8", errors="replace"), limit=10_000_000)
            self._write(self._stdout, text if text.endswith("\n") else text + "\n")
            return
        with data_goes_out():
            self._stdout.flush()
            self._stdout.buffer.write(data)
            self._stdout.buffer.flush()

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
        """Print aligned columns, those in ``right`` to the right; the last column is never padded.

        What is long is cut, so that one row never widens a column for all; it is whole in the JSON.
        """
        limits = [_CELL] * (len(head) - 1) + [_LAST_CELL]
        clean = [[one_line(cell, limit) for cell, limit in zip(row, limits, strict=True)] for row in rows]
        widths = [max(width(row[i]) for row in [list(head), *clean]) for i in range(len(head))]
        for row in [list(head), *clean]:
            cells = [_pad(cell, widths[i], right=i in right) for i, cell in enumerate(row)]
            self.data("  ".join(cells).rstrip())

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Print names and values, one pair a line; empty values are left out."""
        longest = max((width(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            if value:
                self.data(f"  {_pad(name, longest)}  {one_line(value, limit=1000)}")

    # --- Talk

    def say(self, text: str, *, colour: str = "") -> None:
        """Tell the person something on stderr."""
        self._write(self._stderr, self._painted(self._stderr, printable(text), colour) + "\n")

    def error(self, error: PoolError) -> None:
        """Print what failed and what to do, as JSON where JSON was asked for."""
        if self.as_json:
            text = json.dumps(error.document(), allow_nan=False, separators=(",", ":"))
            self._write(self._stderr, text.replace("\x7f", "\\u007f") + "\n")
            return
        label = self._painted(self._stderr, "error:", "red")
        self._write(self._stderr, f"{label} {one_line(error.message, limit=2000)} ({error.code})\n")
        self._write(self._stderr, f"hint: {one_line(_with_wait(error), limit=1000)}\n")

    def painted(self, text: str, colour: str) -> str:
        """Return ``text`` for stderr in a colour where a terminal shows one."""
        return self._painted(self._stderr, text, colour)

    @property
    def live(self) -> bool:
        """Whether stderr is a terminal on which a line may be rewritten."""
        return self._stderr.isatty() and os.environ.get("TERM") != "dumb"

    def passing(self, text: str) -> None:
        """Show a line that whatever comes next overwrites; on a terminal only."""
        if self.live:
            self._write(self._stderr, one_line(text, limit=79))
            self._passing = True

    def _painted(self, stream: TextIO, text: str, colour: str) -> str:
        if not colour or not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return text
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"

    def _write(self, stream: TextIO, text: str) -> None:
        with _reader_there():
            if self._passing:
                self._passing = False
                self._stderr.write("\r\x1b[2K")
                self._stderr.flush()
            encoding = stream.encoding or "utf-8"
            stream.write(text.encode(encoding, errors="replace").decode(encoding))
            stream.flush()


def width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, columns: int, *, right: bool = False) -> str:
    space = " " * (columns - width(text))
    return space + text if right else text + space


def _with_wait(error: PoolError) -> str:
    return error.hint if error.retry_after is None else f"{error.hint} (in {error.retry_after:.0f} s)"


@contextmanager
def data_goes_out() -> Iterator[None]:
    """Turn what a write meets into ``ReaderGoneError``, or ``PoolError`` AR-A106 where there is a reason to tell.

    Neither is an ``OSError``: whoever opens files catches those, and click ends the process for one of them.
    """
    try:
        with _reader_there():
            yield
    except OSError as error:
        raise PoolError(
            "AR-A106",
            f"standard output cannot be written: {error.strerror}",
            hint="see where it is sent to, and whether there is space",
        ) from None


@contextmanager
def _reader_there() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ReaderGoneError from None
