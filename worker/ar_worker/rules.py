"""How far a run is, and when its owner wants it to end.

Not here: keeping to it (``session``).
"""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """How far the run is."""

    RUNNING = "running"
    FINISHING = "finishing"
    """No new work; what runs is completed."""
    SETTLING = "settling"
    """Nothing runs; receipts and verdicts are waited for."""
    STOPPING = "stopping"
    """Everything was killed; receipts are waited for, shortly."""
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the owner donates: slots, and when to end (seconds; counts; ``None`` for never)."""

    slots: int
    seconds: float | None = None
    max_experiments: int | None = None
    idle_seconds: float | None = None
