"""The words above the chart: the heading in lines that fit, and the legend.

Not here: what the heading says (``headline``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ar_core.chart.headline import number
from ar_core.chart.labels import FONT, text_width
from ar_core.chart.points import RecordPoint
from ar_core.metric import Direction

HEADING_FONT = 17.0
_SIDE = 20.0
_LINE = 22.0
_ROW = 18.0
_GAP = 14.0
_MARK = 18.0
_MOST_LINES = 3

_TRIED = '<path class="dot" d="M6 0h0" stroke="#8b949e" stroke-width="5" stroke-linecap="round"/>'
_KEPT = (
    '<path class="best" d="M0 0H12" stroke="#2da44e" stroke-width="2"/>'
    '<circle class="kept" cx="6" r="3.6" fill="#2da44e"/>'
)
_INTERVAL = '<rect class="band" y="-5" width="12" height="10" fill="#2da44e" fill-opacity=".2"/>'
_KNOWN = '<path class="known" d="M0 0H12" stroke="#8250df" stroke-width="1.5" stroke-dasharray="4 3"/>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """Drawn words and how many pixels they take from the top."""

    svg: str
    height: float


def heading(text: str, width: float) -> Caption:
    """Draw plain ``text`` in at most three lines of ``width`` pixels; what is left over ends with "…"."""
    pieces = text.replace(", ", ",\n").split("\n")
    if any(_too_wide(piece, width) for piece in pieces):
        pieces = text.split()
    lines = [""]
    for word in pieces:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _too_wide(longer, width):
            if len(lines) == _MOST_LINES:
                lines[-1] += " …"
                break
            lines.append(word)
        else:
            lines[-1] = longer
    spans = "".join(
        f'<text x="{_SIDE:g}" y="{30 + i * _LINE:g}">{escape(line)}</text>' for i, line in enumerate(lines)
    )
    svg = f'<g class="ink" font-size="{HEADING_FONT:g}" font-weight="600">{spans}</g>'
    return Caption(svg=svg, height=12 + _LINE * len(lines))


def _too_wide(line: str, width: float) -> bool:
    # Semi-bold letters are wider than the estimate for the regular ones.
    return text_width(line, HEADING_FONT * 1.04) > width - 2 * _SIDE


def entries(
    tried: bool, records: Sequence[RecordPoint], best_known: float | None, decimals: int
) -> list[tuple[str, str]]:
    """Return the legend's marks and words, only of what the picture has."""
    found = [(_TRIED, "tried")] if tried else []
    if records:
        found.append((_KEPT, "kept, best so far"))
    if any(record.low is not None and record.high is not None for record in records):
        found.append((_INTERVAL, "interval"))
    if best_known is not None:
        found.append((_KNOWN, f"best known {number(best_known, decimals)}"))
    return found


def scale_words(unit: str, direction: Direction) -> str:
    """Return the unit and which way is better."""
    better = "↓ lower is better" if direction is Direction.MINIMIZE else "↑ higher is better"
    return f"{unit} · {better}" if unit else better


def legend(marks: Sequence[tuple[str, str]], words: str, width: float, top: float) -> Caption:
    """Draw the legend from ``top`` down, in as many rows as it needs, with plain ``words`` at its end."""
    parts, x, y = [], _SIDE, top + 12
    for mark, text in marks:
        length = _MARK + text_width(text)
        if x > _SIDE and x + length > width - _SIDE:
            x, y = _SIDE, y + _ROW
        parts.append(
            f'<g transform="translate({x:g} {y:g})">{mark}<text class="muted" x="{_MARK:g}" y="4">{text}</text></g>'
        )
        x += length + _GAP
    if x > _SIDE and x + text_width(words) > width - _SIDE:
        x, y = _SIDE, y + _ROW
    place = f'x="{_SIDE:g}"' if x == _SIDE and marks else f'x="{width - 24:g}" text-anchor="end"'
    parts.append(f'<text class="muted" {place} y="{y + 4:g}">{escape(words)}</text>')
    return Caption(svg=f'<g font-size="{FONT}">{"".join(parts)}</g>', height=y + 12 - top)
