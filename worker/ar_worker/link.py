"""What a session knows of its stream to the pool: whether it is up, what was asked, and when to try again.

Not here: the stream itself (``connection``). Pure.
"""

from dataclasses import dataclass
from random import Random

from ar_worker import events as on

_BACKOFF_FIRST, _BACKOFF_LONGEST = 1.0, 30.0
_MOST_FAILURES = 16


@dataclass(slots=True, kw_only=True)
class Link:
    """Times are those of the session's clock, intervals in seconds."""

    online: bool = False
    """The pool has answered the greeting."""
    ever: bool = False
    failures: int = 0
    retry_at: float | None = None
    asked: int = 0
    """Leases that were asked for and not given yet."""
    wait_until: float = 0.0
    reasons: tuple[str, ...] = ()
    """Why the pool has nothing until then, as it said."""
    progress_interval: float = 20.0
    report_interval: float = 5.0
    next_progress: float = 0.0
    leases_at_most: int = 0

    def take_up(self, welcome: on.Welcomed, now: float) -> None:
        """Note that the pool has answered the greeting."""
        self.online, self.ever, self.failures = True, True, 0
        self.progress_interval, self.report_interval = welcome.progress_interval, welcome.report_interval
        self.leases_at_most = welcome.slots
        self.next_progress = now + self.progress_interval

    def lose(self) -> None:
        """Note that the stream is gone, and with it whatever was asked."""
        self.online = False
        self.asked, self.wait_until, self.reasons = 0, 0.0, ()

    def put_back(self, told: on.Told, now: float) -> None:
        """Note that the pool has nothing for a while."""
        self.asked, self.wait_until, self.reasons = 0, now + max(0.1, told.seconds), told.reasons

    def given(self) -> None:
        """Note that the pool gave a lease: whatever it had to wait for is over."""
        self.asked = max(0, self.asked - 1)
        if self.reasons:
            self.wait_until, self.reasons = 0.0, ()

    def waiting(self, now: float) -> dict[str, object] | None:
        """Return what is told of the wait that the pool asked for, ``None`` where there is none."""
        if not self.reasons or self.wait_until <= now:
            return None
        return {"seconds": round(self.wait_until - now, 3), "reasons": list(self.reasons)}

    def put_off(self, now: float, rng: Random, least: float) -> float:
        """Plan the next try: after twice as long as the last, spread by ``rng``, ``least`` seconds at least."""
        seconds = min(_BACKOFF_LONGEST, _BACKOFF_FIRST * 2.0**self.failures) * (0.5 + rng.random() / 2)
        seconds = max(seconds, least)
        self.failures = min(self.failures + 1, _MOST_FAILURES)
        self.retry_at = now + seconds
        return seconds
