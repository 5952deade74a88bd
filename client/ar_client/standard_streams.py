"""Standard output and error of a command: what becomes of one that is closed, full, or read by nobody any more.

Not here: what is written to them (``output``).
"""

import io
import os
import sys
from typing import TextIO

from ar_client.output import data_goes_out

_INPUT, _OUTPUT, _ERROR = range(3)


class _Output(io.TextIOWrapper):
    """Data that cannot be written is a failure that a person is told about, wherever in the program it happens."""

    def write(self, text: str) -> int:
        with data_goes_out():
            return super().write(text)

    def flush(self) -> None:
        with data_goes_out():
            super().flush()


class _Talk(io.TextIOWrapper):
    """Talk that cannot be written is lost; the work goes on, and the exit code tells how it ended."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            raise
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            raise
        except OSError:
            return


def prepare_streams() -> None:
    """Make ``sys.stdout`` and ``sys.stderr`` such streams, also where the process was started without them."""
    # A number that is free would go to the next file or connection, and what is printed into it.
    for number, stream in ((_INPUT, sys.stdin), (_OUTPUT, sys.stdout), (_ERROR, sys.stderr)):
        if stream is None:
            _occupy(number)
    sys.stdout = _stream(_Output, _OUTPUT, sys.stdout)
    sys.stderr = _stream(_Talk, _ERROR, sys.stderr)


def _occupy(number: int) -> None:
    """Open nothing under this number, unless it is taken; writing to it fails, as to one that is closed."""
    try:
        os.fstat(number)
    except OSError:
        handle = os.open(os.devnull, os.O_RDONLY)
        if handle == number:
            os.set_inheritable(handle, True)
        else:
            os.dup2(handle, number)
            os.close(handle)


def _stream(kind: type[io.TextIOWrapper], number: int, before: TextIO | None) -> TextIO:
    encoding = before.encoding if before is not None else "utf-8"
    raw = io.FileIO(number, "w", closefd=False)
    return kind(io.BufferedWriter(raw), encoding=encoding, errors="replace", line_buffering=raw.isatty())
