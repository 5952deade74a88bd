"""What an evaluation needs and what it gives back, as values.

Not here: running one (``rooms``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ar_core.lifecycle import Reason
from ar_core.problem import Problem, digest_files


class Outcome(StrEnum):
    """How an evaluation ended."""

    OK = "ok"
    CRASH = "crash"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    LIMIT = "limit"
    PROTOCOL = "protocol"
    INFRASTRUCTURE = "infrastructure"

    @property
    def reason(self) -> Reason | None:
        """The word for it in an experiment's record; ``None`` when there is a score."""
        return _REASONS[self]


_REASONS = {
    Outcome.OK: None,
    Outcome.CRASH: Reason.CRASH,
    Outcome.TIMEOUT: Reason.TIMEOUT,
    Outcome.OUT_OF_MEMORY: Reason.OUT_OF_MEMORY,
    Outcome.LIMIT: Reason.CRASH,  # the feedback says which limit
    Outcome.PROTOCOL: Reason.INVALID_SCORE,
    Outcome.INFRASTRUCTURE: Reason.INFRASTRUCTURE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSeeds:
    """The randomness of one run, both from 0 to 2**63 - 1: ``run`` for both rooms, ``scorer`` is secret."""

    run: int
    scorer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One evaluation.

    ``seconds`` is the candidate's timed interval: of ``score`` for data, of ``run`` for artifact. ``score`` is a
    number exactly when ``outcome`` is ``OK``; ``feedback`` is what the next attempt may read.
    """

    outcome: Outcome
    score: float | None
    secondary: Mapping[str, float] = field(default_factory=dict)
    feedback: str = ""
    seconds: float = 0.0
    total_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedProblem:
    """A problem with the bytes that its rooms need: ``files`` without the mutable one, and ``hidden``."""

    problem: Problem
    files: Mapping[str, bytes]
    hidden: Mapping[str, bytes]
    digest: str

    @classmethod
    def of(cls, problem: Problem, files: Mapping[str, bytes], *, with_hidden: bool = True) -> "PreparedProblem":
        """Take what is needed out of a problem's whole folder (path to content)."""
        public = problem.locked_files(files)
        hidden = problem.hidden_files(files) if with_hidden else {}
        return cls(problem=problem, files=public, hidden=hidden, digest=digest_files({**public, **hidden}))
