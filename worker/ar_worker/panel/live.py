"""The panel on a real terminal: a thread that repaints it, at most four times a second.

Not here: what it shows (``model``, ``view``). The thread is the only one that writes, so a terminal that takes
nothing any more never holds up the work; and a panel that fails leaves the work alone.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from types import FrameType
from typing import TextIO

from rich.text import Text

from ar_core.panel.foot import Foot
from ar_core.panel.words import clean
from ar_worker.panel.model import LONGEST_LINE, Run, State, begin, noted, take, told
from ar_worker.panel.view import summary, view
from ar_worker.rules import Phase

_FRAME_SECONDS = 0.25
_CLOCK_SECONDS = 1.0
_SHARE = 0.0125
"""Of a core: what drawing may take."""
_GOODBYE_SECONDS = 0.5
_STOPPED_SECONDS, _HANDLER_SECONDS = 1.0, 0.05
_REMAINS = frozenset({"verdict", "waiting", "released", "stopped"})
"""What stays in the terminal above the panel."""
_MOST_UNWRITTEN = 1000


class LivePanel:
    """One run's panel; every method but the thread's own is for the thread that works."""

    def __init__(self, run: Run, stream: TextIO, *, colour: bool) -> None:
        self._descriptor = stream.fileno()
        self._encoding = stream.encoding or "utf-8"
        self._state: State = begin(run, time.monotonic())
        self._foot = Foot(colour=colour)
        self._above: deque[Text] = deque(maxlen=_MOST_UNWRITTEN)
        self._changed, self._closing = threading.Event(), threading.Event()
        self._continued = False
        self._thread = threading.Thread(target=self._paint_until_closed, name="panel", daemon=True)
        self._before = signal.signal(signal.SIGCONT, self._on_continue)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it takes events still."""
        return self._thread.is_alive() and not self._closing.is_set()

    def event(self, name: str, fields: Mapping[str, object], sentence: str, colour: str, when: datetime) -> None:
        """Take in an event, and what it says to people if it says anything."""
        state = take(self._state, name, fields, time.monotonic())
        if sentence:
            line = clean(f"{when.astimezone():%H:%M:%S}  {sentence}", LONGEST_LINE)
            state = told(state, line, colour)
            if name in _REMAINS:
                self._above.append(Text(line, style=colour))
        self._state = state
        self._changed.set()

    def note(self, phase: Phase, *, online: bool) -> None:
        """Take in what no event tells."""
        state = noted(self._state, phase=phase, online=online)
        if state is not self._state:
            self._state = state
            self._changed.set()

    def close(self) -> None:
        """Take the panel away; what was said above it stays."""
        self._closing.set()
        self._changed.set()
        self._thread.join(_GOODBYE_SECONDS)
        signal.signal(signal.SIGCONT, self._before)

    def _on_continue(self, _number: int, _frame: FrameType | None) -> None:
        # Somebody has used the terminal while we were stopped: what stands there is not ours.
        self._continued = True
        self._changed.set()

    # --- In the thread

    def _paint_until_closed(self) -> None:
        try:
            self._repaint()
            end = [Text(summary(self._state))] if self._state.experiments else []
        except Exception:
            # A panel is a comfort. Without it the run goes on, and what it says is said in plain lines.
            if os.environ.get("AR_DEBUG") == "1":
                raise
            end = []
        with contextlib.suppress(OSError):
            columns, _ = self._size()
            self._write(self._foot.draw([], columns, [*self._unwritten(), *end]))

    def _repaint(self) -> None:
        painted, size = 0.0, (0, 0)
        while not self._closing.is_set():
            begun = time.monotonic()
            changed = self._changed.wait(_FRAME_SECONDS)
            self._changed.clear()
            now = time.monotonic()
            if now > begun + _STOPPED_SECONDS:
                # Stopped and continued, it seems; the signal's handler is to come first.
                self._closing.wait(_HANDLER_SECONDS)
            if changed or size != self._size() or now >= painted + _CLOCK_SECONDS:
                painted, size = now, self._size()
                spent = time.thread_time()
                self._paint(*size, now)
                spent = time.thread_time() - spent
                # Many slots take longer to draw, and are drawn less often.
                self._closing.wait(min(max(_FRAME_SECONDS, spent / _SHARE), _CLOCK_SECONDS))

    def _paint(self, columns: int, rows: int, now: float) -> None:
        ours = self._in_foreground()
        if self._continued or not ours:
            self._continued = False
            self._foot.forget()
        block = view(self._state, columns, rows, now) if ours else []
        self._write(self._foot.draw(block, columns, self._unwritten()))

    def _unwritten(self) -> list[Text]:
        lines = []
        while self._above:
            lines.append(self._above.popleft())
        return lines

    def _size(self) -> tuple[int, int]:
        size = os.get_terminal_size(self._descriptor)
        return size.columns or 80, size.lines or 24

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            # A terminal that is not the one which controls us: nobody else uses it.
            return True

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, errors="replace")
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                # Whoever shares the terminal has made it so.
                select.select([], [self._descriptor], [])
