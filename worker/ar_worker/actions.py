"""Everything a session can ask for, as values.

Not here: doing it (``loop``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ar_core.errors import PoolError
from ar_worker.task import LeaseName, Report, ReportKey, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Open a stream to the pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SayHello:
    """Introduce the machine; ``resume`` are the leases it holds, ``declined`` what its owner has not agreed to."""

    resume: tuple[LeaseName, ...]
    declined: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """Tell the pool which revisions of problems the owner has not agreed to, all of them."""

    declined: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForWork:
    """Ask for so many leases, which replaces what was asked before; 0 to get none."""

    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SayProgress:
    """Renew these leases."""

    leases: tuple[LeaseName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepReport:
    """Sign a report and put it on disk, before it is sent."""

    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """Send a report that is on disk."""

    key: ReportKey


@dataclass(frozen=True, slots=True, kw_only=True)
class DropReport:
    """Forget a report that is on disk: the pool has it, or will not have it."""

    key: ReportKey


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack:
    """Release a lease."""

    lease: LeaseName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SayGoodbye:
    """End the stream on purpose."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Fetch what a task names, put it on the stage of a slot, and run the parent."""

    slot: int
    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """Propose and evaluate one candidate."""

    slot: int
    lease: LeaseName


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebase:
    """Fetch somebody else's better version, run it, and go on from it."""

    slot: int
    lease: LeaseName
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End whatever a slot does for a lease, its rooms first."""

    slot: int
    lease: LeaseName


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """Tell the owner; ``fields`` are those of the JSON event."""

    event: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """End the process: cleanly, or with ``error``."""

    reason: str
    error: PoolError | None = None


Action = (
    Connect | SayHello | Decline | AskForWork | SayProgress | KeepReport | SendReport | DropReport | GiveBack
    | SayGoodbye | Prepare | Evaluate | Rebase | Kill | Announce | Exit
)  # fmt: skip
