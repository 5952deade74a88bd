"""Bench ``truth``: how often a change that changes nothing is accepted, and how often a real gain is, by simulation.

Scores are drawn here; rules, batches, windows and levels are the pool's own. Beside them the rules that everybody
begins with. 10,000 candidates a row, or as many as the first argument says.
"""

import math
import platform
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean

from figures import keep, table

from ar_core.acceptance import (
    WARM_UP_PAIRS,
    Decision,
    Pair,
    Verdict,
    decide_betting,
    decide_timing,
    derive_window,
    next_batch,
    strict_level,
)
from ar_core.metric import Direction, MinGain

ALPHA, MAX_PAIRS = 0.005, 200
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
    """A little better 24 times of 25 and much worse once, equal on average."""
    base = rng.uniform(-0.1, 0.1)
    return base + gain + (0.2 if rng.random() < 0.96 else -4.8), base


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
    direction: Direction = Direction.MAXIMIZE
    sd: float = 1.0
    gains: tuple[float, ...] = (0.5, 1.0)


FAMILIES = (
    Family(name="normal", draw=normal),
    Family(name="heavy tails", draw=heavy_tailed, sd=1.5),
    Family(name="rare big losses", draw=rare_big_losses, sd=1.0),
    Family(name="times with spikes", draw=spiky, direction=Direction.MINIMIZE, gains=(0.05, 0.2)),
)


def pool_rule(family: Family, rng: random.Random, gain: float, alpha: float = ALPHA) -> Decision:
    """Verify one candidate; all pairs are drawn at once, which changes nothing: the first decision stands."""
    times = family.direction is Direction.MINIMIZE
    drawn = (family.draw(rng, gain) for _ in range(MAX_PAIRS + WARM_UP_PAIRS * times))
    pairs = [Pair(index=i, candidate=a, incumbent=b) for i, (a, b) in enumerate(drawn)]
    if times:
        return decide_timing(pairs, family.direction, MinGain(), alpha, MAX_PAIRS)
    window = derive_window(mean=0.0, sd=family.sd, min_gain=MinGain())
    return decide_betting(pairs, window, family.direction, MinGain(), alpha, MAX_PAIRS)


def evaluations(family: Family, decision: Decision) -> int:
    """Return how many runs that took: both sides of every pair of every batch that was begun."""
    measured, needed = 0, decision.n
    if family.direction is Direction.MINIMIZE:
        measured = WARM_UP_PAIRS
        needed += WARM_UP_PAIRS
    while measured < needed:
        measured += max(1, next_batch(measured, MAX_PAIRS + WARM_UP_PAIRS))
    return 2 * measured


def one_run(family: Family, rng: random.Random, gain: float) -> tuple[bool, int]:
    """Keep it if the number went up: one run against the number on record."""
    candidate, incumbent = family.draw(rng, gain)
    return (candidate > incumbent) == (family.direction is Direction.MAXIMIZE), 1


def mean_of_five(family: Family, rng: random.Random, gain: float) -> tuple[bool, int]:
    """The same with the mean of five runs."""
    pairs = [family.draw(rng, gain) for _ in range(5)]
    better = fmean(a for a, _ in pairs) > fmean(b for _, b in pairs)
    return better == (family.direction is Direction.MAXIMIZE), 5


@dataclass(slots=True)
class Counted:
    """What one rule did with one stream."""

    accepted: int = 0
    false: int = 0
    evaluations: list[int] = field(default_factory=list)


def no_ops(family: Family, n: int) -> Row:
    """Return how many of ``n`` candidates that change nothing are accepted by each rule."""
    rng = random.Random(family.name)
    decisions = [pool_rule(family, rng, 0.0) for _ in range(n)]
    accepts = sum(d.verdict is Verdict.ACCEPT for d in decisions)
    most = n * ALPHA + 3 * math.sqrt(n * ALPHA * (1 - ALPHA))
    return {
        "family": family.name,
        "accepted": accepts,
        "at_most": round(most, 1),
        "evaluations": round(fmean(evaluations(family, d) for d in decisions), 1),
        "one_run": sum(one_run(family, rng, 0.0)[0] for _ in range(n)),
        "mean_of_five": sum(mean_of_five(family, rng, 0.0)[0] for _ in range(n)),
    }


def power(family: Family, n: int) -> list[Row]:
    """Return how many real gains are found, and what that takes."""
    rng = random.Random(f"power {family.name}")
    rows: list[Row] = []
    for gain in family.gains:
        decisions = [pool_rule(family, rng, gain) for _ in range(n)]
        found = [d for d in decisions if d.verdict is Verdict.ACCEPT]
        rows.append({
            "family": family.name, "gain": gain, "found": round(len(found) / n, 3),
            "evaluations": round(fmean(evaluations(family, d) for d in decisions), 1),
        })  # fmt: skip
    return rows


def mixed(n: int) -> list[Row]:
    """Return what each rule makes of a stream of which 3 % are better by one standard deviation."""
    family, rng = FAMILIES[0], random.Random("mixed")
    stream = [1.0 if rng.random() < BETTER else 0.0 for _ in range(n)]
    rules = {name: Counted() for name in ("the pool", "the pool, strict", "one run", "mean of five")}

    def count(name: str, gain: float, runs: int, *, accepted: bool) -> None:
        rules[name].accepted += accepted
        rules[name].false += accepted and gain <= 0
        rules[name].evaluations.append(runs)

    for trial, gain in enumerate(stream, start=1):
        plain = pool_rule(family, rng, gain)
        count("the pool", gain, evaluations(family, plain), accepted=plain.verdict is Verdict.ACCEPT)
        level = strict_level(ALPHA, trial, rules["the pool, strict"].accepted)
        strict = pool_rule(family, rng, gain, level)
        count("the pool, strict", gain, evaluations(family, strict), accepted=strict.verdict is Verdict.ACCEPT)
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


def main() -> None:
    """Simulate, print the tables, and add to bench/results.json."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    begun = time.perf_counter()
    nothing = [no_ops(family, n) for family in FAMILIES]
    table(f"truth: accepted of {n} candidates that change nothing (α = {ALPHA})", nothing)
    found = [row for family in FAMILIES for row in power(family, max(1, n // 10))]
    table(
        f"truth: real gains found, of {max(1, n // 10)} each (in standard deviations; times: the share saved)", found
    )
    stream = mixed(n)
    table(f"truth: {n} candidates, {BETTER:.0%} of them better by one standard deviation", stream)
    print(f"  ({time.perf_counter() - begun:.0f} s)")
    figures = {"bench": "truth", "n": n, "no_ops": nothing, "power": found, "mixed": stream,
               "python": platform.python_version()}  # fmt: skip
    keep("truth", figures)


if __name__ == "__main__":
    main()
