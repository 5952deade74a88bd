"""Bench ``truth``: how often a change that changes nothing is accepted, and how often a real gain is, by simulation.

Scores are drawn here; rules, batches, windows and levels are the pool's own: each candidate has a window that comes
from five runs of its incumbent, as after a registration. Beside them the rules that everybody begins with. 10,000
candidates a row, or as many as the first argument says. Fails where a row has more false accepts than were promised.
"""

import math
import platform
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, stdev

from figures import keep, table

from ar_coordinator.judgement import judge, no_gain_on_average, publish, without_warm_up
from ar_coordinator.measuring import fresh_pairs, more_pairs
from ar_coordinator.work_order import PairResult, SideResult
from ar_core.acceptance import WARM_UP_PAIRS, Verdict, Window, derive_window, strict_level
from ar_core.metric import Direction
from ar_core.problem import Acceptance, Evaluation, Files, Kind, Metric, Noise, Problem

ALPHA = 0.005
RUNS = 5
"""Of the incumbent at a registration, which the window comes from."""
BETTER = 0.03
"""The share of better ones in the mixed stream."""
Row = dict[str, object]
Draw = Callable[[random.Random, float], tuple[float, float]]


def normal(rng: random.Random, gain: float) -> tuple[float, float]:
    """Half of the variance of a score is the seed's, which both sides share; sd of a score 1."""
    shared, part = rng.gauss(0, math.sqrt(0.5)), math.sqrt(0.5)
    return shared + rng.gauss(gain, part), shared + rng.gauss(0, part)


def heavy_tailed(rng: random.Random, gain: float) -> tuple[float, float]:
    """Student's t with 2 degrees of freedom: no variance at all."""

    def score() -> float:
        return rng.gauss(0, 1) / math.sqrt(rng.expovariate(1))

    return score() + gain, score()


def rare_big_losses(rng: random.Random, gain: float) -> tuple[float, float]:
    """Each side loses 5 once in 25 runs, whatever the other does; sd of a score 1."""
    base = rng.uniform(-0.1, 0.1)

    def score() -> float:
        return base + rng.uniform(-0.1, 0.1) - (5.0 if rng.random() < 0.04 else 0.0)

    return score() + gain, score()


def only_the_candidate(loss: float) -> Draw:
    """The candidate is better by 0.2 in 24 of 25 runs, worse by ``loss`` in the other; the incumbent is steady."""

    def draw(rng: random.Random, gain: float) -> tuple[float, float]:
        base = rng.uniform(-0.1, 0.1)
        return base + gain + (0.2 if rng.random() < 0.96 else -loss), base

    return draw


def spiky(rng: random.Random, gain: float) -> tuple[float, float]:
    """Seconds on a shared machine: 2 % of spread, and a huge outlier now and then; ``gain`` is a share."""

    def seconds() -> float:
        return 1 + rng.expovariate(50) + (rng.expovariate(0.5) if rng.random() < 0.02 else 0.0)

    return seconds() * (1 - gain), seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of noise, and the gains that are looked for in it."""

    name: str
    draw: Draw
    noise: Noise = Noise.SEED
    explicit: tuple[float, float] | None = None
    """The window of the manifest; else it comes from the incumbent's runs."""
    promised: bool = True
    """Whether the candidate is no better in scores that are cut to such windows too, which is what is promised."""
    gains: tuple[float, ...] = ()

    @property
    def direction(self) -> Direction:
        """Times are the better the less they are."""
        return Direction.MINIMIZE if self.noise is Noise.TIMING else Direction.MAXIMIZE

    @property
    def problem(self) -> Problem:
        """A problem with this noise."""
        return Problem(
            name="truth", title="Truth", files=Files(program="program.md", mutable="candidate"),
            metric=Metric(name="score", direction=self.direction),
            evaluation=Evaluation(kind=Kind.DATA, score=("score",), time_budget=1.0, score_timeout=1.0),
            acceptance=Acceptance(noise=self.noise, window=self.explicit),
        )  # fmt: skip

    def pairs(self, rng: random.Random, gain: float, n: int) -> list[PairResult]:
        """Measure ``n`` pairs of a candidate that is better by ``gain``."""
        drawn = (self.draw(rng, gain) for _ in range(n))
        return [PairResult(index=i, candidate=_side(a), incumbent=_side(b)) for i, (a, b) in enumerate(drawn)]

    def window(self, rng: random.Random) -> Window | None:
        """Fix the window as the pool does, before the candidate is seen."""
        if self.noise is not Noise.SEED:
            return None
        runs, rules = [self.draw(rng, 0.0)[1] for _ in range(RUNS)], self.problem.acceptance
        return derive_window(mean=fmean(runs), sd=stdev(runs), min_gain=rules.min_gain, explicit=rules.window)


