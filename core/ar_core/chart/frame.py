"""The frame of the chart: margins, scales, and axes with round ticks.

Not here: what happened (``marks``), the words above (``caption``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ar_core.chart.labels import FONT, Box, text_width
from ar_core.chart.points import RecordPoint, TriedPoint
from ar_core.chart.scale import Scale, round_ticks, value_range
from ar_core.metric import Direction

_RIGHT, _BOTTOM, _LEFT = 24.0, 44.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all parts of one picture share; lengths in pixels, y growing downwards."""

    x: Scale
    y: Scale
    area: Box
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    direction: Direction
    decimals: int
    last_index: int


def make_frame(
    points: Sequence[TriedPoint],
    records: Sequence[RecordPoint],
    *,
    direction: Direction,
    decimals: int,
    best_known: float | None,
    width: int,
    height: int,
    top: float,
    tried: int = 0,
) -> Frame:
    """Return the frame, from ``top`` down, that shows these points (drawable ones, by index).

    It reaches to experiment ``tried`` at least: the last ones may have no score, and were tried all the same.
    """
    room = any(record.label for record in records)
    low, high = value_range([point.value for point in points], records, direction, best_known, room)
    area_height = height - top - _BOTTOM
    y_ticks = _labelled(low, high, int(area_height / 44)) if points or records else []
    left = _LEFT + max((text_width(text) for _, text in y_ticks), default=0.0) + 10
    area = Box(left=left, top=top, right=width - _RIGHT, bottom=height - _BOTTOM)
    indexes = [points[0].index, points[-1].index] if points else []
    indexes += [records[0].index, records[-1].index] if records else []
    first, last = (min(indexes), max(*indexes, tried)) if indexes else (0, 1)
    first = 0 if 0 <= first <= last / 5 else first
    reach = max(last - first, 1)
    return Frame(
        x=Scale(low=first - 0.015 * reach, high=first + 1.015 * reach, start=area.left, end=area.right),
        y=Scale(low=low, high=high, start=area.bottom, end=area.top),
        area=area,
        x_ticks=_labelled(first, first + reach, int((area.right - area.left) / 100), whole=True),
        y_ticks=y_ticks,
        direction=direction,
        decimals=decimals,
        last_index=last,
    )


def _labelled(low: float, high: float, most: int, whole: bool = False) -> list[tuple[float, str]]:
    ticks, decimals = round_ticks(low, high, most, whole)
    large = max(abs(low), abs(high)) >= 1e7 or decimals > 9
    # All decimals of each tick are written, so that a column of them stands in line.
    form = ".4g" if large and not whole else f",.{decimals}f"
    return [(tick, format(tick + 0.0, form).replace("-", "−")) for tick in ticks]


def px(value: float) -> str:
    """Return a length with one decimal at most."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def axes(frame: Frame) -> str:
    """Draw the ticks, their numbers and the horizontal grid."""
    area = frame.area
    grid = "".join(f"M{px(area.left)} {px(frame.y(v))}H{px(area.right)}" for v, _ in frame.y_ticks)
    ticks = "".join(f"M{px(frame.x(v))} {px(area.bottom)}v5" for v, _ in frame.x_ticks)
    lines = f"{grid}M{px(area.left)} {px(area.bottom)}H{px(area.right)}{ticks}"
    rows = "".join(
        f'<text x="{px(area.left - 8)}" y="{px(frame.y(v) + 4)}">{text}</text>' for v, text in frame.y_ticks
    )
    columns = "".join(
        f'<text x="{px(frame.x(v))}" y="{px(area.bottom + 19)}">{text}</text>' for v, text in frame.x_ticks
    )
    return (
        f'<path class="grid" d="{lines}" fill="none" stroke="#8b949e" stroke-opacity=".3"/>'
        f'<g class="muted" font-size="{FONT}">'
        f'<g text-anchor="end">{rows}</g><g text-anchor="middle">{columns}</g>'
        f'<text x="{px(area.right)}" y="{px(area.bottom + 36)}" text-anchor="end">experiment</text></g>'
    )
