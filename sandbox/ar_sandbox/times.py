"""What the baseline's runs say where the score is a time or a rate: is it one, how far it varies, what a gain costs.

Not here: making the runs (``registration``) and the rule that decides (``ar_core.acceptance.timing``). Pure: numbers
in, findings out.
"""

import math
import statistics
from collections.abc import Sequence

from ar_core.acceptance import WARM_UP_PAIRS, cheapest_timing_accept, publication_pairs
from ar_core.problem import Problem
from ar_sandbox.judging import ALPHA, Findings

_NEVER = 10**9
_WARM_UPS = 2 * WARM_UP_PAIRS
"""Of the comparison and of the publication."""
_ENOUGH_TO_LEAVE_ONE_OUT = 4
_FAIR = 0.5
_WIDE = 8.0
"""Standard deviations beyond which a gain wins every pair."""


def judge(problem: Problem, scores: Sequence[float], seconds: float, report: Findings) -> None:
    """Say whether these scores are times, and what a gain costs; ``seconds`` is that of one evaluation."""
    if min(scores) <= 0:
        said = f'noise = "timing" needs scores above 0, as times and rates are; a run scored {min(scores):g}'
        report.add("noise", "error", said, 'measure a time or a rate, or declare noise = "none" or "seed"')
        return
    if len(set(scores)) == 1:
        said = f'noise = "timing" is declared, but {len(scores)} runs scored exactly the same: this is no timing'
        report.add("noise", "warning", said, 'declare noise = "none": exact comparison needs two runs, not dozens')
        return
    middle, spread = statistics.median(scores), relative_spread(scores)
    least = problem.acceptance.min_gain.at(middle) / middle
    _min_gain(problem, least, spread, report)
    _price(problem, least, spread, seconds, report)


def relative_spread(scores: Sequence[float]) -> float:
    """Return how far the scores of one file vary, as a share: the standard deviation of their logarithms.

    Of four and more the one furthest off is left out: times have huge outliers on a machine that others use too.
    """
    logs = [math.log(score) for score in scores]
    if len(logs) >= _ENOUGH_TO_LEAVE_ONE_OUT:
        middle = statistics.median(logs)
        logs.remove(max(logs, key=lambda value: abs(value - middle)))
    return statistics.stdev(logs) if len(logs) > 1 else 0.0


def times_needed(advantage: float, spread: float, alpha: float = ALPHA) -> int:
    """Return roughly how many counted pairs an accept takes.

    ``advantage`` is ln((1 + gain) / (1 + least gain)), ``spread`` that of one run. The share of pairs that are won
    follows from both; the evidence at that share is 2^(n+1) · B(k+1, n−k+1).
    """
    share = 1.0 if spread == 0 else statistics.NormalDist().cdf(advantage / (math.sqrt(2) * spread))
    if advantage <= 0 or share <= _FAIR:
        return _NEVER
    low, high = cheapest_timing_accept(alpha=alpha) - 1, cheapest_timing_accept(alpha=alpha)
    while _log_evidence(high, share) < -math.log(alpha):
        low, high = high, 2 * high
        if high > _NEVER:
            return _NEVER
    while high - low > 1:
        between = (low + high) // 2
        if _log_evidence(between, share) < -math.log(alpha):
            low = between
        else:
            high = between
    return high


def visible_share(pairs: int, least: float, spread: float) -> float:
    """Return roughly the smallest gain that ``pairs`` counted pairs can show, as a share above 0."""
    low, high = 0.0, _WIDE * spread
    for _ in range(60):
        between = (low + high) / 2
        if times_needed(between, spread) > pairs:
            low = between
        else:
            high = between
    return (1 + least) * math.exp(high) - 1


def _log_evidence(n: int, share: float) -> float:
    wins = share * n
    return (n + 1) * math.log(2) + math.lgamma(wins + 1) + math.lgamma(n - wins + 1) - math.lgamma(n + 2)


def _min_gain(problem: Problem, least: float, spread: float, report: Findings) -> None:
    asked = problem.acceptance.min_gain
    suggested = f"{_percent(max(0.01, 2 * spread))}%"
    if least == 0:
        said = "min_gain is 0: an equal version wins half of its pairs, so that often only max_pairs ends it"
        report.add("min_gain", "warning", said, f'set acceptance.min_gain, for example "{suggested}"')
        return
    if not asked.relative:
        said = f"times are compared by their ratio; min_gain = {asked} is {_percent(least)} % of the baseline now"
        report.add("min_gain", "warning", said, f'write it as a share: min_gain = "{_percent(least)}%"')
    if spread > least:
        said = f"runs of the same file vary by {_percent(spread)} %, more than min_gain ({_percent(least)} %)"
        fix = f'raise min_gain to about "{suggested}", or let the scorer measure longer'
        report.add("min_gain", "warning", said, fix)


def _price(problem: Problem, least: float, spread: float, seconds: float, report: Findings) -> None:
    most, cheapest = problem.acceptance.max_pairs, cheapest_timing_accept(alpha=ALPHA)
    gain = 2 * least if least > 0 else max(2 * spread, 0.01)
    needed = times_needed(math.log((1 + gain) / (1 + least)), spread)
    said = (
        f"an accept takes at least {cheapest} pairs, {_WARM_UPS} to warm up and {publication_pairs(cheapest)} to "
        f"publish, {_minutes(cheapest, seconds):.1f} minutes of a verifier"
    )
    if cheapest > most:
        fix = f"raise max_pairs to {cheapest} at least"
        report.add("min_gain", "warning", f"{said}; max_pairs = {most} can accept nothing", fix)
        return
    visible = _percent(visible_share(most, least, spread))
    shown = f"the smallest gain that {most} pairs (max_pairs) show is about {visible} %"
    if needed > most:
        fix = "raise min_gain or max_pairs, or let the scorer measure longer"
        said += f"; a gain of {_percent(gain)} % needs more than max_pairs; {shown}"
        report.add("min_gain", "warning", said, fix)
    else:
        cost = f"a gain of {_percent(gain)} % needs about {needed}, {_minutes(needed, seconds):.1f} minutes"
        report.add("min_gain", "info", f"{said}; {cost}; {shown}")


def _minutes(pairs: int, seconds: float) -> float:
    return (pairs + _WARM_UPS + publication_pairs(pairs)) * 2 * seconds / 60


def _percent(share: float) -> str:
    return f"{share * 100:.2g}" if share < 1 else f"{share * 100:.0f}"
