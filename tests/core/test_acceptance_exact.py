"""Deterministic problems: equal twice means an exact comparison, and no candidate re-classifies one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.acceptance import Verdict, decide_exact
from ar_core.acceptance.exact import Runs
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


def test_a_repeated_gain_is_accepted_with_exact_evidence() -> None:
    decision = decide_exact((2.5, 2.5), (2.0, 2.0), UP, MinGain())
    assert decision.verdict is Verdict.ACCEPT
    assert decision.exact
    assert (decision.mean_gain, decision.interval) == (0.5, (0.5, 0.5))
    assert decision.reason is None
    assert "2 → 2.5" in decision.explanation


@pytest.mark.parametrize(
    ("candidate", "incumbent", "direction", "min_gain", "accepted"),
    [
        (1.0, 1.0, UP, MinGain(), False),
        (math.nextafter(1.0, 2), 1.0, UP, MinGain(), True),
        (math.nextafter(1.0, 0), 1.0, UP, MinGain(), False),
        (math.nextafter(1.0, 0), 1.0, DOWN, MinGain(), True),
        (1.5, 1.0, UP, MinGain(value=0.5), False),
        (1.5000001, 1.0, UP, MinGain(value=0.5), True),
        (99.0, 100.0, DOWN, MinGain(value=0.01, relative=True), False),
        (98.9, 100.0, DOWN, MinGain(value=0.01, relative=True), True),
        (-98.9, -100.0, UP, MinGain(value=0.01, relative=True), True),
        (-99.1, -100.0, UP, MinGain(value=0.01, relative=True), False),
    ],
)
def test_the_gain_has_to_be_above_min_gain(
    candidate: float, incumbent: float, direction: Direction, min_gain: MinGain, accepted: bool
) -> None:
    decision = decide_exact((candidate, candidate), (incumbent, incumbent), direction, min_gain)
    assert decision.verdict is (Verdict.ACCEPT if accepted else Verdict.REJECT)
    assert decision.reason is (None if accepted else Reason.NO_IMPROVEMENT)


@pytest.mark.parametrize("runs", [(2.0, 2.5), (2.0, None), (None, 2.0), (None, None), (math.nan, math.nan)])
def test_a_candidate_that_does_not_repeat_is_an_invalid_score(runs: Runs) -> None:
    decision = decide_exact(runs, (1.0, 1.0), UP, MinGain())
    assert decision.verdict is Verdict.REJECT
    assert decision.reason is Reason.INVALID_SCORE
    assert "ot reproducible" in decision.explanation


@pytest.mark.parametrize("runs", [(1.0, 1.5), (1.0, None), (None, None)])
@pytest.mark.parametrize("candidate", [(9.0, 9.0), (9.0, 8.0), (None, None)])
def test_an_incumbent_that_does_not_repeat_pauses_the_problem_whatever_the_candidate_does(
    runs: Runs, candidate: Runs
) -> None:
    decision = decide_exact(candidate, runs, UP, MinGain())
    assert decision.verdict is Verdict.PAUSE
    assert decision.reason is None


@given(finite, finite)
def test_of_two_versions_at_most_one_beats_the_other(a: float, b: float) -> None:
    verdicts = [
        decide_exact((new, new), (old, old), direction, MinGain()).verdict is Verdict.ACCEPT
        for direction in Direction
        for new, old in ((a, b), (b, a))
    ]
    assert sum(verdicts[:2]) == sum(verdicts[2:]) == (a != b)
    assert verdicts[0] is verdicts[3]
