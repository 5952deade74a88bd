"""From values to pixels: which range an axis shows, its round ticks, and the place of a value.

Not here: what is drawn there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ar_core.chart.points import RecordPoint, shown
from ar_core.metric import Direction

# Shares of the records' span that a side may grow by: a crash-like score must not flatten the staircase.
_WORSE_SHARE = 1.0
_BETTER_SHARE = 0.25
_INTERVAL_SHARE = 0.4
_BEST_KNOWN_SHARE = 1.5
_PAD = 0.05
_LABEL_ROOM = 0.24


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A linear map of [low, high] onto the pixels [start, end]; values outside fall on the nearer end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Tell whether ``value`` is inside the range."""
        return self.low <= value <= self.high


def value_range(
    tried: Sequence[float],
    records: Sequence[RecordPoint],
    direction: Direction,
    best_known: float | None,
    room: bool,
) -> tuple[float, float]:
    """Return the (low, high) of the value axis: every record, and of the rest what does not flatten them.

    ``room`` leaves space for labels on the better side of the staircase.
    """
    sign = 1.0 if direction is Direction.MAXIMIZE else -1.0
    # From here on more is better.
    values = [sign * record.value for record in records]
    others = sorted(sign * value for value in tried)
    bounds = [end for record in records for end in (record.low, record.high)]
    ends = [sign * end for end in bounds if end is not None and shown(end)]
    low, high = _core(values, others)
    span = _span(low, high, others + ends)
    worse, better = low, high
    if others:
        worse = min(worse, max(_quantile(others, 0.1), low - _WORSE_SHARE * span))
        better = max(better, min(others[-1], high + _BETTER_SHARE * span))
    if ends:
        worse = min(worse, max(min(ends), low - _INTERVAL_SHARE * span))
        better = max(better, min(max(ends), high + _INTERVAL_SHARE * span))
    if best_known is not None and low - span <= sign * best_known <= high + _BEST_KNOWN_SHARE * span:
        worse, better = min(worse, sign * best_known), max(better, sign * best_known)
    span = max(better - worse, span)
    worse, better = worse - _PAD * span, max(better + _PAD * span, high + (_LABEL_ROOM if room else 0.0) * span)
    return (worse, better) if sign > 0 else (-better, -worse)


def _core(values: list[float], others: list[float]) -> tuple[float, float]:
    if values:
        return min(values), max(values)
    if others:
        return _quantile(others, 0.05), _quantile(others, 0.95)
    return 0.0, 1.0


def _span(low: float, high: float, others: list[float]) -> float:
    """Return a length to measure by; never so small that it vanishes beside the values themselves."""
    size = max(abs(low), abs(high))
    least = size * 1e-9 or 1e-12
    if high - low > least:
        return high - low
    others = sorted(others)
    spread = _quantile(others, 0.9) - _quantile(others, 0.1) if others else 0.0
    return spread if spread > least else size * 0.01 or 1.0


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[round(share * (len(ordered) - 1))]


def round_ticks(low: float, high: float, most: int, whole: bool = False) -> tuple[list[float], int]:
    """Return round ticks inside [low, high], at 1, 2 or 5 times a power of ten, and their decimals.

    There are about ``most`` of them or fewer. ``whole`` keeps them at whole numbers. Empty when the
    range is too narrow for its size.
    """
    rough = (high - low) / max(most, 1)
    if not (math.isfinite(rough) and rough > 0):
        return [], 0
    exponent = math.floor(math.log10(rough))
    factor = next((f for f in (1, 2, 5) if f * 10.0**exponent >= rough), 10)
    if whole and exponent < 0:
        exponent, factor = 0, 1
    step = factor * 10.0**exponent
    if step <= 0 or max(abs(low), abs(high)) / step > 1e13:
        return [], 0
    decimals = max(0, -exponent - (1 if factor == 10 else 0))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(k * step, decimals) for k in range(first, last + 1)], decimals
