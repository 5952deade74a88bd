"""The marks of the chart: dots, the staircase with its band, the kept versions and their phrases.

Not here: the frame they stand in (``frame``), where phrases fit (``labels``).
"""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

from ar_core.chart.frame import Frame, px
from ar_core.chart.headline import number, plain
from ar_core.chart.labels import FONT, Anchor, Box, Label, place
from ar_core.chart.points import RecordPoint, TriedPoint, shown, thinned
from ar_core.metric import Direction, improvement

MOST_DOTS = 2000
MOST_OFF_SCALE = 300
MOST_RECORDS = 400
_MOST_REVISIONS = 100
_PHRASE = 34


def dots(frame: Frame, points: Sequence[TriedPoint]) -> str:
    """Draw what was tried; what is off the scale becomes a tick at that edge."""
    shown_points = [point for point in points if frame.y.holds(point.value)]
    others = [point for point in points if not frame.y.holds(point.value)]
    inside = [f"M{px(frame.x(p.index))} {px(frame.y(p.value))}h0" for p in thinned(shown_points, MOST_DOTS)]
    outside = [
        f"M{px(frame.x(p.index))} {px(frame.y(p.value))}v{-4 if p.value < frame.y.low else 4}"
        for p in thinned(others, MOST_OFF_SCALE)
    ]
    opacity = 0.75 if len(points) < 300 else 0.5
    edge = 'class="dot" stroke="#8b949e" stroke-width="1" stroke-opacity=".45"'
    dot = f'class="dot" stroke="#8b949e" stroke-width="4.4" stroke-linecap="round" stroke-opacity="{opacity}"'
    return _path(dict.fromkeys(outside), edge) + _path(dict.fromkeys(inside), dot)


def _path(pieces: Iterable[str], attributes: str) -> str:
    shape = "".join(pieces)
    return f'<path d="{shape}" fill="none" {attributes}/>' if shape else ""


