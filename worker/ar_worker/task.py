"""What a pool gives out and what comes of it, as values: a lease's task, one trial, a signed-for report.

Not here: their form on the wire (``wire``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ar_core.lifecycle import Reason


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LeaseName:
    """A lease and its fencing number; only the newest number may report."""

    id: str
    fencing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Another good version to learn from: the SHA-256 of its bytes, and its score if known."""

    blob: str
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One lease with what it is about; ``box`` in seconds, blobs by their SHA-256."""

    lease: LeaseName
    problem: str
    revision: int
    bundle: str
    parent_blob: str
    parent: str
    parent_score: float | None
    box: float
    inspirations: tuple[Hint, ...] = ()
    explore: bool = False
    tried: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One evaluated candidate: ``content`` is there exactly when it is worth a claim.

    Scores are this machine's own, in the metric's unit; ``reason`` says why there is none or why it is no claim.
    """

    content_hash: str
    score: float | None
    reason: Reason | None
    note: str
    parent_score: float | None
    seconds: float
    content: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Trials that are only counted: how many, and their seconds together."""

    trials: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ReportKey:
    """What makes a report the same report when it is sent again."""

    lease: LeaseName
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A part of a lease's trials; those of all its reports together are all of them, each once."""

    key: ReportKey
    trials: tuple[Trial, ...] = ()
    counted: Mapping[Reason, Count] = field(default_factory=dict)
    last: bool = False

    @property
    def experiments(self) -> int:
        """How many trials it tells of, the counted ones included."""
        return len(self.trials) + sum(count.trials for count in self.counted.values())
