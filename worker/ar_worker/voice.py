"""Telling the owner what happens: one JSON event, one plain line, or the live panel where there is a terminal.

Not here: what happens (``session``), the words (``sentences``), and how the panel looks (``panel``).
"""

import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from ar_client.output import Output
from ar_worker.rules import Phase
from ar_worker.sentences import event_sentence

if TYPE_CHECKING:
    from ar_worker.panel.live import LivePanel
    from ar_worker.panel.model import Run

EVENT_SCHEMA = "ar.event/1"


class Voice:
    """Prints events: JSON to stdout where it was asked for, else for people to stderr."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last_wait: object = None
        self._panel: LivePanel | None = None

    def open(self, run: "Run") -> None:
        """Begin the live panel where a person looks at a terminal; elsewhere nothing changes."""
        if self._output.as_json or not self._output.live or "utf" not in (sys.stderr.encoding or "").lower():
            return
        from ar_worker.panel.live import LivePanel

        self._panel = LivePanel(run, sys.stderr, colour=not os.environ.get("NO_COLOR"))

    def note(self, phase: Phase, *, online: bool) -> None:
        """Tell how far the run is, which only a panel shows."""
        if self._panel is not None:
            self._panel.note(phase, online=online)

    def event(self, name: str, fields: Mapping[str, object], now: datetime) -> None:
        """Tell one event."""
        if self._output.as_json:
            head = {"schema": EVENT_SCHEMA, "event": name, "time": now.isoformat()}
            self._output.document({**head, **fields})
            return
        sentence, colour = event_sentence(name, fields)
        if name == "waiting":
            if fields["reasons"] == self._last_wait:
                return
            self._last_wait = fields["reasons"]
        elif name == "leased":
            self._last_wait = None
        if self._panel is not None and self._panel.alive:
            self._panel.event(name, fields, sentence, colour, now)
        elif sentence:
            self._output.say(f"{now.astimezone():%H:%M:%S}  {sentence}", colour=colour)

    def close(self) -> None:
        """Take the panel away, if there is one, and leave the terminal as it was."""
        panel, self._panel = self._panel, None
        if panel is not None:
            panel.close()