def best_line(frame: Frame, best: Sequence[RecordPoint]) -> str:
    """Draw the best so far as steps, up to the last experiment; ``best`` holds the best at each record."""
    if not best:
        return ""
    steps = [f"M{px(frame.x(best[0].index))} {px(frame.y(best[0].value))}"]
    for before, now in pairwise(best):
        if now is not before:
            steps.append(f"H{px(frame.x(now.index))}V{px(frame.y(now.value))}")
    if len(steps) > MOST_RECORDS:
        steps = [steps[i * (len(steps) - 1) // (MOST_RECORDS - 1)] for i in range(MOST_RECORDS)]
    steps.append(f"H{px(frame.x(frame.last_index))}")
    return _path(steps, 'class="best" stroke="#2da44e" stroke-width="2" stroke-linejoin="round"')


def band(frame: Frame, best: Sequence[RecordPoint]) -> str:
    """Shade the verification interval of the version that was the best at the time."""
    holders = thinned([r for i, r in enumerate(best) if i == 0 or r is not best[i - 1]], MOST_RECORDS)
    ends = [record.index for record in holders[1:]] + [frame.last_index]
    pieces = []
    for record, end in zip(holders, ends, strict=False):
        if record.low is None or record.high is None or not (shown(record.low) and shown(record.high)):
            continue
        left, right = px(frame.x(record.index)), px(frame.x(end))
        pieces.append(f"M{left} {px(frame.y(record.high))}H{right}V{px(frame.y(record.low))}H{left}Z")
    if not pieces:
        return ""
    return f'<path class="band" d="{"".join(pieces)}" fill="#2da44e" fill-opacity=".2"/>'


def markers(frame: Frame, records: Sequence[RecordPoint]) -> str:
    """Draw a green dot for each kept version, with its numbers to hover over."""
    parts = []
    for record in thinned(records, MOST_RECORDS):
        value = number(record.value, frame.decimals)
        interval = ""
        if record.low is not None and record.high is not None:
            interval = f" ({number(record.low, frame.decimals)} to {number(record.high, frame.decimals)})"
        note = escape(plain(record.label, 120))
        hover = f"#{record.index:,} · {value}{interval}" + (f" · {note}" if note else "")
        parts.append(
            f'<circle cx="{px(frame.x(record.index))}" cy="{px(frame.y(record.value))}" r="4.2">'
            f"<title>{hover}</title></circle>"
        )
    if not parts:
        return ""
    return f'<g class="kept" fill="#2da44e" stroke-width="1.2">{"".join(parts)}</g>'


def phrases(frame: Frame, records: Sequence[RecordPoint], best: Sequence[RecordPoint]) -> str:
    """Write what was tried beside the kept versions, as far as there is room."""
    downwards = 1.0 if frame.direction is Direction.MINIMIZE else -1.0
    anchors = []
    before: float | None = None
    for record, holder in zip(records, best, strict=True):
        if record is not holder:
            continue
        gain = 0.0 if before is None else improvement(frame.direction, record.value, before)
        before = record.value
        x, y = frame.x(record.index), downwards * frame.y(record.value)
        anchors.append(Anchor(x=x, y=y, text=plain(record.label, _PHRASE), gain=gain))
    tops = sorted((downwards * frame.area.top, downwards * frame.area.bottom))
    area = Box(left=frame.area.left + 2, top=tops[0] + 1, right=frame.area.right, bottom=tops[1] - 2)
    labels = place(anchors, area)
    if not labels:
        return ""
    leaders = (_leader(label, downwards) for label in labels if label.leader)
    drawn = _path(leaders, 'class="dot" stroke="#8b949e" stroke-width="1" stroke-opacity=".7"')
    texts = "".join(
        f'<text x="{px(label.x)}" y="{px(downwards * label.y + 4)}" text-anchor="{label.align}">'
        f"{escape(label.text)}</text>"
        for label in labels
    )
    return (
        f'{drawn}<g class="label" font-size="{FONT}" stroke-width="3" stroke-linejoin="round" '
        f'paint-order="stroke">{texts}</g>'
    )


def _leader(label: Label, downwards: float) -> str:
    # To the middle of a text beside the line, to the edge of one across it.
    end = label.y - (8.0 if label.align == "middle" else -2.0)
    return f"M{px(label.at.x)} {px(downwards * label.at.y)}V{px(downwards * end)}"


def known_line(frame: Frame, best_known: float | None) -> str:
    """Draw the best that anybody is known to have reached."""
    if best_known is None or not frame.y.holds(best_known):
        return ""
    step = f"M{px(frame.area.left)} {px(frame.y(best_known))}H{px(frame.area.right)}"
    return _path([step], 'class="known" stroke="#8250df" stroke-width="1.5" stroke-dasharray="5 4"')


def revision_marks(frame: Frame, revisions: Sequence[int]) -> str:
    """Draw where the problem was published again: scores on two sides of a mark are not compared."""
    marks = [i for i in sorted(set(revisions)) if frame.x.holds(i)][-_MOST_REVISIONS:]
    if not marks:
        return ""
    steps = [f"M{px(frame.x(i))} {px(frame.area.top)}V{px(frame.area.bottom)}" for i in marks]
    texts = "".join(f'<text x="{px(frame.x(i) + 4)}" y="{px(frame.area.top + 9)}">revised</text>' for i in marks[-3:])
    return (
        _path(steps, 'class="dot" stroke="#8b949e" stroke-width="1" stroke-dasharray="2 3"')
        + f'<g class="muted" font-size="10">{texts}</g>'
    )


def off_scale_note(frame: Frame, points: Sequence[TriedPoint], best_known: float | None) -> str:
    """Say how much of what was tried, and whether the best known, lies beyond the axis."""
    missing = sum(not frame.y.holds(point.value) for point in points)
    notes = [f"{missing:,} tried off the scale"] if missing else []
    if best_known is not None and not frame.y.holds(best_known):
        notes.append("best known off the scale")
    if not notes:
        return ""
    return (
        f'<text class="muted" x="{px(frame.area.left)}" y="{px(frame.area.bottom + 36)}" font-size="{FONT}">'
        f"{', '.join(notes)}</text>"
    )
