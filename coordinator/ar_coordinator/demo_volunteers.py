"""What the demo's volunteers say of themselves, read from the end of their logs as it grows.

Not here: starting them (``demo``).
"""

import json
from pathlib import Path


class Followed:
    """One volunteer's log: its JSON events, one on each line, and whatever else a program says."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self.tried = 0
        self.problem = ""

    def look(self) -> None:
        """Take in the lines that were completed since."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(event, dict) and event.get("event") == "scored":
            self.tried += 1
            self.problem = str(event.get("problem", ""))
