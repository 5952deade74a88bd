"""What a session knows of one lease that it holds, and of the clock's part in it.

Not here: deciding anything (``session``).
"""

from dataclasses import dataclass, field

from ar_core.metric import Direction
from ar_worker.tally import Tally
from ar_worker.task import Task


@dataclass(slots=True, kw_only=True)
class Held:
    """A lease in hand: in a slot, or waiting for one. Times are those of the session's clock."""

    task: Task
    tally: Tally
    slot: int | None = None
    busy: bool = False
    """A slot does something for it now, and will say when it is done."""
    trying: bool = False
    """What it does is an evaluation that counts."""
    box_end: float = 0.0
    last_report: float = 0.0
    next_report: float = 0.0
    direction: Direction | None = None
    improved: str = ""
    """SHA-256 of somebody else's better version that the slot has not run yet."""
    claim_hash: str = ""
    """Content hash of the last claim; it waits for its verdict until this is empty."""
    claim_id: str = ""
    claim_sent: float = 0.0
    claimed: set[str] = field(default_factory=set)
    """SHA-256 of the bytes of this lease's claims: no news when they become the best."""
    trouble: int = 0
    """Times in a row that the sandbox failed."""
