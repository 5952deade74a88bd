"""Lines of an exact width, and the frame around them.

Not here: colours of a terminal (``foot``), bars and curves (``marks``). Widths are in columns of a terminal.
"""

from collections.abc import Sequence

from rich.text import Text

from ar_core.text import one_line

FRAME_ROWS = 2
"""Rows that the frame itself takes."""
FRAME_COLUMNS = 4
WIDEST = 120
"""A panel is not drawn wider than this: rows that long are hard to follow."""
_DIM = "dim"


def clean(text: object, limit: int = 200) -> str:
    """Return a stranger's text as one line without anything that a terminal would obey."""
    return one_line(str(text), limit)


def fit(text: Text | str, width: int, *, right: bool = False) -> Text:
    """Return ``text`` with exactly ``width`` columns: cut with an ellipsis, or padded."""
    whole = Text(text) if isinstance(text, str) else text.copy()
    width = max(0, width)
    whole.truncate(width, overflow="ellipsis")
    space = " " * (width - whole.cell_len)
    return Text(space) + whole if right else whole + Text(space)


def spread(left: Text | str, right: Text | str, width: int) -> Text:
    """Return ``left`` and ``right`` at the two ends of a line; ``left`` gives way."""
    end = fit(right, min(width, Text(right).cell_len if isinstance(right, str) else right.cell_len))
    gap = 2 if end.cell_len else 0
    return fit(fit(left, width - end.cell_len - gap) + Text(" " * gap) + end, width)


def framed(rows: Sequence[Text | str], *, title: str, right: str = "", below: str = "", width: int) -> list[Text]:
    """Return the rows in a frame of ``width`` columns, with words in its upper and lower edge."""
    inner = width - FRAME_COLUMNS
    side = Text("│", style=_DIM)
    body = [Text(" ").join([side, fit(row, inner), side]) for row in rows]
    return [_edge("╭", "╮", title, right, width), *body, _edge("╰", "╯", "", below, width)]


def _edge(begin: str, end: str, left: str, right: str, width: int) -> Text:
    """Draw an edge with words near its ends; those on the right are left out where there is no room for both."""
    room = width - FRAME_COLUMNS
    first, last = _label(left), _label(right)
    if first.cell_len + last.cell_len > room:
        last = Text()
    first.truncate(room, overflow="ellipsis")
    line = "─" * (room - first.cell_len - last.cell_len)
    first.stylize("bold")
    return Text.assemble((f"{begin}─", _DIM), first, (line, _DIM), last, (f"─{end}", _DIM))


def _label(words: str) -> Text:
    return Text(f" {words} " if words else "")
