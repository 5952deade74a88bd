"""Everything that can happen to a session, as values.

Not here: what follows from it (``session``).
"""

from dataclasses import dataclass

from ar_core.errors import PoolError
from ar_core.metric import Direction
from ar_core.records import Experiment
from ar_worker.task import LeaseName, ReportKey, Task, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A stream to the pool is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The stream is gone, or none could be made."""

    error: PoolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcomed:
    """The pool answered; intervals in seconds, ``slots`` is how many leases it would give now at most."""

    progress_interval: float
    report_interval: float
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The pool gave a lease."""

    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """There is no work for so many seconds."""

    seconds: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A slot has the problem on its stage, which took ``opening`` seconds, and has run the parent."""

    lease: LeaseName
    direction: Direction
    parent_score: float
    opening: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A slot cannot work on its lease, or the sandbox failed it."""

    lease: LeaseName
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """A lease's problem asks for more than the owner agreed to; ``declined`` is everything that does."""

    lease: LeaseName
    why: str
    declined: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A slot begins to evaluate a candidate."""

    lease: LeaseName
    content_hash: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A slot has tried a candidate; without a ``trial`` its agent has nothing new to try."""

    lease: LeaseName
    trial: Trial | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebased:
    """A slot has run somebody else's better version; ``claim_stands`` when its last claim beats even that."""

    lease: LeaseName
    claim_stands: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The pool has a report on disk; ``ids`` of the trials told one by one, in their order."""

    key: ReportKey
    experiments: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An experiment of this machine has its verdict."""

    experiment: Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Improved:
    """The best version of a problem changed."""

    problem: str
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The pool takes a lease back."""

    lease: LeaseName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRequested:
    """The owner wants what is running to be completed, and nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested:
    """The owner wants the machine back, now."""


Event = (
    Connected | Disconnected | Welcomed | Granted | Told | Prepared | Failed | Declined | Proposed | Evaluated
    | Rebased | Received | Judged | Improved | Cancelled | Tick | FinishRequested | StopRequested
)  # fmt: skip
