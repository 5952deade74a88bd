"""What to write to a terminal so that a block of lines stays at its foot, other lines passing above it.

Not here: writing it. Pure: lines in, control sequences out, and the memory of what stands there now.

Between two writes the cursor is visible, on the row below the block, and lines wrap as always. So whatever ends the
program, a ``kill -9`` too, leaves a terminal that needs no repair.
"""

import io
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

_BEGIN, _END = "\x1b[?25l\r", "\x1b[?25h"
"""Hide the cursor while it jumps about, and show it again."""
_STAY, _WRAP = "\x1b[?7l", "\x1b[?7h"
"""In the block, a row whose width a terminal sees otherwise than we do is cut and does not break the others."""
_REST_OF_ROW, _REST_OF_SCREEN = "\x1b[K", "\x1b[J"


class Foot:
    """The block at the foot of one terminal. ``colour``: whether it shows any."""

    def __init__(self, *, colour: bool) -> None:
        self._console = Console(
            file=io.StringIO(), force_terminal=True, width=10_000, highlight=False, markup=False, emoji=False,
            color_system="standard" if colour else None, legacy_windows=False, _environ={},
        )  # fmt: skip
        self._rows: list[str] = []
        self._widths: list[int] = []

    def draw(self, block: Sequence[Text], columns: int, above: Sequence[Text] = ()) -> str:
        """Return what turns the block that stands there into ``block``, ``above`` going before it for good.

        ``columns`` is the width of the terminal now. Empty where nothing changes.
        """
        rows = self._painted(block)
        if rows == self._rows and not above:
            return ""
        out = [_BEGIN, self._to_the_top(columns)]
        if above or len(rows) < len(self._rows) or self._is_broken(columns):
            out.append(_REST_OF_SCREEN)
        out += [row + "\n" for row in self._painted(above)]
        out.append(_STAY)
        out += [f"{row}{_REST_OF_ROW}\n" for row in rows]
        # Below the block is what was typed there.
        out += [_WRAP, _REST_OF_SCREEN, _END]
        self._rows, self._widths = rows, [row.cell_len for row in block]
        return "".join(out)

    def forget(self) -> None:
        """Leave what stands there to itself: somebody else has used the terminal."""
        self._rows, self._widths = [], []

    def _painted(self, lines: Sequence[Text]) -> list[str]:
        if not lines:
            return []
        with self._console.capture() as captured:
            self._console.print(Text("\n").join(lines), soft_wrap=True, end="")
        return captured.get().split("\n")

    def _to_the_top(self, columns: int) -> str:
        """Move from below the block to its first row; one that became too long for the window is several rows now."""
        up = sum(max(1, -(-width // max(1, columns))) for width in self._widths)
        return f"\x1b[{up}A" if up else ""

    def _is_broken(self, columns: int) -> bool:
        return any(width > columns for width in self._widths)
