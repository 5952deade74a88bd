"""The rule for times by its definition: the e-value of the sign, warm-up, the slowest tenth, failed runs, no luck."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from ar_core.acceptance import (
    Decision,
    Pair,
    SignProcess,
    Verdict,
    cheapest_timing_accept,
    decide_timing,
    median_interval,
)
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain

ALPHA = 0.005
UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE
ANY = MinGain()
FIVE_PERCENT = MinGain(value=0.05, relative=True)
Sides = Sequence[tuple[float | None, float | None]]
WARM_UP: Sides = [(9.0, 0.1), (9.0, 0.1)]
times = st.none() | st.floats(-1, 10, allow_nan=False) | st.just(math.nan) | st.just(math.inf)


def numbered(sides: Sides, *, warm: bool = True) -> list[Pair]:
    whole = [*WARM_UP, *sides] if warm else sides
    return [Pair(index=i, candidate=a, incumbent=b) for i, (a, b) in enumerate(whole)]


def decide(sides: Sides, *, direction: Direction = DOWN, min_gain: MinGain = ANY, most: int = 200) -> Decision:
    return decide_timing(numbered(sides), direction, min_gain, ALPHA, most)


@pytest.mark.parametrize(("misses", "pairs"), [(0, 11), (1, 15), (2, 19)])
def test_the_cheapest_accept_is_as_published(misses: int, pairs: int) -> None:
    assert cheapest_timing_accept(misses) == pairs
    sides: Sides = [(1.05, 1.0)] * misses + [(0.8, 1.0)] * (pairs - misses)
    decision = decide(sides)
    assert (decision.verdict, decision.n) == (Verdict.ACCEPT, pairs)
    assert decision.evidence >= 200
    assert decide(sides[:-1]).verdict is Verdict.CONTINUE


@given(st.lists(st.booleans(), max_size=120))
def test_the_evidence_is_the_integral_of_the_definition(wins: list[bool]) -> None:
    process = SignProcess()
    for won in wins:
        process = process.after(won=won)
    n, k = process.n, process.wins
    assert (n, k) == (len(wins), sum(wins))
    beta = special.betaln(k + 1, n - k + 1) + math.log(special.betaincc(k + 1, n - k + 1, 0.5))
    assert process.evidence == pytest.approx(math.exp((n + 1) * math.log(2) + beta), rel=1e-9)


@given(st.lists(st.booleans(), max_size=60))
def test_the_evidence_is_a_fair_bet(wins: list[bool]) -> None:
    """Between equals the next pair is a fair coin, and what it brings is on average what there was."""
    process = SignProcess()
    for won in wins:
        process = process.after(won=won)
    mean = (process.after(won=True).evidence + process.after(won=False).evidence) / 2
    assert mean == pytest.approx(process.evidence, rel=1e-12)


def test_ten_thousand_wins_are_still_a_number() -> None:
    process = SignProcess()
    for _ in range(2000):
        process = process.after(won=True)
    assert process.evidence == 1e300
    assert process.reached(1e-200)


@given(st.lists(st.tuples(times, times), max_size=40), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_batches_matter(sides: Sides, rng: random.Random) -> None:
    pairs = numbered(sides, warm=False)
    whole = decide_timing(pairs, DOWN, FIVE_PERCENT, ALPHA, 30)
    shuffled = [*pairs, *pairs[:3]]
    rng.shuffle(shuffled)
    assert decide_timing(shuffled, DOWN, FIVE_PERCENT, ALPHA, 30) == whole
    settled = [d for i in range(len(pairs)) if (d := decide_timing(pairs[:i], DOWN, FIVE_PERCENT, ALPHA, 30)).verdict
               is not Verdict.CONTINUE]  # fmt: skip
    assert all(first == second for first, second in pairwise([*settled, whole] if settled else []))
    assert 0 <= whole.evidence < math.inf


def test_the_first_two_pairs_do_not_count() -> None:
    assert decide([]).n == 0
    assert decide([(0.5, 1.0)]).n == 1


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)), max_size=40))
def test_a_rate_is_the_same_as_its_time(sides: Sides) -> None:
    rates: Sides = [(1 / a, 1 / b) for a, b in sides if a and b]
    times_, rates_ = decide(sides), decide(rates, direction=UP)
    assert (times_.verdict, times_.n, times_.evidence) == (rates_.verdict, rates_.n, rates_.evidence)


def test_a_gain_has_to_be_above_what_is_asked_for() -> None:
    assert decide([(0.97, 1.0)] * 30, min_gain=FIVE_PERCENT).reason is Reason.NO_IMPROVEMENT
    assert decide([(0.94, 1.0)] * 30, min_gain=FIVE_PERCENT).verdict is Verdict.ACCEPT
    # In the metric's unit it is taken of each pair's own incumbent.
    assert decide([(1.85, 2.0)] * 30, min_gain=MinGain(value=0.2)).reason is Reason.NO_IMPROVEMENT
    assert decide([(1.75, 2.0)] * 30, min_gain=MinGain(value=0.2)).verdict is Verdict.ACCEPT


def test_eight_ties_are_no_gain() -> None:
    assert decide([(1.0, 1.0)] * 7).verdict is Verdict.CONTINUE
    decision = decide([(1.0, 1.0)] * 8)
    assert (decision.verdict, decision.reason, decision.n) == (Verdict.REJECT, Reason.NO_IMPROVEMENT, 8)


def test_a_slow_tail_is_no_gain() -> None:
    mostly_faster: Sides = [(0.9, 1.0)] * 4 + [(1.5, 1.0)] + [(0.9, 1.0)] * 4 + [(1.5, 1.0)] + [(0.9, 1.0)] * 30
    decision = decide(mostly_faster)
    assert (decision.verdict, decision.reason, decision.n) == (Verdict.REJECT, Reason.GUARD_FAILED, 19)
    assert "slowest tenth" in decision.explanation
    # It is looked at once: more fast runs behind it do not buy another look.
    assert decide([*mostly_faster, *mostly_faster]).reason is Reason.GUARD_FAILED


def test_many_small_wins_do_not_outweigh_a_loss() -> None:
    sides: Sides = [(0.999, 1.0)] * 6 + [(30.0, 1.0)] + [(0.999, 1.0)] * 30
    assert decide(sides).reason is Reason.NO_IMPROVEMENT


def test_a_failed_candidate_loses_its_pair_and_more_of_them_the_tail() -> None:
    one: Sides = [(None, 1.0)] + [(0.5, 1.0)] * 14
    assert decide(one).verdict is Verdict.ACCEPT
    assert decide(one).candidate_failures == 1
    two: Sides = [(None, 1.0), (math.inf, 1.0)] + [(0.5, 1.0)] * 17
    assert decide(two).reason is Reason.GUARD_FAILED
    assert decide([(0.0, 1.0)] * 20).verdict is Verdict.REJECT


def test_a_failed_incumbent_makes_room_for_one_more_pair() -> None:
    sides: Sides = [(0.5, 1.0)] * 5 + [(0.5, None)] + [(0.5, 1.0)] * 6
    assert (decide(sides).verdict, decide(sides).n) == (Verdict.ACCEPT, 11)
    assert decide([(0.5, 1.0), (0.5, None), (0.5, math.nan), (0.5, 1.0)]).verdict is Verdict.PAUSE
    # However the candidate does in such a pair, it is not counted.
    assert decide([(0.5, None), (0.5, 1.0)]).n == decide([(None, None), (0.5, 1.0)]).n == 1


def test_it_ends_at_the_most_pairs() -> None:
    even: Sides = [(0.9, 1.0), (1.05, 1.0)] * 10
    decision = decide(even, most=20)
    assert (decision.verdict, decision.reason, decision.n) == (Verdict.REJECT, Reason.INCONCLUSIVE, 20)


def noisy(rng: random.Random, outliers: float) -> float:
    """Seconds on a machine that others use too: a spread of 2 %, and now and then a huge outlier."""
    return 1 + rng.expovariate(50) + (rng.expovariate(0.5) if rng.random() < outliers else 0.0)


def drifting(rng: random.Random, count: int, factor: float, outliers: float = 0.08) -> Sides:
    """Return pairs under a load that comes and goes, the order in a pair drawn by a coin."""
    sides: list[tuple[float | None, float | None]] = []
    load = 1.0
    for _ in range(count):
        order = rng.random() < 0.5
        first, second = noisy(rng, outliers), noisy(rng, outliers)
        load = max(1.0, load + rng.gauss(0, 0.05))
        early, late = first * load, second * load * (1 + abs(rng.gauss(0, 0.03)))  # whoever runs second runs slower
        candidate, incumbent = (early, late) if order else (late, early)
        sides.append((candidate * factor, incumbent))
    return sides


@pytest.mark.parametrize(("alpha", "runs"), [(ALPHA, 2000), (0.1, 400)])
def test_equal_versions_are_accepted_no_more_often_than_promised(alpha: float, runs: int) -> None:
    rng = random.Random(f"equal {alpha}")
    accepts = sum(
        decide_timing(numbered(drifting(rng, 120, 1.0)), DOWN, MinGain(), alpha, 100).verdict is Verdict.ACCEPT
        for _ in range(runs)
    )
    most = runs * alpha + 3 * math.sqrt(runs * alpha * (1 - alpha))
    print(f"{accepts} false accepts of {runs}, at most {most:.1f}")
    assert accepts <= most


def test_the_faster_mean_of_five_is_not_such_a_rule() -> None:
    rng = random.Random("naive")
    accepts = 0
    for _ in range(400):
        sides = drifting(rng, 5, 1.0)
        accepts += sum(a for a, _ in sides if a) < sum(b for _, b in sides if b)
    assert accepts > 400 * ALPHA + 3 * math.sqrt(400 * ALPHA)


@pytest.mark.parametrize(
    ("outliers", "least"),
    # Where outliers are nearly as frequent as one in ten, the slowest tenth is one of them by luck.
    [(0.0, 200), (0.02, 190), (0.08, 140)],
)
def test_twenty_percent_faster_is_found(outliers: float, least: int) -> None:
    rng = random.Random("power")
    runs = [numbered(drifting(rng, 150, 0.8, outliers)) for _ in range(200)]
    found = [decide_timing(pairs, DOWN, FIVE_PERCENT, ALPHA, 140) for pairs in runs]
    accepted = [d.n for d in found if d.verdict is Verdict.ACCEPT]
    print(f"{len(accepted)} of 200 found, median {sorted(accepted)[len(accepted) // 2]} pairs")
    assert len(accepted) >= least


def test_the_interval_of_a_median_covers_it_as_often_as_it_says() -> None:
    assert median_interval([1.0] * 5) is None
    assert median_interval([6, 5, 4, 3, 2, 1]) == (1, 6)
    for n in (6, 10, 20):
        low, high = median_interval([float(i) for i in range(1, n + 1)]) or (0, 0)
        k = round(low)
        assert high == n + 1 - k
        assert 2 * stats.binom.cdf(k - 1, n, 0.5) <= 0.05 < 2 * stats.binom.cdf(k, n, 0.5)
