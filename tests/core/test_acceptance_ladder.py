"""The ladder: numbers that were measured with hidden files are released in steps, and never more finely."""

from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ar_core.acceptance import Ladder, Pair, Verdict, Window, decide_betting, decide_exact, step_of
from ar_core.acceptance.ladder import outwards, rounded
from ar_core.metric import Direction, MinGain
from ar_core.problem import Noise

STEPS = st.sampled_from([0.05, 0.5, 5.0, 0.04, 1e-6, 3.0, 0.1, 0.7, 1 / 3, 250.0])
VALUES = st.floats(-1e6, 1e6)
DIRECTIONS = st.sampled_from(list(Direction))


def steps(value: float, step: float) -> Fraction:
    """Return how many steps a printed number is, exactly."""
    return Fraction(repr(value)) / Fraction(repr(step))


@pytest.mark.parametrize(("value", "step", "shown"), [
    (0.15000000000000002, 0.05, "0.15"),
    (3 * 0.1, 0.1, "0.3"),
    (5.57521, 0.05, "5.6"),
    (5.574, 0.05, "5.55"),
    (22981.0, 5.0, "22980.0"),
    (0.025, 0.05, "0.05"),
    (-0.025, 0.05, "0.0"),
    (-0.001, 0.05, "0.0"),
    (7, 0.5, "7.0"),
    (1e300, 0.05, "1e+300"),
    (-1.7e308, 1.5e308, "-1.5e+308"),
    (1.7e308, 1.1e308, "1.7976931348623157e+308"),
])  # fmt: skip
def test_it_is_the_nearest_multiple_as_people_write_it(value: float, step: float, shown: str) -> None:
    assert repr(rounded(value, step)) == shown


@given(VALUES, STEPS)
def test_rounding_is_near_and_rounding_again_changes_nothing(value: float, step: float) -> None:
    once = rounded(value, step)
    assert rounded(once, step) == once
    assert abs(steps(value, step) - steps(once, step)) <= Fraction(1, 2) + Fraction(1, 10**6)
    # A step of few decimals gives numbers of few decimals, without the dust of binary fractions.
    if len(repr(step)) <= 6:
        assert steps(once, step).denominator == 1
        shown = repr(once).partition(".")[2]
        assert shown == "0" or len(shown) <= len(f"{step:f}".rstrip("0").partition(".")[2])


@given(VALUES, VALUES, STEPS)
def test_a_better_score_is_never_shown_as_a_worse_one(a: float, b: float, step: float) -> None:
    low, high = sorted((a, b))
    assert rounded(low, step) <= rounded(high, step)


@given(VALUES, st.floats(1.0, 50.0), STEPS)
@example(-0.5, 1.0, 1.0)
@example(0.5, 1.0, 1.0)
def test_what_is_a_step_apart_never_becomes_the_same(value: float, apart: float, step: float) -> None:
    other = value + apart * step
    assume(steps(other, step) - steps(value, step) >= 1)
    assert rounded(other, step) > rounded(value, step)


@given(st.tuples(VALUES, VALUES).map(sorted), STEPS, st.data())
def test_an_interval_grows_and_holds_what_it_held(ends: list[float], step: float, data: st.DataObject) -> None:
    inside = data.draw(st.floats(*ends))
    low, high = outwards((ends[0], ends[1]), step)
    assert low - 1e-9 <= ends[0] <= ends[1] <= high + 1e-9
    assert low <= rounded(inside, step) <= high, "what was measured in it is shown in it"
    assert steps(high, step) - steps(low, step) < steps(ends[1], step) - steps(ends[0], step) + 2 + Fraction(1, 10**6)


@given(VALUES, VALUES, st.sampled_from([0.05, 0.5, 0.04, 1e-6, 0.1, 5.0]), DIRECTIONS)
def test_a_gain_is_the_difference_of_what_is_released(a: float, b: float, step: float, direction: Direction) -> None:
    ladder = Ladder(step=step)
    new, old = ladder.score(a), ladder.score(b)
    gain = ladder.gain(direction, new, old)
    assert gain == -ladder.gain(direction, old, new)
    assert rounded(gain, step) == gain, "no dust"
    sign = 1 if direction is Direction.MAXIMIZE else -1
    assert Fraction(repr(gain)) == sign * (Fraction(repr(new)) - Fraction(repr(old)))


