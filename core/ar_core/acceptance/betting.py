"""The rule for noisy problems: bet on every pair that the candidate is better; believe it once that paid.

Not here: choosing how many pairs to measure (``plan``); any number, at any time, keeps the promise.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from ar_core.acceptance.decision import Decision, Verdict
from ar_core.acceptance.pairs import Pair, failed, in_order
from ar_core.acceptance.student import mean_interval
from ar_core.acceptance.window import Window, gain_and_difference, worst_difference
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain

DEFAULT_ALPHA = 0.005

_LARGEST_STAKE = 0.9
_FUTILITY_PAIRS = 8
_FUTILITY_Z = 1.64
_STEADY_PAIRS = 3
_STEADY = 1e-9
_LARGEST_LOG = 690.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BettingProcess:
    """K_n = ∏(1 + λ_i d_i) after ``n`` differences, as a value: ``after`` returns the next one.

    While the mean of d is at most 0, K_n is a non-negative supermartingale that starts at 1, so whatever the
    noise the chance that it ever reaches 1/α is at most α (Ville). Differences are kept in units of
    |``worst``|, where they are at least −1.
    """

    worst: float
    """L, the least difference there can be, in the metric's unit; below 0."""
    n: int = 0
    log_evidence: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared deviations from the mean so far."""

    @property
    def stake(self) -> float:
        """Return λ|L|, the share of the capital on the next pair: 0 to 0.9, from past pairs only.

        λ = m / (v + m²) with the mean m and the variance v (over n) of the past differences; 0 while m ≤ 0.
        """
        if self.n == 0 or self.mean <= 0:
            return 0.0
        # The same as m / (v + m²), without the underflow of m² for a tiny mean.
        return min(1 / (self.mean + self.squares / self.n / self.mean), _LARGEST_STAKE)

    @property
    def evidence(self) -> float:
        """Return K_n, the e-value; kept below 10^300 so that it is always a finite number."""
        return math.exp(min(self.log_evidence, _LARGEST_LOG))

    def reached(self, alpha: float) -> bool:
        """Tell whether K_n ≥ 1/α."""
        return self.log_evidence >= -math.log(alpha)

    def after(self, difference: float) -> "BettingProcess":
        """Return the process with one more difference, in the metric's unit."""
        d = max(difference / -self.worst, -1.0)
        n = self.n + 1
        from_old = d - self.mean
        mean = self.mean + from_old / n
        return BettingProcess(
            worst=self.worst,
            n=n,
            log_evidence=self.log_evidence + math.log1p(self.stake * d),
            mean=mean,
            squares=self.squares + from_old * (d - mean),
        )


def decide_betting(
    pairs: Iterable[Pair],
    window: Window,
    direction: Direction,
    min_gain: MinGain,
    alpha: float = DEFAULT_ALPHA,
    max_pairs: int = 200,
) -> Decision:
    """Decide from the pairs measured so far, in the order of their index however they arrived.

    The first pair at which the evidence suffices, or more pairs became futile, settles it; pairs behind it
    change nothing, so neither the order nor the size of batches matters. The claim is about scores clipped to
    ``window``, which must be fixed before the candidate is seen. Raises ``ValueError`` for contradictory
    pairs.
    """
    worst = worst_difference(window, direction, min_gain)
    process = BettingProcess(worst=worst)
    ordered = in_order(pairs)
    gains: list[float] = []
    low, high = math.inf, -math.inf
    for pair in ordered[:max_pairs]:
        gain, difference = gain_and_difference(pair, window, direction, min_gain)
        gains.append(gain)
        low, high = min(low, difference), max(high, difference)
        process = process.after(difference)
        if process.reached(alpha):
            return _decision(Verdict.ACCEPT, process, ordered, gains, alpha)
        steady_loss = process.n >= _STEADY_PAIRS and high < 0 and high - low <= _STEADY * -worst
        if steady_loss or hopeless(process):
            return _decision(Verdict.REJECT, process, ordered, gains, alpha, Reason.NO_IMPROVEMENT)
    if process.n >= max_pairs:
        return _decision(Verdict.REJECT, process, ordered, gains, alpha, Reason.INCONCLUSIVE)
    return _decision(Verdict.CONTINUE, process, ordered, gains, alpha)


def cheapest_accept(share: float, alpha: float = DEFAULT_ALPHA) -> int:
    """Return how many pairs an accept takes when each gains the same ``share`` (0 to 1] of the window.

    Noise only adds to it. A publisher's ``max_pairs`` below ``cheapest_accept(1)`` can never accept anything.
    """
    if not 0 < share <= 1:
        raise ValueError(f"a gain of {share!r} of the window is not above 0 and at most 1")
    # The first pair only sets the stake; with no spread every later stake is the largest.
    return 1 + math.ceil(-math.log(alpha) / math.log1p(_LARGEST_STAKE * share))


def hopeless(process: BettingProcess) -> bool:
    """Tell whether even the upper end of what the mean may be is no gain; 8 ties in a row count."""
    if process.n < _FUTILITY_PAIRS:
        return False
    spread = math.sqrt(max(process.squares, 0.0) / (process.n - 1))
    return process.mean + _FUTILITY_Z * spread / math.sqrt(process.n) <= 0


def _decision(
    verdict: Verdict,
    process: BettingProcess,
    ordered: list[Pair],
    gains: list[float],
    alpha: float,
    reason: Reason | None = None,
) -> Decision:
    used = ordered[: process.n]
    mean = fmean(gains) if gains else None
    spread = stdev(gains) if len(gains) > 1 else 0.0
    return Decision(
        verdict=verdict,
        reason=reason,
        evidence=process.evidence,
        n=process.n,
        mean_gain=mean,
        interval=None if mean is None else mean_interval(mean, spread, len(gains)),
        effect_size=mean / spread if mean is not None and spread > 0 else None,
        futile=reason is not None,
        candidate_failures=sum(failed(pair.candidate) for pair in used),
        incumbent_failures=sum(failed(pair.incumbent) for pair in used),
        explanation=_explanation(verdict, reason, process, mean, alpha),
    )


def _explanation(
    verdict: Verdict, reason: Reason | None, process: BettingProcess, mean: float | None, alpha: float
) -> str:
    evidence = f"evidence {process.evidence:.3g} of the {1 / alpha:.3g} needed"
    count = f"{process.n} pair{'' if process.n == 1 else 's'}"
    if verdict is Verdict.ACCEPT:
        return f"Better by {mean:.4g} on average over {count} (scores cut to the window), {evidence}."
    if reason is Reason.NO_IMPROVEMENT:
        return f"No better after {count} (mean gain {mean:.4g}), and more pairs would not change that."
    if reason is Reason.INCONCLUSIVE:
        return f"Undecided after {count}, the most this problem allows: {evidence}."
    return f"Undecided after {count}: {evidence}."