MAIN = (
    Family(name="normal", draw=normal, gains=(0.5, 1.0)),
    Family(name="heavy tails", draw=heavy_tailed, gains=(0.5, 1.0)),
    Family(name="rare big losses", draw=rare_big_losses, gains=(0.5, 1.0)),
    Family(name="times with spikes", draw=spiky, noise=Noise.TIMING, gains=(0.05, 0.2)),
)
OTHERS = (
    Family(name="rare big losses, window that holds them", draw=only_the_candidate(4.8), explicit=(-6.0, 6.0)),
    Family(name="big losses that only the candidate has: 4.8", draw=only_the_candidate(4.8), promised=False),
    Family(name="big losses that only the candidate has: 30", draw=only_the_candidate(30.0), promised=False),
)
"""No better on average either; where the window does not hold the losses, cut scores are, which is a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What came of one candidate."""

    accepted: bool
    """By the test, which the promise is about."""
    came_back: bool
    """It was better on the fresh pairs too."""
    committed: bool
    """And on average of whole scores."""
    evaluations: int
    """Runs of both sides, those for the published score too."""


def pool_rule(family: Family, rng: random.Random, gain: float, alpha: float = ALPHA) -> Verified:
    """Verify one candidate; all pairs are drawn at once, which changes nothing: the first decision stands."""
    problem, window = family.problem, family.window(rng)
    warm_up = WARM_UP_PAIRS if family.noise is Noise.TIMING else 0
    judged = judge(problem, window, family.pairs(rng, gain, problem.acceptance.max_pairs + warm_up), alpha=alpha)
    runs = 2 * measured(problem, judged.decision.n + warm_up)
    if judged.decision.verdict is not Verdict.ACCEPT:
        return Verified(accepted=False, came_back=False, committed=False, evaluations=runs)
    whole = family.pairs(rng, gain, fresh_pairs(problem, judged.decision.n))
    fresh = without_warm_up(problem, whole)
    came_back = publish(problem, window, fresh).gain > 0
    committed = came_back and no_gain_on_average(problem, window, judged, fresh) is None
    return Verified(accepted=True, came_back=came_back, committed=committed, evaluations=runs + 2 * len(whole))


def measured(problem: Problem, needed: int) -> int:
    """Return how many pairs there are when the batch with the last one ``needed`` is back."""
    pairs = 0
    while pairs < needed:
        pairs += more_pairs(problem, pairs)
    return pairs


def one_run(family: Family, rng: random.Random, gain: float) -> tuple[bool, int]:
    """Keep it if the number went up: one run against the number on record."""
    candidate, incumbent = family.draw(rng, gain)
    return (candidate > incumbent) == (family.direction is Direction.MAXIMIZE), 1


def mean_of_five(family: Family, rng: random.Random, gain: float) -> tuple[bool, int]:
    """The same with the mean of five runs."""
    pairs = [family.draw(rng, gain) for _ in range(5)]
    better = fmean(a for a, _ in pairs) > fmean(b for _, b in pairs)
    return better == (family.direction is Direction.MAXIMIZE), 5


def no_ops(family: Family, n: int) -> Row:
    """Return how many of ``n`` candidates that are no better on average are accepted by each rule."""
    rng = random.Random(family.name)
    done = [pool_rule(family, rng, 0.0) for _ in range(n)]
    accepts = sum(v.accepted for v in done)
    most = n * ALPHA + 3 * math.sqrt(n * ALPHA * (1 - ALPHA))
    return {
        "family": family.name,
        "accepted": accepts,
        "at_most": round(most, 1),
        "within": accepts <= most if family.promised else None,
        "came_back": sum(v.came_back for v in done),
        "committed": sum(v.committed for v in done),
        "evaluations": round(fmean(v.evaluations for v in done), 1),
        "one_run": sum(one_run(family, rng, 0.0)[0] for _ in range(n)),
        "mean_of_five": sum(mean_of_five(family, rng, 0.0)[0] for _ in range(n)),
    }


