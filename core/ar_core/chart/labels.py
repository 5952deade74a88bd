"""Where the phrases at the records go, so that none covers another or the staircase.

Not here: drawing them. Placement works in pixels with y growing towards the better side; the caller mirrors.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

FONT = 11.5
_HEIGHT = 14.0
_ROW = 15.0
_GAP = 7.0
_ROWS_BETTER = 9
_MOST = 24
_CANDIDATES = 60
_KEPT_LAST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A record's place and its phrase; ``gain`` in any unit ranks the phrases."""

    x: float
    y: float
    text: str
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A phrase with its place: ``y`` is the middle of the line; ``leader`` when away from its record."""

    x: float
    y: float
    align: str
    text: str
    at: Anchor
    leader: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """An upright rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Tell whether two rectangles overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def within(self, other: "Box") -> bool:
        """Tell whether this rectangle lies inside the other."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


def text_width(text: str, font: float = FONT) -> float:
    """Estimate the width of ``text`` in pixels at a font size, rather too wide than too narrow."""
    return font * sum(_character_width(c) for c in text)


def _character_width(character: str) -> float:
    if unicodedata.east_asian_width(character) in {"W", "F"}:
        return 1.05
    if character in "iljtf.,:;'|!()[] ":
        return 0.36
    return 0.84 if character in "mwMW%@" else 0.7 if character.isupper() else 0.6


def place(anchors: Sequence[Anchor], area: Box) -> list[Label]:
    """Return the phrases that fit, at most 24; the last records choose first, then the greatest gains.

    ``anchors`` are in order of x, with y never falling: the staircase. The better side of it (greater y) is
    empty by nature, so phrases hang there, row by row; beyond that, above their own step.
    """
    stairs = Stairs(anchors)
    named = [i for i, anchor in enumerate(anchors) if anchor.text]
    last = named[-_KEPT_LAST:][::-1]
    rest = sorted(named[:-_KEPT_LAST], key=lambda i: (-anchors[i].gain, i))
    labels: list[Label] = []
    taken: list[Box] = []
    for i in (last + rest)[:_CANDIDATES]:
        fitting = _first_fit(anchors[i], stairs, area, taken)
        if fitting is None:
            continue
        label, boxes = fitting
        labels.append(label)
        taken.extend(boxes)
        if len(labels) == _MOST:
            break
    return sorted(labels, key=lambda label: (label.at.x, label.y))


class Stairs:
    """The staircase as a function of x."""

    __slots__ = ("_xs", "_ys")

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        self._xs = [anchor.x for anchor in anchors]
        self._ys = [anchor.y for anchor in anchors]

    def best_until(self, x: float) -> float:
        """Return the y of the staircase at x, which is its greatest so far."""
        return self._ys[max(bisect_right(self._xs, x) - 1, 0)]


def _first_fit(
    anchor: Anchor, stairs: Stairs, area: Box, taken: Sequence[Box]
) -> tuple[Label, tuple[Box, ...]] | None:
    width = text_width(anchor.text)
    for row in range(_ROWS_BETTER):
        y = anchor.y + row * _ROW
        for align in ("end", "start", "middle") if row else ("end",):
            box = _box(anchor, y, align, width)
            clear = box.top > stairs.best_until(box.right) + 2
            boxes = (box, _leader(anchor, y)) if row else (box,)
            if clear and box.within(area) and not _any_meets(boxes, taken):
                x = _text_x(anchor, align)
                return Label(x=x, y=y, align=align, text=anchor.text, at=anchor, leader=row > 0), boxes
    y = anchor.y - _HEIGHT * 0.7
    box = _box(anchor, y, "start", width)
    if box.within(area) and not _any_meets((box,), taken):
        x = _text_x(anchor, "start")
        return Label(x=x, y=y, align="start", text=anchor.text, at=anchor, leader=False), (box,)
    return None


def _text_x(anchor: Anchor, align: str) -> float:
    return anchor.x + {"end": -_GAP, "middle": 0.0, "start": _GAP}[align]


def _box(anchor: Anchor, y: float, align: str, width: float) -> Box:
    left = _text_x(anchor, align) - {"end": width, "middle": width / 2, "start": 0.0}[align]
    return Box(left=left, top=y - _HEIGHT / 2, right=left + width, bottom=y + _HEIGHT / 2)


def _leader(anchor: Anchor, y: float) -> Box:
    return Box(left=anchor.x - 1, top=anchor.y + 4, right=anchor.x + 1, bottom=y - _HEIGHT / 2)


def _any_meets(boxes: Sequence[Box], taken: Sequence[Box]) -> bool:
    return any(box.meets(other) for box in boxes for other in taken)
