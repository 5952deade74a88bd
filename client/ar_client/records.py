"""What a client says to a pool and hears from it, beyond the records that the whole project shares.

Not here: the calls.
"""

from dataclasses import dataclass
from datetime import datetime

from ar_core.records import Experiment, Identity, ProblemCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who the caller is, and at which pool; ``web`` is its address for people."""

    identity: Identity
    pool: str
    web: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFile:
    """A file at a commit of a problem's ``main``; ``score`` is that commit's verified one."""

    path: str
    content: bytes
    commit: str
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened: an experiment or a problem in its new state."""

    time: datetime
    subject: Experiment | ProblemCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A candidate by hand; ``content`` is ``None`` when the file is over the problem's limit."""

    problem: str
    content: bytes | None
    sha256: str
    size: int
    note: str = ""
    claimed: float | None = None
    idempotency_key: str