def power(family: Family, n: int) -> list[Row]:
    """Return how many real gains are found, and what that takes."""
    rng = random.Random(f"power {family.name}")
    rows: list[Row] = []
    for gain in family.gains:
        done = [pool_rule(family, rng, gain) for _ in range(n)]
        rows.append({
            "family": family.name, "gain": gain, "accepted": round(sum(v.accepted for v in done) / n, 3),
            "came_back": round(sum(v.came_back for v in done) / n, 3),
            "found": round(sum(v.committed for v in done) / n, 3),
            "evaluations": round(fmean(v.evaluations for v in done), 1),
        })  # fmt: skip
    return rows


@dataclass(slots=True)
class Counted:
    """What one rule did with one stream."""

    accepted: int = 0
    false: int = 0
    evaluations: list[int] = field(default_factory=list)


def mixed(n: int) -> list[Row]:
    """Return what each rule makes of a stream of which 3 % are better by one standard deviation."""
    family, rng = MAIN[0], random.Random("mixed")
    stream = [1.0 if rng.random() < BETTER else 0.0 for _ in range(n)]
    rules = {name: Counted() for name in ("the pool", "the pool, strict", "one run", "mean of five")}

    def count(name: str, gain: float, runs: int, *, accepted: bool) -> None:
        rules[name].accepted += accepted
        rules[name].false += accepted and gain <= 0
        rules[name].evaluations.append(runs)

    for trial, gain in enumerate(stream, start=1):
        plain = pool_rule(family, rng, gain)
        count("the pool", gain, plain.evaluations, accepted=plain.committed)
        level = strict_level(ALPHA, trial, rules["the pool, strict"].accepted)
        strict = pool_rule(family, rng, gain, level)
        count("the pool, strict", gain, strict.evaluations, accepted=strict.committed)
        for name, rule in (("one run", one_run), ("mean of five", mean_of_five)):
            accepted, runs = rule(family, rng, gain)
            count(name, gain, runs, accepted=accepted)
    real = sum(gain > 0 for gain in stream)
    return [
        {
            "rule": name, "accepted": c.accepted, "false": c.false,
            "false_share": round(c.false / c.accepted, 3) if c.accepted else None,
            "found": round((c.accepted - c.false) / real, 3), "evaluations": round(fmean(c.evaluations), 1),
        }
        for name, c in rules.items()
    ]  # fmt: skip


def main() -> int:
    """Simulate, print the tables, and add to bench/results.json; 1 where a row breaks the promise."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    begun = time.perf_counter()
    nothing = [no_ops(family, n) for family in (*MAIN, *OTHERS)]
    table(f"truth: accepted of {n} candidates that are no better on average (α = {ALPHA})", nothing)
    broken = [row["family"] for row in nothing if row["within"] is False]
    print(f"  more than promised: {', '.join(map(str, broken)) or 'no row'}; nothing is where within says None")
    found = [row for family in MAIN for row in power(family, max(1, n // 10))]
    table(
        f"truth: real gains found, of {max(1, n // 10)} each (in standard deviations; times: the share saved)", found
    )
    stream = mixed(n)
    table(f"truth: {n} candidates, {BETTER:.0%} of them better by one standard deviation", stream)
    print(f"  ({time.perf_counter() - begun:.0f} s)")
    figures = {"bench": "truth", "n": n, "no_ops": nothing, "power": found, "mixed": stream,
               "within": not broken, "python": platform.python_version()}  # fmt: skip
    keep("truth", figures)
    return 1 if broken else 0


def _side(score: float) -> SideResult:
    return SideResult(outcome="ok", score=score, secondary={}, feedback="", seconds=1.0)


if __name__ == "__main__":
    sys.exit(main())
