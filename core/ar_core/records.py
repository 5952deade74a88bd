"""What the pool remembers and shows, as values: experiments, problems, identities, tokens, standings.

Not here: where they are kept, and how they cross the wire (``wire``) or become JSON (``documents``).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.problem import LOW_INTEGRITY, Kind


class Role(StrEnum):
    """What an identity may do."""

    WORKER = "worker"
    PUBLISHER = "publisher"
    VERIFIER = "verifier"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A machine or person that redeemed a token."""

    id: str
    role: Role
    contributor: str
    machine: str
    joined: datetime
    public_key: bytes = b""
    banned: str | None = None
    """Why it is banned; ``None`` when it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A join token without its secret."""

    id: str
    role: Role
    contributor: str
    uses: int
    used: int
    expires: datetime
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedScore:
    """What an accepted version is published with, in the metric's unit.

    Where there is noise, its pairs are others than those that decided: a number that was chosen for being good is
    no measure of how good it is. ``low`` and ``high`` are the ends of the interval of ``score``.
    """

    score: float
    incumbent: float
    gain: float
    pairs: int
    low: float | None = None
    high: float | None = None
    verifier: str = ""
    grade: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One tried version of a mutable file and what became of it; scores in the metric's unit.

    Three numbers, never mixed: ``claimed`` by the contributor, on a machine whose sandbox has ``worker_grade``;
    ``verified`` by ``verifier`` in the ``pairs`` that decided, with ``incumbent``, ``gain``, its interval, its
    ``effect_size`` and ``evidence`` from the same; and what an accepted version is ``published`` with.
    """

    id: str
    problem: str
    revision: int
    state: ExperimentState
    reason: Reason | None = None
    explanation: str = ""
    worker: str = ""
    contributor: str = ""
    agent: str = "hand"
    note: str = ""
    claimed: float | None = None
    verified: float | None = None
    incumbent: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    effect_size: float | None = None
    """Mean gain over the standard deviation (n - 1) of the gains in those pairs; of times, the same of
    ln(t_incumbent / t_candidate), over the pairs in which both sides gave one. ``None`` where these do not vary, and
    wherever the gain is not told in full."""
    pairs: int = 0
    evidence: float | None = None
    exact: bool = False
    commit: str = ""
    parent: str = ""
    blob: str = ""
    verifier: str = ""
    feedback: str = ""
    published: PublishedScore | None = None
    verifier_grade: str = ""
    """Grade of the sandbox in which the pool measured it, ``A`` or ``B``; the worse where there were two."""
    worker_grade: str = ""
    """Grade of the sandbox in which the contributor's machine did; empty for a candidate by hand."""
    created: datetime
    updated: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a problem's registration found; an error refuses the problem."""

    check: str
    severity: Literal["info", "warning", "error"]
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrictBudget:
    """What the log of a strict problem spent of its one budget of false accepts."""

    alpha: float
    """The whole budget: the expected share of false ones among all accepts is at most this."""
    trials: int
    """Verifications that began under the rule."""
    accepted: int
    """How many of them accepted; each adds one share to every later level."""
    spent: float
    """The share of the budget that they were given, 0 to 1."""
    next_level: float
    """The level of the next verification."""

    @property
    def next_evidence(self) -> float:
        """Evidence at which the next verification accepts."""
        return 1 / self.next_level

    @property
    def words(self) -> str:
        """What was spent and what the next one gets, in one line."""
        begun = "1 verification has" if self.trials == 1 else f"{self.trials:,} verifications have"
        earned = "no accept has earned anything back yet"
        if self.accepted:
            accepts = "1 accept" if self.accepted == 1 else f"{self.accepted:,} accepts"
            earned = f"{self.accepted + 1:,} times its share, earned back by {accepts}"
        return (
            f"{begun} spent {100 * self.spent:.3g} % of the α = {self.alpha:g} that all share; "
            f"the next gets the level {self.next_level:.3g} ({earned}), which takes evidence e ≥ "
            f"{self.next_evidence:,.0f}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemCard:
    """A published problem and how far it has come; scores in the metric's unit, evaluation in seconds."""

    name: str
    title: str
    summary: str
    revision: int
    state: ProblemState
    state_reason: str = ""
    kind: str
    metric: str
    direction: str
    unit: str = ""
    decimals: int = 6
    noise: str = "none"
    baseline: float | None = None
    best: float | None = None
    accepted: int = 0
    experiments: int = 0
    head: str = ""
    contributors: int = 0
    publisher: str = ""
    findings: tuple[Finding, ...] = ()
    web: str = ""
    mutable_path: str = ""
    max_bytes: int = 0
    locked_digest: str = ""
    published: datetime
    evaluation: float = 0.0
    best_low: float | None = None
    best_high: float | None = None
    best_n: int = 0
    """Runs that the published score of the best version is of; ``best_low`` and ``best_high`` are its interval."""
    best_experiment: str = ""
    strict: StrictBudget | None = None
    """What its log spent of the budget that it shares; ``None`` where the problem is not strict."""

    @property
    def integrity(self) -> str:
        """How far a number of this kind can be trusted: ``high`` or ``low``."""
        return "low" if self.kind == Kind.INPROCESS else "high"

    @property
    def caveat(self) -> str:
        """What everybody who sees a number of it should know; empty where there is nothing."""
        return LOW_INTEGRITY if self.integrity == "low" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One contributor's contributions: ``gain`` sums published gains, ``seconds`` is donated evaluation time."""

    rank: int
    contributor: str
    accepted: int
    gain: float | None
    share: float
    experiments: int
    seconds: float = 0.0
    last_accepted: datetime | None = None
