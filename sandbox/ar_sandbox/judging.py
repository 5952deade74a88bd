"""What the baseline's runs say about the manifest: is it as noisy as declared, and can a gain be seen.

Not here: making the runs (``registration``). Pure: numbers in, findings out.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ar_core.metric import improvement
from ar_core.problem import Guard, Noise, Problem
from ar_sandbox.report import Finding, NoiseReport, Severity
from ar_sandbox.result import Result

ALPHA = 0.005
"""The error probability of one verdict, by default (see the acceptance rules)."""
SPREADS = 4.0
"""How many standard deviations a single run may be off before it counts as better."""
_NEVER = 10**9
_WINDOW_SPREADS, _WINDOW_GAINS, _BET = 6.0, 20.0, 0.9


@dataclass
class Findings:
    """What has been found so far."""

    found: list[Finding] = field(default_factory=list)

    def add(self, check: str, severity: Severity, message: str, fix: str = "") -> None:
        """Add one finding."""
        self.found.append(Finding(check=check, severity=severity, message=message, fix=fix))

    @property
    def ok(self) -> bool:
        """Whether nothing refuses the problem."""
        return all(finding.severity != "error" for finding in self.found)


def summary(problem: Problem, results: Sequence[Result]) -> NoiseReport:
    """Return how the scores of the baseline's runs vary; every result has a score."""
    scores = scored(results)
    # Of times the median is published too.
    middle = statistics.median if problem.acceptance.noise is Noise.TIMING else statistics.fmean
    names = sorted(set.intersection(*(set(result.secondary) for result in results)))
    return NoiseReport(
        declared=problem.acceptance.noise.value,
        deterministic=len(set(scores)) == 1,
        sd=statistics.stdev(scores) if len(set(scores)) > 1 else 0.0,
        # The mean of equal numbers may differ from them in the last digit.
        mean=scores[0] if len(set(scores)) == 1 else middle(scores),
        n=len(scores),
        secondary={name: statistics.fmean(result.secondary[name] for result in results) for name in names},
    )


def scored(results: Sequence[Result]) -> list[float]:
    """Return the scores of the runs that have one."""
    return [result.score for result in results if result.score is not None]


def noise(problem: Problem, seen: NoiseReport, report: Findings) -> None:
    """Compare the declared noise with what was seen."""
    if problem.acceptance.noise is Noise.NONE and not seen.deterministic:
        said = f'noise = "none" is declared, but {seen.n} runs of the same file differ (sd {seen.sd:g})'
        fix = 'take all randomness from AR_SEED and declare noise = "seed", or make the scorer repeatable'
        report.add("noise", "error", said, fix)
    elif problem.acceptance.noise is Noise.SEED and seen.deterministic:
        said = f'noise = "seed" is declared, but {seen.n} runs with different seeds are identical'
        report.add("noise", "warning", said, 'declare noise = "none": exact comparison needs two runs, not dozens')


def min_gain(problem: Problem, seen: NoiseReport, seconds: float, report: Findings) -> None:
    """Say what a smallest gain costs to see, where scores are noisy; ``seconds`` is that of one evaluation."""
    acceptance = problem.acceptance
    if acceptance.noise is not Noise.SEED or seen.deterministic:
        return
    least = acceptance.min_gain.at(seen.mean)
    gain = 2 * least if least > 0 else seen.sd / 2
    width = 2 * max(_WINDOW_SPREADS * seen.sd, _WINDOW_GAINS * least)
    if acceptance.window is not None:
        width = acceptance.window[1] - acceptance.window[0]
    pairs = pairs_needed(gain - least, math.sqrt(2) * seen.sd, width + least)
    minutes = pairs * 2 * seconds / 60
    shown_gain = f"{gain:.2g}" if problem.files.hidden else f"{gain:g}"
    cost = f"a gain of {shown_gain} needs about {pairs} pairs, {minutes:.1f} minutes of a verifier"
    visible = visible_gain(acceptance.max_pairs, least, math.sqrt(2) * seen.sd, width + least)
    shown = f"the smallest gain that {acceptance.max_pairs} pairs (max_pairs) show is about {visible:.2g}"
    if pairs > acceptance.max_pairs:
        cost += f", more than max_pairs; {shown}"
        fix = "raise min_gain or max_pairs, or average over more cases in the scorer"
        report.add("min_gain", "warning", cost, fix)
    elif least == 0:
        fix = f"set acceptance.min_gain, for example {seen.sd / 2:.2g}"
        report.add("min_gain", "warning", f"min_gain is 0 where scores vary by {seen.sd:g}; {cost}", fix)
    else:
        report.add("min_gain", "info", f"{cost}; {shown}")


def pairs_needed(mean: float, sd: float, reach: float, alpha: float = ALPHA) -> int:
    """Return roughly how many pairs the betting test needs for differences of this mean and spread.

    ``reach`` is the largest loss that one pair can show. First order growth of a bet, after Waudby-Smith and
    Ramdas, "Estimating means of bounded random variables by betting" (2024).
    """
    second = sd * sd + mean * mean
    if second == 0 or mean / second * mean == 0:
        return _NEVER
    bet = min(mean / second, _BET / reach)
    growth = bet * mean - bet * bet * second / 2
    return min(_NEVER, math.ceil(math.log(1 / alpha) / growth) + 1)


def visible_gain(pairs: int, least: float, sd: float, reach: float) -> float:
    """Return roughly the smallest gain that ``pairs`` pairs can show, in the metric's unit.

    ``least`` is the smallest gain that counts; ``sd`` and ``reach`` as in ``pairs_needed``.
    """
    low, high = 0.0, 64 * (sd + reach)
    for _ in range(60):
        middle = (low + high) / 2
        if pairs_needed(middle, sd, reach) > pairs:
            low = middle
        else:
            high = middle
    return least + high


def baseline(problem: Problem, seen: NoiseReport, report: Findings) -> None:
    """Check the baseline against the guards, the window and the best known value."""
    for guard in problem.acceptance.guards:
        if guard.metric not in seen.secondary:
            said = f"the scorer does not print {guard.metric}, which is a guard"
            report.add("guards", "error", said, "print it beside the score, or remove the guard")
    # What a registration finds is for everybody to read, and an exact score tells about the hidden files.
    mine = "the baseline" if problem.files.hidden else f"the baseline's {seen.mean:g}"
    window = problem.acceptance.window
    if window is not None and not window[0] < seen.mean < window[1]:
        said = f"{mine} is outside the window [{window[0]:g}, {window[1]:g}]"
        report.add("window", "warning", said, "widen acceptance.window so that the baseline lies inside")
    best = problem.metric.best_known
    if best is not None and improvement(problem.metric.direction, seen.mean, best.value) > 0:
        said = f"{mine} is better than the best known {best.value:g}"
        report.add("best_known", "warning", said, "correct metric.best_known or the direction")


def guard_holds(guard: Guard, new: Mapping[str, float], old: Mapping[str, float]) -> bool:
    """Tell whether the guard's metric got worse by no more than it may; absent counts as worse."""
    if guard.metric not in new or guard.metric not in old:
        return False
    loss = -improvement(guard.direction, new[guard.metric], old[guard.metric])
    return loss <= guard.max_regression * abs(old[guard.metric])
