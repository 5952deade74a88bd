"""The betting rule by its definition: stakes, stopping, order, gaps and what a failed run counts as."""

import math
import random
from itertools import accumulate
from statistics import fmean, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.acceptance import (
    BettingProcess,
    Decision,
    Pair,
    Verdict,
    Window,
    cheapest_accept,
    decide_betting,
    next_batch,
    publication_pairs,
)
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE
UNIT = Window(low=0.0, high=1.0)
scores = st.none() | st.floats(-2, 3, allow_nan=False)
some_pairs = st.lists(st.tuples(scores, scores), max_size=40)


def numbered(sides: list[tuple[float | None, float | None]]) -> list[Pair]:
    return [Pair(index=i, candidate=a, incumbent=b) for i, (a, b) in enumerate(sides)]


def decide(pairs: list[Pair], max_pairs: int = 200, min_gain: float = 0.0) -> Decision:
    return decide_betting(pairs, UNIT, UP, MinGain(value=min_gain), max_pairs=max_pairs)


@pytest.mark.parametrize(("share", "pairs"), [(1.0, 10), (0.5, 16), (0.25, 28)])
def test_the_cheapest_accept_is_as_published(share: float, pairs: int) -> None:
    assert cheapest_accept(share) == pairs
    steady = numbered([(share, 0.0)] * 40)
    decision = decide(steady)
    assert (decision.verdict, decision.n) == (Verdict.ACCEPT, pairs)
    assert decide(steady[: pairs - 1]).verdict is Verdict.CONTINUE
    assert decision.evidence >= 200
    assert decision.mean_gain == pytest.approx(share)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.floats(1e-3, 1e3))
def test_the_process_is_the_product_of_the_definition(differences: list[float], scale: float) -> None:
    process = BettingProcess(worst=-scale)
    capital = 1.0
    for i, d in enumerate(differences):
        past = [x * scale for x in differences[:i]]
        m = fmean(past) if past else 0.0
        stake = min(m / (pvariance(past) + m * m), 0.9 / scale) if m * m > 1e-200 and m > 0 else 0.0
        if abs(m) > 1e-12 * scale or m == 0:
            assert process.stake / scale == pytest.approx(stake, rel=1e-6, abs=1e-12 / scale)
        capital *= 1 + process.stake * d
        process = process.after(d * scale)
    assert process.evidence == pytest.approx(capital, rel=1e-9)
    assert process.n == len(differences)


@given(st.lists(st.floats(-1, 1), max_size=60))
def test_the_capital_never_runs_out_and_the_stake_stays_in_its_bounds(differences: list[float]) -> None:
    steps = accumulate(differences, BettingProcess.after, initial=BettingProcess(worst=-1.0))
    for process in steps:
        assert 0 <= process.stake <= 0.9
        assert 0 < process.evidence < math.inf


def test_a_tiny_mean_and_a_huge_scale_do_not_break_the_stake() -> None:
    assert BettingProcess(worst=-1.0).after(5e-324).after(5e-324).stake == 0.9
    assert 0 < BettingProcess(worst=-1e300).after(1e300).after(-0.99e300).stake < 0.9


