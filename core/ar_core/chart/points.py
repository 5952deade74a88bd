"""What a chart is given: experiments that reported a score, and versions that were accepted.

Not here: where on the picture they fall (``scale``).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ar_core.metric import Direction, improvement

_LARGEST = 1e150
LARGEST_INDEX = 2**53 - 1
"""The largest number of an experiment that has a place on a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedPoint:
    """One experiment: its number and the score that it reported, in the metric's unit."""

    index: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPoint:
    """One version on ``main``: the published score, its interval if there is one, and what was tried."""

    index: int
    value: float
    low: float | None = None
    high: float | None = None
    label: str = ""


AnyPoint = TypeVar("AnyPoint", TriedPoint, RecordPoint)


def drawable(points: Iterable[AnyPoint]) -> list[AnyPoint]:
    """Return the points that have a place on a picture, by index; no NaN, no infinity, nothing astronomic."""
    return sorted(
        (point for point in points if shown(point.value) and abs(point.index) <= LARGEST_INDEX), key=lambda p: p.index
    )


def shown(value: float | None) -> bool:
    """Tell whether a number can be drawn: finite, and small enough that sums and differences stay so."""
    return value is not None and math.isfinite(value) and abs(value) < _LARGEST


def best_so_far(records: Sequence[RecordPoint], direction: Direction) -> list[RecordPoint]:
    """Return for each record the best one up to it; a re-measured score may fall behind its predecessor's."""
    best: list[RecordPoint] = []
    for record in records:
        behind = best and improvement(direction, record.value, best[-1].value) < 0
        best.append(best[-1] if behind else record)
    return best


def thinned(points: Sequence[AnyPoint], most: int) -> list[AnyPoint]:
    """Return at most ``most`` (≥ 2) of the points, evenly spread, always with the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[i * (len(points) - 1) // (most - 1)] for i in range(most)]
