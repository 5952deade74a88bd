"""What a rule answers: the verdict and the numbers that a person may check it by.

Not here: how it is reached (``exact``, ``betting``).
"""

from dataclasses import dataclass
from enum import StrEnum

from ar_core.lifecycle import Reason


class Verdict(StrEnum):
    """What to do with the candidate now."""

    ACCEPT = "accept"
    REJECT = "reject"
    CONTINUE = "continue"
    """Not decided: measure the next batch of pairs."""
    PAUSE = "pause"
    """Nothing is known about the candidate: the problem itself is not what its manifest says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict with its evidence.

    Gains are in the metric's unit, above 0 when the candidate is better, before ``min_gain`` is subtracted.
    """

    verdict: Verdict
    reason: Reason | None = None
    """Set for a rejection only."""
    exact: bool = False
    """Both sides repeat exactly, so that ``evidence`` has no meaning and stays 0."""
    evidence: float = 0.0
    """The e-value: how many times over the bet against "no better" has paid. Always finite."""
    n: int = 0
    """Pairs that the verdict rests on."""
    mean_gain: float | None = None
    interval: tuple[float, float] | None = None
    """95 % interval of the mean gain, for display only; ``None`` below two pairs."""
    effect_size: float | None = None
    """Mean gain in standard deviations of the gains; ``None`` where these do not vary."""
    futile: bool = False
    """Rejected before or at ``max_pairs`` because more pairs would not help."""
    candidate_failures: int = 0
    """Pairs among ``n`` in which the candidate gave no score."""
    incumbent_failures: int = 0
    """Pairs among ``n`` in which the incumbent gave no score."""
    explanation: str = ""
    """One sentence for people."""
