"""Lines of an exact width, and the frame around them.

Not here: colours of a terminal (``foot``), bars and curves (``marks``). Widths are in columns of a terminal.
"""

from collections.abc import Sequence

from rich.text import Text

FRAME_ROWS = 2
"""Rows that the frame itself takes."""
FRAME_COLUMNS = 4
WIDEST = 120
"""A panel is not drawn wider than this: rows that long are hard to follow."""
_DIM = "dim"


def fit(text: Text | str, width: int, *, right: bool = False) -> Text:
    """Return ``text`` with exactly ``width`` columns: cut with an ellipsis, or padded."""
    if width <= 0:
        return Text()
    whole = Text(text) if isinstance(text, str) else text.copy()
    whole.truncate(width, overflow="ellipsis")
    space = width - whole.cell_len
    if space:
        (whole.pad_left if right else whole.pad_right)(space)
    return whole


def spread(left: Text | str, right: Text | str, width: int) -> Text:
    """Return ``left`` and ``right`` at the two ends of a line; ``left`` gives way."""
    end = fit(right, min(width, Text(right).cell_len if isinstance(right, str) else right.cell_len))
    gap = 2 if end.cell_len else 0
    return fit(fit(left, width - end.cell_len - gap) + Text(" " * gap) + end, width)


def framed(rows: Sequence[Text | str], *, title: str, right: str = "", below: str = "", width: int) -> list[Text]:
    """Return the rows in a frame of ``width`` columns, with words in its upper and lower edge."""
    inner = width - FRAME_COLUMNS
    body = [Text.assemble(("│ ", _DIM), fit(row, inner), (" │", _DIM)) for row in rows]
    return [_edge("╭", "╮", title, right, width), *body, _edge("╰", "╯", "", below, width)]


def _edge(begin: str, end: str, left: str, right: str, width: int) -> Text:
    """Draw an edge with words near its ends; those on the right are left out where there is no room for both."""
    room = width - FRAME_COLUMNS
    first, last = _label(left), _label(right)
    if first.cell_len + last.cell_len > room:
        last = Text()
    first = fit(first, min(room, first.cell_len))
    line = "─" * (room - first.cell_len - last.cell_len)
    first.stylize("bold")
    return Text.assemble((f"{begin}─", _DIM), first, (line, _DIM), last, (f"─{end}", _DIM))


def _label(words: str) -> Text:
    return Text(f" {words} " if words else "")
