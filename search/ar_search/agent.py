"""What an agent is: it proposes the next candidate, and is told how the last ones scored.

Not here: any agent (``tuner``), and evaluating, which is the work of whoever holds the agent.
"""

from dataclasses import dataclass, field
from typing import Protocol

from ar_core.metric import Direction, MinGain
from ar_core.problem import Noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspiration:
    """Another experiment's file, as material: not the parent, but perhaps with something worth taking."""

    content: bytes
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What an agent is asked to improve, with everything it may know about it.

    The agent does no input or output of its own: files and scores come in here and through ``Agent.observe``.
    """

    mutable_path: str
    """Path of the mutable file; its ending tells the language."""
    parent: bytes
    """The version to go on from."""
    parent_score: float | None
    """Its score as the caller measures it (a mean where the problem is noisy); ``None``: not measured yet."""
    direction: Direction
    max_bytes: int
    """Size limit of the mutable file."""
    hints: tuple[str, ...] = ()
    """The manifest's ``[search].tune``, such as ``lr 1e-5..1e-1 log``."""
    inspirations: tuple[Inspiration, ...] = ()
    corpus: tuple[bytes, ...] = ()
    """The problem's public locked files, as material for text problems; what is not UTF-8 is passed over."""
    tried: frozenset[str] = frozenset()
    """``ar_core.candidate.content_hash`` of every file that needs no second evaluation."""
    explore: bool = False
    """Asks for a new direction: the search leaves the parent by a big step before it climbs."""
    min_gain: MinGain = field(default_factory=MinGain)
    noise: Noise = Noise.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One candidate to evaluate: the whole file, one line on what was changed, and the operator that did it."""

    content: bytes
    note: str
    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What came of a proposal; ``score`` is ``None`` where it failed, and ``reason`` is then one word why."""

    score: float | None
    reason: str | None = None
    feedback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best version an agent knows; ``score`` is ``None`` until one was measured."""

    content: bytes
    score: float | None


class Agent(Protocol):
    """Whatever proposes. Several proposals may be out at once, and come back in any order, or never."""

    @property
    def best(self) -> Best:
        """The best version so far: the parent until something better was observed."""

    def propose(self) -> Proposal | None:
        """Return the next candidate to evaluate, ``None`` when there is nothing new to try."""

    def observe(self, proposal: Proposal, outcome: Observation) -> None:
        """Take in what came of a proposal."""

    def improved(self, content: bytes, score: float) -> None:
        """Take in that somebody else reached ``score`` with ``content``; where it is better, go on from there."""
