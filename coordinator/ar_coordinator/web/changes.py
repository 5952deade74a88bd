"""The difference between two versions of the one mutable file, as lines that are safe to show.

Not here: git, and which two versions.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ar_core.text import printable

_CONTEXT = 3
_MOST_LINES = 400
_LONGEST_LINE = 400
# The comparison takes quadratic time in the worst case, and anybody may ask for it.
_COMPARED_LINES = 1200

Kind = Literal["same", "added", "removed", "place", "note"]
_KINDS: dict[str, Kind] = {"+": "added", "-": "removed", " ": "same"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the difference, without its end."""

    kind: Kind
    text: str

    @property
    def mark(self) -> str:
        """The sign in front of the line, so that colour is not needed."""
        return {"added": "+", "removed": "-"}.get(self.kind, " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed: the lines around every change, and how many lines were added and removed in all."""

    lines: tuple[Line, ...]
    added: int
    removed: int


@lru_cache(maxsize=128)
def compare(before: bytes, after: bytes) -> Changes:
    """Return how ``after`` differs from ``before``; files too long to compare quickly are shown in part.

    The bytes decide what is different; what is shown of them is made safe and cut. A line too long to read
    counts as several, broken after its commas.
    """
    old, new = _lines(before), _lines(after)
    if max(len(old), len(new)) > _COMPARED_LINES:
        note = Line("note", f"The file has {len(new)} lines; fetch it to compare it. This is its beginning.")
        return Changes(lines=(note, *(_line("same", text) for text in new[:_MOST_LINES])), added=0, removed=0)
    found = list(_difference(old, new))
    left_out = len(found) - _MOST_LINES
    cut = (Line("note", f"{left_out} more lines are not shown."),) if left_out > 0 else ()
    return Changes(
        lines=(*found[:_MOST_LINES], *cut),
        added=sum(line.kind == "added" for line in found),
        removed=sum(line.kind == "removed" for line in found),
    )


def _difference(old: list[str], new: list[str]) -> Iterator[Line]:
    # The first two lines name the files.
    for text in list(difflib.unified_diff(old, new, n=_CONTEXT, lineterm=""))[2:]:
        yield Line("place", text) if text.startswith("@@") else _line(_KINDS[text[0]], text[1:])


def _line(kind: Kind, text: str) -> Line:
    return Line(kind, printable(text, _LONGEST_LINE))


def _lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    return [piece for line in text.split("\n") for piece in _pieces(line)] if text else []


def _pieces(line: str) -> list[str]:
    if len(line) <= _LONGEST_LINE:
        return [line]
    return [
        piece[start : start + _LONGEST_LINE]
        for piece in re.split("(?<=,)", line)
        for start in range(0, len(piece), _LONGEST_LINE)
    ]
