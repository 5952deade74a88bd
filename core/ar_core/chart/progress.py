"""The progress chart as SVG text, in the form known from Karpathy's autoresearch ``progress.png``.

Not here: choosing ranges and places (``scale``, ``labels``) and the single marks (``frame``, ``marks``).

The picture carries its colours as CSS variables (``--ar-…``) for light and dark. Where a page's content
security policy keeps its style away, the plain attributes still draw it legibly on either ground. There are no
scripts, no references and no ids in it, so that many charts can stand on one page.
"""

from collections.abc import Sequence
from html import escape

from ar_core.chart.caption import entries, heading, legend, scale_words
from ar_core.chart.frame import axes, make_frame
from ar_core.chart.headline import headline, number, plain
from ar_core.chart.marks import (
    band,
    best_line,
    dots,
    known_line,
    markers,
    off_scale_note,
    phrases,
    revision_marks,
)
from ar_core.chart.points import LARGEST_INDEX, RecordPoint, TriedPoint, best_so_far, drawable, shown
from ar_core.metric import Direction

_LEAST_WIDTH, _LEAST_HEIGHT = 320, 200

_FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif"
_STYLE = (
    ".ar-progress{--ar-ground:#fff;--ar-ink:#1f2328;--ar-muted:#59636e;--ar-grid:#e4e8ec;--ar-dot:#8b949e;"
    "--ar-kept:#1a7f37;--ar-known:#8250df}"
    "@media(prefers-color-scheme:dark){.ar-progress{--ar-ground:#0d1117;--ar-ink:#e6edf3;--ar-muted:#9198a1;"
    "--ar-grid:#242b34;--ar-dot:#7d8590;--ar-kept:#3fb950;--ar-known:#bc8cff}}"
    ".ar-progress .ground{fill:var(--ar-ground)}.ar-progress .ink{fill:var(--ar-ink)}"
    ".ar-progress .muted{fill:var(--ar-muted)}.ar-progress .grid{stroke:var(--ar-grid);stroke-opacity:1}"
    ".ar-progress .dot{stroke:var(--ar-dot)}.ar-progress .kept{fill:var(--ar-kept);stroke:var(--ar-ground)}"
    ".ar-progress .best{stroke:var(--ar-kept)}.ar-progress .band{fill:var(--ar-kept)}"
    ".ar-progress .known{stroke:var(--ar-known)}.ar-progress .known-text{fill:var(--ar-known)}"
    ".ar-progress .label{fill:var(--ar-ink);stroke:var(--ar-ground)}.ar-progress text{font-variant-numeric:"
    "tabular-nums}"
)


def progress_svg(
    points: Sequence[TriedPoint],
    records: Sequence[RecordPoint],
    *,
    direction: Direction,
    unit: str = "",
    decimals: int = 6,
    best_known: float | None = None,
    title: str = "",
    tried: int | None = None,
    revisions: Sequence[int] = (),
    width: int = 960,
    height: int = 460,
) -> str:
    """Return the chart as one ``<svg>`` element of ``width`` × ``height`` pixels that scales with its box.

    ``records`` begins with the baseline. ``points`` may be a part of what was tried: ``tried`` then says how
    many there were, and the picture goes on to the last of them. ``title`` stands in place of the headline;
    ``revisions`` are the indexes at which the problem changed. Any numbers and texts will do: what cannot be
    drawn is left out, at most 2,000 dots and 400 records are drawn, and texts are stripped of control and
    bidirectional characters and escaped.
    """
    width, height = max(width, _LEAST_WIDTH), max(height, _LEAST_HEIGHT)
    tried_points, kept = drawable(points), drawable(records)
    best = best_so_far(kept, direction)
    known = best_known if shown(best_known) else None
    line = headline(
        kept[0].value if kept else None,
        best[-1].value if best else None,
        accepted=max(len(kept) - 1, 0),
        tried=max(len(tried_points) if tried is None else tried, 0),
        decimals=decimals,
        unit=unit,
    )
    words = plain(title, 120) or line
    top = heading(words, width)
    key = legend(
        entries(bool(tried_points), kept, known, decimals),
        scale_words(plain(unit, 16), direction),
        width,
        top.height,
    )
    frame = make_frame(
        tried_points,
        kept,
        direction=direction,
        decimals=decimals,
        best_known=known,
        width=width,
        height=height,
        top=top.height + key.height + 8,
        tried=min(tried or 0, LARGEST_INDEX),
    )
    opening = (
        '<svg xmlns="http://www.w3.org/2000/svg" class="ar-progress" role="img" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="{_FONTS}" '
        'fill="currentColor">'
    )
    parts = (
        f"<title>{escape(words)}</title>",
        f"<desc>{escape(_description(line, best, direction, known, decimals))}</desc>",
        f"<style>{_STYLE}</style>",
        '<rect class="ground" width="100%" height="100%" rx="8" fill="none"/>',
        top.svg,
        key.svg,
        axes(frame),
        revision_marks(frame, revisions),
        dots(frame, tried_points),
        band(frame, best),
        known_line(frame, known),
        best_line(frame, best),
        markers(frame, kept),
        phrases(frame, kept, best),
        off_scale_note(frame, tried_points, known),
        "" if tried_points or kept else _empty(width, height),
    )
    return f"{opening}{''.join(parts)}</svg>"


def _description(
    line: str, best: Sequence[RecordPoint], direction: Direction, known: float | None, decimals: int
) -> str:
    better = "lower is better" if direction is Direction.MINIMIZE else "higher is better"
    sentences = [f"Progress by experiment, {better}: {line}."]
    if best:
        last = best[-1]
        sentences.append(f"The best so far is {number(last.value, decimals)}, experiment {last.index:,}.")
    if known is not None:
        sentences.append(f"The best known anywhere is {number(known, decimals)}.")
    return " ".join(sentences)


def _empty(width: int, height: int) -> str:
    return (
        f'<text class="muted" x="{width / 2:g}" y="{height / 2 + 12:g}" font-size="14" '
        'text-anchor="middle">No experiments yet</text>'
    )
