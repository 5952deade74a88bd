"""Changes to a text as spans of the original, so that all other text stays as it was, byte for byte.

Not here: what to change (``operators``).
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Put ``text`` in place of the characters ``start`` to ``end`` (exclusive) of the original."""

    start: int
    end: int
    text: str


def in_order(edits: Iterable[Edit]) -> list[Edit]:
    """Return the edits by place; insertions at one place keep the order given."""
    return sorted(edits, key=lambda edit: (edit.start, edit.end))


def overlap(edits: Iterable[Edit]) -> bool:
    """Tell whether two of the edits touch the same characters, or one inserts inside another's span."""
    reached = 0
    for edit in in_order(edits):
        if edit.start < reached:
            return True
        reached = max(reached, edit.end)
    return False


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return ``text`` with every edit made; raises ``ValueError`` for overlaps and places outside the text."""
    pieces: list[str] = []
    reached = 0
    for edit in in_order(edits):
        if not reached <= edit.start <= edit.end <= len(text):
            raise ValueError(f"the edit of {edit.start}..{edit.end} overlaps another or leaves the text")
        pieces += (text[reached : edit.start], edit.text)
        reached = edit.end
    pieces.append(text[reached:])
    return "".join(pieces)
