"""When a candidate is worth a claim."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.metric import Direction, MinGain
from ar_core.problem import Noise
from ar_worker.claims import ClaimRule, beats, runs_needed

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE


@pytest.mark.parametrize(
    ("direction", "noise", "least", "new", "old", "claim"),
    [
        (DOWN, Noise.NONE, MinGain(value=5.0), [94.0], [100.0], True),
        (DOWN, Noise.NONE, MinGain(value=5.0), [95.0], [100.0], False),  # has to exceed it
        (DOWN, Noise.NONE, MinGain(value=5.0), [106.0], [100.0], False),
        (UP, Noise.NONE, MinGain(value=5.0), [106.0], [100.0], True),
        (UP, Noise.NONE, MinGain(), [100.0], [100.0], False),  # a tie is no gain
        (UP, Noise.NONE, MinGain(value=0.1, relative=True), [111.0], [100.0], True),
        (UP, Noise.NONE, MinGain(value=0.1, relative=True), [-91.0], [-100.0], False),
        (UP, Noise.NONE, MinGain(value=0.1, relative=True), [-89.0], [-100.0], True),
        (UP, Noise.SEED, MinGain(value=5.0), [1.0, 2.0, 3.3], [1.0, 2.0, 3.0], True),  # min_gain is for the pool
        (UP, Noise.SEED, MinGain(), [9.0, 1.0, 1.0], [2.0, 2.0, 2.0], True),
        (UP, Noise.SEED, MinGain(), [1.0, 2.0, 3.0], [3.0, 2.0, 1.0], False),
        (DOWN, Noise.SEED, MinGain(), [1.0, 2.0, 2.0], [1.0, 2.0, 3.0], True),
        (DOWN, Noise.TIMING, MinGain(value=0.1, relative=True), [0.8, 0.8, 0.8], [1.0, 1.0, 9.0], True),
        (DOWN, Noise.TIMING, MinGain(value=0.1, relative=True), [0.95, 0.8, 0.8], [1.0, 1.0, 9.0], False),
        (UP, Noise.TIMING, MinGain(), [1.1, 1.1, 1.0], [1.0, 1.0, 1.0], False),
    ],
)
def test_the_rule(
    direction: Direction, noise: Noise, least: MinGain, new: list[float], old: list[float], claim: bool
) -> None:
    assert beats(new, old, direction=direction, noise=noise, min_gain=least) is claim
    assert len(new) == runs_needed(noise)


def rule(parent: float) -> ClaimRule:
    return ClaimRule([parent], direction=UP, noise=Noise.NONE, min_gain=MinGain(value=1.0))


def test_a_claim_raises_the_bar_for_the_next() -> None:
    judged = rule(10.0)
    assert [judged.judge([score]) for score in (10.5, 12.0, 12.9, 13.1, 12.0)] == [False, True, False, True, False]
    assert judged.parent_score == 10.0


def test_somebody_elses_version_becomes_the_parent() -> None:
    judged = rule(10.0)
    assert judged.judge([15.0])
    assert judged.rebase([12.0])
    assert not judged.judge([14.0]), "the claim that still stands is the bar"
    assert not judged.rebase([20.0])
    assert judged.parent_score == 20.0
    assert not judged.judge([20.5])
    assert judged.judge([21.5])


def test_without_a_claim_none_stands() -> None:
    assert not rule(10.0).rebase([5.0])


scores = st.floats(-100, 100)


@given(parent=scores, tries=st.lists(scores, max_size=30))
def test_claims_only_ever_get_better(parent: float, tries: list[float]) -> None:
    judged = rule(parent)
    claims = [score for score in tries if judged.judge([score])]
    assert all(b - a > 1.0 - 1e-9 for a, b in zip([parent, *claims], claims, strict=False))
