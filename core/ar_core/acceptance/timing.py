"""The rule for scores that are times: count in how many pairs the candidate was faster, and bet on that share.

Not here: measuring side by side in random order, which is what makes "faster" a fair coin between equals.

Times have rare huge outliers on machines that others use too, so that no mean and no window can be trusted; a
sign can. Source of the e-value: a bet on every share above one half at once, which is the uniform mixture of
likelihood ratios, as in Ramdas, Grünwald, Vovk & Shafer, "Game-theoretic statistics and safe anytime-valid
inference", Statistical Science 2023; the fair coin is its least favourable case.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ar_core.acceptance.betting import DEFAULT_ALPHA
from ar_core.acceptance.decision import Decision, Verdict
from ar_core.acceptance.pairs import Pair, failed, in_order
from ar_core.acceptance.student import interval
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain, improvement

WARM_UP_PAIRS = 2
"""The first pairs fill caches and are not counted."""
_SLOWEST_TENTH = 1.1
"""So much slower may the candidate's 90th percentile be."""
_FUTILITY_PAIRS = 8
_FUTILITY_Z = 1.64
_STEADY_PAIRS = 3
_AS_BAD = -1.0
"""What a failed run counts as where futility is judged: e times slower."""
_LARGEST = 1e300


@dataclass(frozen=True, slots=True, kw_only=True)
class SignProcess:
    """E_n after ``n`` pairs of which the candidate won ``wins``, as a value: ``after`` returns the next one.

    E_n = 2^(n+1) · B(k+1, n−k+1) · (1 − I_½(k+1, n−k+1)) with k wins. In whole numbers that is
    Σ_{j≤k} C(n+1, j) / ((n+1) · C(n, k)), so there is no rounding.
    """

    n: int = 0
    wins: int = 0
    tail: int = 1
    """Σ_{j≤k} C(n+1, j)."""

    @property
    def evidence(self) -> float:
        """Return E_n; kept below 10^300 so that it is always a finite number."""
        whole = (self.n + 1) * math.comb(self.n, self.wins)
        return _LARGEST if self.tail > whole * 10**300 else self.tail / whole

    def reached(self, alpha: float) -> bool:
        """Tell whether E_n ≥ 1/α."""
        return self.evidence >= 1 / alpha

    def after(self, *, won: bool) -> "SignProcess":
        """Return the process with one more pair."""
        n, k = self.n + 1, self.wins
        # Pascal's rule, summed up to k.
        tail = 2 * self.tail - math.comb(n, k)
        if won:
            k += 1
            tail += math.comb(n + 1, k)
        return SignProcess(n=n, wins=k, tail=tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """One pair that counts; ``speedup`` is ln(t_incumbent / t_candidate), ``None`` for a failed candidate."""

    pair: Pair
    speedup: float | None
    needed: float

    @property
    def difference(self) -> float:
        return (_AS_BAD if self.speedup is None else self.speedup) - self.needed

    @property
    def won(self) -> bool:
        return self.speedup is not None and self.speedup > self.needed


def decide_timing(
    pairs: Iterable[Pair],
    direction: Direction,
    min_gain: MinGain,
    alpha: float = DEFAULT_ALPHA,
    max_pairs: int = 200,
) -> Decision:
    """Decide from the pairs measured so far, in the order of their index however they arrived.

    Scores are above 0: times where ``direction`` is minimise, rates where it is maximise; anything else counts as
    failed. A pair is won when the candidate is faster by more than ``min_gain``; a failed candidate loses its pair.
    A failed incumbent makes room for one more pair, and twice in a row pauses the problem. Enough evidence accepts
    only where the mean speed-up is above 0 and the slowest tenth of the candidate's runs is at most 1.1 × as slow as
    the incumbent's, looked at once. Raises ``ValueError`` for contradictory pairs.
    """
    process = SignProcess()
    counted: list[_Scored] = []
    broken = 0
    for pair in in_order(pairs)[WARM_UP_PAIRS:]:
        scored = _scored(pair, direction, min_gain)
        if scored is None:
            broken += 1
            if broken == 2:
                return _paused(counted)
            continue
        broken = 0
        counted.append(scored)
        process = process.after(won=scored.won)
        if process.reached(alpha):
            return _look(process, counted, direction, alpha)
        if _is_futile([each.difference for each in counted]):
            return _decision(Verdict.REJECT, process, counted, direction, alpha, Reason.NO_IMPROVEMENT)
        if process.n >= max_pairs:
            return _decision(Verdict.REJECT, process, counted, direction, alpha, Reason.INCONCLUSIVE)
    return _decision(Verdict.CONTINUE, process, counted, direction, alpha)


def counts_as_timing(pair: Pair) -> bool:
    """Tell whether a pair behind the warm-up counts; one in which the incumbent failed makes room for another."""
    return _usable(pair.incumbent) is not None


def cheapest_timing_accept(misses: int = 0, alpha: float = DEFAULT_ALPHA) -> int:
    """Return how many counted pairs an accept takes when ``misses`` of them are lost."""
    process = SignProcess()
    for _ in range(misses):
        process = process.after(won=False)
    while not process.reached(alpha):
        process = process.after(won=True)
    return process.n


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Return (low, high) of the median of ``values`` by their order alone, ``None`` for fewer than six.

    The k-th smallest and the k-th largest, with the largest k at which a fair coin falls less than k times one way
    with a chance of at most half of what ``confidence`` leaves (David & Nagaraja, "Order Statistics", 7.1).
    """
    n = len(values)
    k, chance = 0, 0.5**n
    while chance <= (1 - confidence) / 2:
        k += 1
        chance += math.comb(n, k) * 0.5**n
    ordered = sorted(values)
    return (ordered[k - 1], ordered[n - k]) if k else None


def _scored(pair: Pair, direction: Direction, min_gain: MinGain) -> _Scored | None:
    """Return the pair as it counts, ``None`` where the incumbent failed."""
    incumbent = _usable(pair.incumbent)
    if incumbent is None:
        return None
    needed = math.log1p(min_gain.at(incumbent) / incumbent)
    candidate = _usable(pair.candidate)
    if candidate is None:
        return _Scored(pair=pair, speedup=None, needed=needed)
    faster = math.log(incumbent) - math.log(candidate)
    return _Scored(pair=pair, speedup=faster if direction is Direction.MINIMIZE else -faster, needed=needed)


def _usable(score: float | None) -> float | None:
    return None if score is None or failed(score) or score <= 0 else score


def _is_futile(differences: Sequence[float]) -> bool:
    n = len(differences)
    if n >= _STEADY_PAIRS and max(differences) < 0 and len(set(differences)) == 1:
        return True
    if n < _FUTILITY_PAIRS:
        return False
    mean = fmean(differences)
    # Asked after each pair; `stdev` is exact, and for that fifty times slower.
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in differences) / (n - 1))
    return mean + _FUTILITY_Z * spread / math.sqrt(n) <= 0


def _look(process: SignProcess, counted: list[_Scored], direction: Direction, alpha: float) -> Decision:
    """Look once at what a sign does not show: the size on average, and the slowest tenth."""
    if fmean(each.speedup for each in counted if each.speedup is not None) <= 0:
        words = "It wins most pairs, but what it loses in the others outweighs that."
        return _decision(Verdict.REJECT, process, counted, direction, alpha, Reason.NO_IMPROVEMENT, words)
    mine = _slowest_tenth([each.pair.candidate for each in counted], direction)
    theirs = _slowest_tenth([each.pair.incumbent for each in counted], direction)
    if mine > _SLOWEST_TENTH * theirs:
        words = (
            "It wins most pairs, but the slowest tenth of its runs is "
            + (f"{mine / theirs:.3g} × as slow as" if mine < math.inf else "without a score, other than")
            + f" the current best's; at most {_SLOWEST_TENTH:g} × is allowed."
        )
        return _decision(Verdict.REJECT, process, counted, direction, alpha, Reason.GUARD_FAILED, words)
    return _decision(Verdict.ACCEPT, process, counted, direction, alpha)


def _slowest_tenth(scores: Sequence[float | None], direction: Direction) -> float:
    """Return the 90th percentile (nearest rank) as a time; infinite where that run failed."""
    times: list[float] = []
    for score in scores:
        usable = _usable(score)
        times.append(math.inf if usable is None else usable if direction is Direction.MINIMIZE else 1 / usable)
    return sorted(times)[math.ceil(0.9 * len(times)) - 1]


def _paused(counted: list[_Scored]) -> Decision:
    return Decision(
        verdict=Verdict.PAUSE,
        n=len(counted),
        incumbent_failures=2,
        explanation="The current best itself gave no score twice in a row; nothing can be compared with it.",
    )


def _decision(
    verdict: Verdict,
    process: SignProcess,
    counted: list[_Scored],
    direction: Direction,
    alpha: float,
    reason: Reason | None = None,
    explanation: str = "",
) -> Decision:
    gains = [
        improvement(direction, each.pair.candidate, each.pair.incumbent)
        for each in counted
        if each.speedup is not None and each.pair.candidate is not None and each.pair.incumbent is not None
    ]
    speedups = [each.speedup for each in counted if each.speedup is not None]
    spread = stdev(speedups) if len(speedups) > 1 else 0.0
    return Decision(
        verdict=verdict,
        reason=reason,
        evidence=process.evidence,
        n=process.n,
        mean_gain=fmean(gains) if gains else None,
        interval=interval(gains),
        effect_size=fmean(speedups) / spread if spread > 0 else None,
        futile=reason in {Reason.NO_IMPROVEMENT, Reason.INCONCLUSIVE} and not explanation,
        candidate_failures=sum(each.speedup is None for each in counted),
        explanation=explanation or _explanation(verdict, reason, process, speedups, alpha),
    )


def _explanation(
    verdict: Verdict, reason: Reason | None, process: SignProcess, speedups: Sequence[float], alpha: float
) -> str:
    evidence = f"evidence {process.evidence:.3g} of the {1 / alpha:.3g} needed"
    count = f"{process.wins} of {process.n} pair{'' if process.n == 1 else 's'}"
    if verdict is Verdict.ACCEPT:
        percent = math.expm1(fmean(speedups)) * 100
        return f"Faster in {count}, by {percent:.3g} % on average, {evidence}."
    if verdict is Verdict.CONTINUE:
        return f"Faster in {count} so far, {evidence}."
    if reason is Reason.INCONCLUSIVE:
        return f"Faster in {count}; undecided at the most pairs that this problem allows, {evidence}."
    return f"Faster by more than the gain asked for in {count} only; more pairs would not help."