@given(st.lists(VALUES, min_size=2, max_size=2), STEPS, DIRECTIONS)
def test_an_exact_accept_is_shown_as_a_gain(scores: list[float], step: float, direction: Direction) -> None:
    mine, theirs = scores
    if decide_exact((mine, mine), (theirs, theirs), direction, MinGain(value=step)).verdict is Verdict.ACCEPT:
        assume(abs(steps(mine, step) - steps(theirs, step)) >= 1)
        ladder = Ladder(step=step)
        assert ladder.gain(direction, ladder.score(mine), ladder.score(theirs)) > 0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=12, max_size=40), DIRECTIONS)
def test_a_gain_lies_in_its_interval(scores: list[tuple[float, float]], direction: Direction) -> None:
    pairs = [Pair(index=n, candidate=a, incumbent=b) for n, (a, b) in enumerate(scores)]
    decision = decide_betting(pairs, Window(low=0.0, high=1.0), direction, MinGain(value=0.05))
    assume(decision.interval is not None)
    assert decision.mean_gain is not None
    used = pairs[: decision.n]
    assume(len(used) == len(pairs))
    ladder = Ladder(step=0.05)
    mine = sum(pair.candidate or 0.0 for pair in used) / len(used)
    theirs = sum(pair.incumbent or 0.0 for pair in used) / len(used)
    released = ladder.gain_interval(decision.interval)
    assert released is not None
    assert released[0] <= ladder.gain(direction, ladder.score(mine), ladder.score(theirs)) <= released[1]


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.07, 0.35, 0.6, 0.04]))
def test_no_score_leaves_the_range_and_steps_apart_stay_apart(a: float, b: float, step: float) -> None:
    ladder = Ladder(step=step, low=0.0, high=1.0)
    assert 0.0 <= ladder.score(a) <= 1.0
    ends = ladder.score_interval((min(a, b), max(a, b)))
    assert ends is not None
    assert 0.0 <= ends[0] <= ladder.score(a) <= ends[1] <= 1.0
    if abs(steps(a, step) - steps(b, step)) >= 1:
        assert ladder.score(a) != ladder.score(b)


@given(VALUES)
def test_without_a_step_every_digit_is_told(value: float) -> None:
    ladder = Ladder(low=-1.0, high=1.0)
    assert ladder.score(value) == value
    assert ladder.score_interval((value, value)) == (value, value)
    assert ladder.gain_interval((value, value)) == (value, value)
    assert ladder.gain_interval(None) is Ladder(step=0.1).gain_interval(None) is None
    assert Ladder(step=0.1).score_interval(None) is None


@pytest.mark.parametrize(("hidden", "noise", "min_gain", "baseline", "step"), [
    (True, Noise.NONE, MinGain(value=0.05), 5.57521, 0.05),
    (True, Noise.SEED, MinGain(value=0.04), 2.2, 0.04),
    (False, Noise.NONE, MinGain(value=0.05), 5.57521, None),
    (True, Noise.NONE, MinGain(), 5.57521, None),
    (True, Noise.TIMING, MinGain(value=0.1, relative=True), 5.57521, None),
    # A share is fixed with the baseline, and tells no digits of it.
    (True, Noise.NONE, MinGain(value=0.01, relative=True), 22981.0, 200.0),
    (True, Noise.NONE, MinGain(value=0.01, relative=True), -22981.0, 200.0),
    (True, Noise.SEED, MinGain(value=0.02, relative=True), 0.9731, 0.01),
    (True, Noise.SEED, MinGain(value=0.02, relative=True), 3.1, 0.05),
    (True, Noise.SEED, MinGain(value=0.02, relative=True), 0.0, None),
    (True, Noise.NONE, MinGain(value=0.5, relative=True), 4e-9, 2e-09),
])  # fmt: skip
def test_whose_numbers_are_rounded_and_to_what(
    hidden: bool, noise: Noise, min_gain: MinGain, baseline: float, step: float | None
) -> None:
    assert step_of(hidden=hidden, noise=noise, min_gain=min_gain, baseline=baseline) == step


@given(st.floats(1e-6, 1e9), st.floats(0.001, 1.0))
def test_the_step_of_a_share_is_no_more_than_the_gain_that_counts(baseline: float, share: float) -> None:
    asked = MinGain(value=share, relative=True)
    step = step_of(hidden=True, noise=Noise.NONE, min_gain=asked, baseline=baseline)
    assert step is not None
    assert 0.4 * asked.at(baseline) < step <= asked.at(baseline)
    assert f"{step:e}"[0] in "125"
