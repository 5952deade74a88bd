"""By simulation: real gains are found, others are not, and rules that look reasonable fail the same test."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, stdev

import pytest

from ar_core.acceptance import (
    Decision,
    Pair,
    Verdict,
    Window,
    better_on_average,
    decide_betting,
    derive_window,
    publication_pairs,
)
from ar_core.acceptance.student import t_quantile
from ar_core.metric import Direction, MinGain

ALPHA = 0.005
RUNS = 2000
MAX_PAIRS = 150
INCUMBENTS = 5
"""Runs of the incumbent that its published score and the window come from."""
NO_MIN_GAIN = MinGain()
Measure = Callable[[random.Random], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A candidate that is exactly as good as asked for and no better: every accept is false."""

    name: str
    measure: Measure
    explicit: tuple[float, float] | None = None
    """The window of the manifest; else it is derived from the incumbent's runs, for each candidate anew."""
    direction: Direction = Direction.MAXIMIZE
    min_gain: MinGain = NO_MIN_GAIN
    recorded: float
    """The incumbent's true mean, the fairest number that a naive rule could have on record."""

    def window(self, rng: random.Random) -> Window:
        """Fix the window as the pool does, before the candidate is seen."""
        runs = [self.measure(rng)[1] for _ in range(INCUMBENTS)]
        return derive_window(mean=fmean(runs), sd=stdev(runs), min_gain=self.min_gain, explicit=self.explicit)


def normal(rng: random.Random) -> tuple[float, float]:
    seed_effect = rng.gauss(0, 1)
    return seed_effect + rng.gauss(0.1, 1), seed_effect + rng.gauss(0, 1)


def heavy_tailed(rng: random.Random) -> tuple[float, float]:
    return rng.gauss(0, 1) / math.sqrt(rng.expovariate(1)), rng.gauss(0, 1) / math.sqrt(rng.expovariate(1))


def rare_big_losses(rng: random.Random) -> tuple[float, float]:
    """Each side loses much once in 25 runs, whatever the other does."""

    def score() -> float:
        return rng.uniform(-0.1, 0.1) - (5.0 if rng.random() < 0.04 else 0.0)

    base = rng.uniform(-0.1, 0.1)
    return base + score(), base + score()


def only_the_candidate(loss: float) -> Measure:
    """A little better 24 times of 25, much worse once; the incumbent is steady."""

    def measure(rng: random.Random) -> tuple[float, float]:
        incumbent = rng.uniform(-0.1, 0.1)
        return incumbent + (0.2 if rng.random() < 0.96 else -loss), incumbent

    return measure


def spiky(rng: random.Random) -> tuple[float, float]:
    def seconds() -> float:
        return 1 + rng.expovariate(50) + (rng.expovariate(1) if rng.random() < 0.08 else 0.0)

    return 0.99 * seconds(), seconds()


FAMILIES = (
    Family(name="normal", measure=normal, min_gain=MinGain(value=0.1), recorded=0.0),
    Family(name="heavy-tailed", measure=heavy_tailed, recorded=0.0),
    Family(name="rare big losses", measure=rare_big_losses, recorded=-0.2),
    Family(
        name="spiky",
        measure=spiky,
        direction=Direction.MINIMIZE,
        min_gain=MinGain(value=0.01, relative=True),
        recorded=1.1,
    ),
    # The contrast: losses of the candidate's own are in cut scores too where the window holds them.
    Family(
        name="rare big losses, window that holds them",
        measure=only_the_candidate(4.8),
        explicit=(-5.0, 0.5),
        recorded=0.0,
    ),
)


def measured(family: Family, rng: random.Random, start: int, count: int) -> list[Pair]:
    drawn = (family.measure(rng) for _ in range(count))
    return [Pair(index=i, candidate=a, incumbent=b) for i, (a, b) in enumerate(drawn, start)]


def verified(family: Family, rng: random.Random, window: Window, alpha: float) -> tuple[Decision, list[Pair]]:
    """Return the verdict and the pairs that it rests on."""
    pairs = measured(family, rng, 0, MAX_PAIRS)
    decision = decide_betting(pairs, window, family.direction, family.min_gain, alpha, MAX_PAIRS)
    return decision, pairs[: decision.n]


def bound(alpha: float, runs: int) -> float:
    """Return the most false accepts that a kept promise shows in so many runs, at 3 standard errors."""
    return runs * alpha + 3 * math.sqrt(runs * alpha * (1 - alpha))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize(("alpha", "runs"), [(ALPHA, RUNS), (0.1, 200)])
def test_false_accepts_stay_within_the_promise(family: Family, alpha: float, runs: int) -> None:
    rng = random.Random(f"{family.name} {alpha}")
    decisions = (verified(family, rng, family.window(rng), alpha)[0] for _ in range(runs))
    accepts = sum(decision.verdict is Verdict.ACCEPT for decision in decisions)
    print(f"{family.name}: {accepts} false accepts of {runs}, at most {bound(alpha, runs):.1f}")
    assert accepts <= bound(alpha, runs)


@pytest.mark.parametrize("loss", [4.8, 30.0], ids=["equal on average", "worse by 1 on average"])
def test_losses_that_only_the_candidate_has_and_no_window_holds_are_looked_at_in_full(loss: float) -> None:
    """The promise is about cut scores, in which this candidate is better; whole ones decide what is committed."""
    family = Family(name="only the candidate", measure=only_the_candidate(loss), recorded=0.0)
    rng = random.Random(f"only the candidate {loss}")
    runs, bets, published, committed = 200, 0, 0, 0
    for _ in range(runs):
        window = family.window(rng)
        decision, pairs = verified(family, rng, window, ALPHA)
        if decision.verdict is not Verdict.ACCEPT:
            continue
        bets += 1
        fresh = measured(family, rng, MAX_PAIRS, publication_pairs(decision.n))
        came_back = fmean((pair.candidate or 0) - (pair.incumbent or 0) for pair in fresh) > 0
        kept = came_back and better_on_average([*pairs, *fresh], window, family.direction)
        published += came_back
        committed += kept
        losses = sum((pair.candidate or 0) < -loss / 2 for pair in [*pairs, *fresh])
        assert not kept or 0.2 * (decision.n + len(fresh) - losses) > loss * losses
        assert kept or losses or not came_back
    print(f"{loss}: {bets} of {runs} accepted in cut scores, {published} on fresh pairs too, {committed} committed")
    assert bets > 0.9 * runs, "the window hides these losses"
    assert committed < 0.8 * published


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
