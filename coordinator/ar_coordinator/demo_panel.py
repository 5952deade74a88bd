"""Telling how the demo goes: a panel where there is a terminal, else a line for each new best.

Not here: what is told (``demo_model``), how the panel looks (``demo_view``).
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from ar_coordinator import output
from ar_coordinator.demo_model import State


class Teller(Protocol):
    """Shows a state each time it is given one, several times a second or less often."""

    def show(self, state: State) -> None:
        """Show what is new."""


class Lines:
    """Plain lines."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, state: State) -> None:
        """Say the lines that were not said yet; when it is over, the report that follows says more."""
        if state.over:
            return
        new = state.lines[state.lines.index(self._last) + 1 :] if self._last in state.lines else state.lines
        for line in new:
            output.say(line)
            self._last = line


class Panel:
    """The panel at the foot of the terminal; the last one stays there."""

    def __init__(self) -> None:
        from ar_coordinator.demo_view import view
        from ar_core.panel.foot import Foot

        self._view = view
        self._foot = Foot(colour=not os.environ.get("NO_COLOR"))

    def show(self, state: State) -> None:
        """Draw it again where anything changed."""
        with suppress(OSError):
            size = os.get_terminal_size(sys.stderr.fileno())
            columns, rows = size.columns or 80, size.lines or 24
            text = self._foot.draw(self._view(state, columns, rows, time.monotonic()), columns)
            if text:
                sys.stderr.write(text)
                sys.stderr.flush()

    def forget(self) -> None:
        """Leave what stands there: somebody else has used the terminal."""
        self._foot.forget()


@contextmanager
def teller() -> Iterator[Teller]:
    """Give what tells the person at this terminal, or whatever reads instead."""
    dumb = os.environ.get("TERM") == "dumb" or "utf" not in (sys.stderr.encoding or "").lower()
    if dumb or not sys.stderr.isatty():
        yield Lines()
        return
    panel = Panel()
    before = signal.signal(signal.SIGCONT, lambda *_: panel.forget())
    try:
        yield panel
    finally:
        signal.signal(signal.SIGCONT, before)
