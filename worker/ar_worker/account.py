"""What this machine has contributed, today and in all, and what it does now: the file that ``status`` shows.

Not here: the pool's own count, which is the one that matters.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from ar_client.identity import write_private

_KEPT_DAYS = 31
_COUNTS = ("experiments", "claims", "accepted", "seconds")


@dataclass(slots=True, kw_only=True)
class Account:
    """Counts by day; changed by announced events and written when asked."""

    path: Path
    days: dict[str, dict[str, float]] = field(default_factory=dict)
    total: dict[str, float] = field(default_factory=dict)
    now: dict[str, object] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def load(cls, path: Path) -> "Account":
        """Read the file; one that is missing or damaged begins anew."""
        account = cls(path=path)
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            values = json.loads(path.read_text("utf-8"))
            account.days = {str(day): _counts(counts) for day, counts in values["days"].items()}
            account.total = _counts(values["total"])
            account.now = dict(values.get("now", {}))
        return account

    def count(self, event: str, fields: Mapping[str, object], today: date) -> None:
        """Take in an event; only what the pool confirmed counts, evaluation time apart."""
        if event == "reported":
            self._add(today, "experiments", fields["experiments"])
            claims = fields["claims"]
            self._add(today, "claims", len(claims) if isinstance(claims, list) else 0)
        elif event == "verdict" and fields["status"] == "accepted":
            self._add(today, "accepted", 1)
        elif event == "scored":
            self._add(today, "seconds", fields["seconds"])

    def _add(self, today: date, name: str, number: object) -> None:
        if not isinstance(number, int | float) or not number:
            return
        day = self.days.setdefault(today.isoformat(), {})
        for counts in (day, self.total):
            counts[name] = counts.get(name, 0) + number
        for old in sorted(self.days)[:-_KEPT_DAYS]:
            del self.days[old]
        self.changed = True

    def set_now(self, **values: object) -> None:
        """Note what the worker does now."""
        if values != self.now:
            self.now = values
            self.changed = True

    def save(self) -> None:
        """Write the file if anything changed; a disk that is full is no reason to stop."""
        if not self.changed:
            return
        document = {"schema": "ar.account/1", "now": self.now, "total": self.total, "days": self.days}
        with contextlib.suppress(OSError):
            write_private(self.path, json.dumps(document, indent=1) + "\n")
            self.changed = False

    def of_day(self, today: date) -> dict[str, float]:
        """Return a day's counts, all of them."""
        return _whole(self.days.get(today.isoformat(), {}))

    def in_all(self) -> dict[str, float]:
        """Return the counts of all days."""
        return _whole(self.total)


def _counts(values: Mapping[str, float]) -> dict[str, float]:
    return {name: values[name] for name in _COUNTS if isinstance(values.get(name), int | float)}


def _whole(counts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(counts.get(name, 0), 3) for name in _COUNTS}
