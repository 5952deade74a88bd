"""What `ar-coordinator` prints: data to stdout, talk to stderr, errors with what to do next.

Not here: what there is to say.
"""

import json
import sys
from collections.abc import Sequence

from ar_core.errors import PoolError
from ar_core.text import one_line


def data(document: dict[str, object]) -> None:
    """Print one JSON document on one line."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def line(text: str) -> None:
    """Print a line of data."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Say something to the person at the terminal."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print an aligned table, every cell one clean line."""
    cells = [list(header), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def error(failure: PoolError, *, as_json: bool) -> None:
    """Say what failed, why, and what to do next."""
    if as_json:
        say(json.dumps(failure.document(), ensure_ascii=False))
    else:
        say(f"error: {failure.message} ({failure.code})\n  hint: {failure.hint}")
