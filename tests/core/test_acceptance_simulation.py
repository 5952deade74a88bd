"""By simulation: real gains are found, others are not, and rules that look reasonable fail the same test."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean, stdev

import pytest

from ar_core.acceptance import Pair, Verdict, Window, decide_betting, derive_window
from ar_core.acceptance.student import t_quantile
from ar_core.metric import Direction, MinGain

ALPHA = 0.005
RUNS = 2000
MAX_PAIRS = 150
NO_MIN_GAIN = MinGain()
Measure = Callable[[random.Random], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A candidate that is exactly as good as asked for and no better: every accept is false."""

    name: str
    measure: Measure
    window: Window
    direction: Direction = Direction.MAXIMIZE
    min_gain: MinGain = NO_MIN_GAIN
    recorded: float
    """The incumbent's true mean, the fairest number that a naive rule could have on record."""


def normal(rng: random.Random) -> tuple[float, float]:
    seed_effect = rng.gauss(0, 1)
    return seed_effect + rng.gauss(0.1, 1), seed_effect + rng.gauss(0, 1)


def heavy_tailed(rng: random.Random) -> tuple[float, float]:
    return rng.gauss(0, 1) / math.sqrt(rng.expovariate(1)), rng.gauss(0, 1) / math.sqrt(rng.expovariate(1))


def rare_big_losses(rng: random.Random) -> tuple[float, float]:
    """A little better 24 times of 25, much worse once."""
    incumbent = rng.uniform(-0.001, 0.001)
    return incumbent + (0.04 if rng.random() < 0.96 else -0.96), incumbent


def spiky(rng: random.Random) -> tuple[float, float]:
    def seconds() -> float:
        return 1 + rng.expovariate(50) + (rng.expovariate(1) if rng.random() < 0.08 else 0.0)

    return 0.99 * seconds(), seconds()


FAMILIES = (
    Family(
        name="normal",
        measure=normal,
        window=Window(low=-3.0, high=3.0),
        min_gain=MinGain(value=0.1),
        recorded=0.0,
    ),
    Family(name="heavy-tailed", measure=heavy_tailed, window=Window(low=-2.0, high=2.0), recorded=0.0),
    Family(name="rare big losses", measure=rare_big_losses, window=Window(low=-1.0, high=0.05), recorded=0.0),
    Family(
        name="spiky",
        measure=spiky,
        window=Window(low=0.9, high=3.0),
        direction=Direction.MINIMIZE,
        min_gain=MinGain(value=0.01, relative=True),
        recorded=1.1,
    ),
)


def measured(family: Family, rng: random.Random) -> Iterator[Pair]:
    for index in range(MAX_PAIRS):
        candidate, incumbent = family.measure(rng)
        yield Pair(index=index, candidate=candidate, incumbent=incumbent)


def bound(alpha: float, runs: int) -> float:
    """Return the most false accepts that a kept promise shows in so many runs, at 3 standard errors."""
    return runs * alpha + 3 * math.sqrt(runs * alpha * (1 - alpha))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize(("alpha", "runs"), [(ALPHA, RUNS), (0.1, 300)])
def test_false_accepts_stay_within_the_promise(family: Family, alpha: float, runs: int) -> None:
    rng = random.Random(f"{family.name} {alpha}")
    accepts = sum(
        decide_betting(
            measured(family, rng), family.window, family.direction, family.min_gain, alpha, MAX_PAIRS
        ).verdict
        is Verdict.ACCEPT
        for _ in range(runs)
    )
    print(f"{family.name}: {accepts} false accepts of {runs}, at most {bound(alpha, runs):.1f}")
    assert accepts <= bound(alpha, runs)


def gains(family: Family, rng: random.Random, count: int) -> list[float]:
    """Return fresh gains over the recorded best, less ``min_gain``."""
    sign = 1 if family.direction is Direction.MAXIMIZE else -1
    asked = family.min_gain.at(family.recorded)
    return [sign * (family.measure(rng)[0] - family.recorded) - asked for _ in range(count)]


def one_run_beats_the_record(family: Family, rng: random.Random) -> bool:
    return gains(family, rng, 1)[0] > 0


def mean_of_five_beats_the_record(family: Family, rng: random.Random) -> bool:
    return fmean(gains(family, rng, 5)) > 0


def paired_t_test(family: Family, rng: random.Random) -> bool:
    sign = 1 if family.direction is Direction.MAXIMIZE else -1
    pairs = [family.measure(rng) for _ in range(5)]
    differences = [sign * (a - b) - family.min_gain.at(b) for a, b in pairs]
    return fmean(differences) > t_quantile(0.95, 4) * stdev(differences) / math.sqrt(5)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("rule", [one_run_beats_the_record, mean_of_five_beats_the_record, paired_t_test])
def test_naive_rules_break_the_same_promise(rule: Callable[[Family, random.Random], bool], family: Family) -> None:
    rng = random.Random(f"{family.name} {rule.__name__}")
    accepts = sum(rule(family, rng) for _ in range(RUNS))
    print(f"{rule.__name__} on {family.name}: {accepts / RUNS:.1%} false")
    assert accepts > bound(ALPHA, RUNS)


@pytest.mark.parametrize(("effect", "least", "most_pairs"), [(0.5, 0.5, 190), (1.0, 0.97, 110)])
def test_power_for_a_gain_of_half_and_one_standard_deviation(effect: float, least: float, most_pairs: float) -> None:
    rng = random.Random(effect)
    window = derive_window(mean=0.0, sd=1.0, min_gain=MinGain())
    # A score varies by 1 sd, half of its variance shared by the pair: a difference varies by 1 sd too.
    part = math.sqrt(0.5)
    used, accepts, runs = [], 0, 200
    for _ in range(runs):
        pairs = [
            Pair(index=i, candidate=s + rng.gauss(effect, part), incumbent=s + rng.gauss(0, part))
            for i, s in enumerate(rng.gauss(0, part) for _ in range(200))
        ]
        decision = decide_betting(pairs, window, Direction.MAXIMIZE, MinGain(), ALPHA, 200)
        accepts += decision.verdict is Verdict.ACCEPT
        used.append(decision.n)
    print(f"gain of {effect} sd: accepted {accepts / runs:.1%}, {fmean(used):.0f} pairs on average")
    assert accepts / runs >= least
    assert fmean(used) <= most_pairs


def test_clear_losses_are_dropped_early() -> None:
    rng = random.Random(5)
    window = derive_window(mean=0.0, sd=1.0, min_gain=MinGain())
    used = []
    for _ in range(200):
        pairs = [Pair(index=i, candidate=rng.gauss(-1.0, 0.7), incumbent=rng.gauss(0, 0.7)) for i in range(60)]
        decision = decide_betting(pairs, window, Direction.MAXIMIZE, MinGain())
        assert decision.verdict is not Verdict.ACCEPT
        used.append(decision.n)
    assert fmean(used) < 12
