"""The difference between two versions of the one mutable file, as lines that are safe to show.

Not here: git, and which two versions.
"""

import difflib
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


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the difference, without its end."""

    kind: Literal["same", "added", "removed", "place", "note"]
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
    """Return how ``after`` differs from ``before``; files too long to compare quickly are shown as a whole."""
    old, new = _lines(before), _lines(after)
    if max(len(old), len(new)) > _COMPARED_LINES:
        start = tuple(Line("same", text) for text in new[:_MOST_LINES])
        note = Line("note", f"The file has {len(new)} lines; fetch it to compare it. This is its beginning.")
        return Changes(lines=(note, *start), added=0, removed=0)
    found = list(_difference(old, new))
    shown = [line for line in found if line.kind != "note"]
    cut = (Line("note", f"{len(shown) - _MOST_LINES} more lines are not shown."),) if len(shown) > _MOST_LINES else ()
    return Changes(
        lines=(*shown[:_MOST_LINES], *cut),
        added=sum(line.kind == "added" for line in shown),
        removed=sum(line.kind == "removed" for line in shown),
    )


def _difference(old: list[str], new: list[str]) -> Iterator[Line]:
    for text in list(difflib.unified_diff(old, new, n=_CONTEXT, lineterm=""))[2:]:
        if text.startswith("@@"):
            yield Line("place", text)
        else:
            kinds: dict[str, Literal["same", "added", "removed"]] = {"+": "added", "-": "removed", " ": "same"}
            yield Line(kinds[text[0]], text[1:])


def _lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    return [printable(line, _LONGEST_LINE) for line in text.split("\n")] if text else []