@given(some_pairs, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(
    sides: list[tuple[float | None, float | None]], rng: random.Random
) -> None:
    pairs = numbered(sides)
    shuffled = rng.sample(pairs, len(pairs))
    assert decide(shuffled) == decide(pairs)
    assert decide([*shuffled, *pairs[:3]]) == decide(pairs)


@given(some_pairs)
def test_a_verdict_stands_however_many_more_pairs_arrive(
    sides: list[tuple[float | None, float | None]],
) -> None:
    pairs = numbered(sides)
    final = decide(pairs, max_pairs=30)
    first = next(
        (
            decision
            for n in range(len(pairs) + 1)
            if (decision := decide(pairs[:n], max_pairs=30)).verdict is not Verdict.CONTINUE
        ),
        final,
    )
    assert first == final


def test_pairs_behind_a_gap_wait() -> None:
    pairs = numbered([(1.0, 0.0)] * 30)
    assert decide(pairs[1:]).n == 0
    decision = decide(pairs[:5] + pairs[6:])
    assert (decision.verdict, decision.n) == (Verdict.CONTINUE, 5)
    assert decide([*pairs[6:], *pairs[:5], pairs[5]]).verdict is Verdict.ACCEPT


def test_a_contradiction_is_an_error_not_a_choice() -> None:
    with pytest.raises(ValueError, match="pair 0 arrived"):
        decide([Pair(index=0, candidate=1.0, incumbent=0.0), Pair(index=0, candidate=0.9, incumbent=0.0)])
    with pytest.raises(ValueError, match="count from 0"):
        decide([Pair(index=-1, candidate=1.0, incumbent=0.0)])


@given(some_pairs)
def test_minimising_is_maximising_the_negative(sides: list[tuple[float | None, float | None]]) -> None:
    up = decide_betting(numbered(sides), UNIT, UP, MinGain(value=0.01))
    mirrored = [(None if a is None else -a, None if b is None else -b) for a, b in sides]
    down = decide_betting(numbered(mirrored), Window(low=-1.0, high=-0.0), DOWN, MinGain(value=0.01))
    assert up == down


@pytest.mark.parametrize("failure", [None, math.nan, math.inf, -math.inf, -5.0])
def test_a_failed_run_counts_as_the_bad_end_of_the_window(failure: float | None) -> None:
    failing = decide(numbered([(0.9, 0.5), (failure, 0.5)]))
    assert failing.mean_gain == pytest.approx((0.4 - 0.5) / 2)
    broken_best = decide(numbered([(0.9, failure)] * 12))
    assert broken_best.verdict is Verdict.ACCEPT
    assert broken_best.mean_gain == pytest.approx(0.9)
    if failure != -5.0:
        assert failing.candidate_failures == 1
        assert broken_best.incumbent_failures == broken_best.n


def test_a_steady_loss_ends_after_three_pairs() -> None:
    decision = decide(numbered([(0.5, 0.5)] * 3), min_gain=0.01)
    assert (decision.verdict, decision.reason, decision.n) == (Verdict.REJECT, Reason.NO_IMPROVEMENT, 3)
    assert decision.futile
    assert decide(numbered([(0.5, 0.5)] * 2), min_gain=0.01).verdict is Verdict.CONTINUE


def test_ties_end_after_eight_pairs_so_that_a_rare_gain_has_its_chance() -> None:
    assert decide(numbered([(0.5, 0.5)] * 7)).verdict is Verdict.CONTINUE
    decision = decide(numbered([(0.5, 0.5)] * 8))
    assert (decision.verdict, decision.reason) == (Verdict.REJECT, Reason.NO_IMPROVEMENT)


def test_a_hopeless_mean_ends_at_eight_pairs_and_a_doubtful_one_goes_on() -> None:
    losing = [(0.4, 0.5), (0.3, 0.5), (0.45, 0.5), (0.35, 0.5)] * 2
    assert decide(numbered(losing[:7])).verdict is Verdict.CONTINUE
    assert decide(numbered(losing)).reason is Reason.NO_IMPROVEMENT
    doubtful = [(0.4, 0.5), (0.6, 0.5)] * 4
    assert decide(numbered(doubtful)).verdict is Verdict.CONTINUE


def test_the_last_pair_without_evidence_is_inconclusive_and_later_pairs_are_not_looked_at() -> None:
    doubtful = numbered([(0.4, 0.5), (0.6, 0.5)] * 10)
    decision = decide(doubtful, max_pairs=10)
    assert (decision.verdict, decision.reason, decision.n) == (Verdict.REJECT, Reason.INCONCLUSIVE, 10)
    assert decision.futile
    assert "10 pairs" in decision.explanation


def test_nothing_measured_yet_is_undecided() -> None:
    decision = decide([])
    assert (decision.verdict, decision.n, decision.evidence) == (Verdict.CONTINUE, 0, 1.0)
    assert decision.mean_gain is None
    assert decision.interval is None


def test_the_display_numbers_are_of_the_gains_before_min_gain() -> None:
    decision = decide(numbered([(0.6, 0.5), (0.8, 0.5), (0.7, 0.5)]), min_gain=0.1)
    assert decision.mean_gain == pytest.approx(0.2)
    assert decision.effect_size == pytest.approx(2.0)
    assert decision.interval == pytest.approx((0.2 - 0.2484138, 0.2 + 0.2484138), abs=1e-6)


def test_batches_are_small_first_and_never_pass_the_limit() -> None:
    sizes, pairs = [], 0
    while batch := next_batch(pairs):
        sizes.append(batch)
        pairs += batch
    assert sizes == [3, 2, 3, 4, 6, 9, 14, 21, 31, 47, 60]
    assert next_batch(0, max_pairs=2) == 2
    assert next_batch(250) == 0


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_a_batch_makes_progress_within_the_limit(pairs: int, max_pairs: int) -> None:
    batch = next_batch(pairs, max_pairs)
    assert (batch > 0) == (pairs < max_pairs)
    assert batch == 0 or pairs + batch <= max_pairs


@pytest.mark.parametrize(("pairs", "runs"), [(0, 5), (10, 5), (20, 5), (21, 6), (28, 7), (80, 20), (200, 20)])
def test_the_published_score_takes_a_quarter_of_the_pairs(pairs: int, runs: int) -> None:
    assert publication_pairs(pairs) == runs
