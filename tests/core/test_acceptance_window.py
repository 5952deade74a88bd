"""The window: where it comes from, and that no pair can lose more than the process was told."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ar_core.acceptance import Pair, Window, derive_window, worst_difference
from ar_core.acceptance.window import gain_and_difference
from ar_core.metric import Direction, MinGain

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE


@pytest.mark.parametrize(
    ("sd", "min_gain", "low", "high", "expected"),
    [
        (0.5, MinGain(), None, None, (7.0, 13.0)),
        (0.5, MinGain(value=0.2), None, None, (6.0, 14.0)),
        (0.0, MinGain(value=0.01, relative=True), None, None, (8.0, 12.0)),
        (0.5, MinGain(), 9.0, 11.0, (9.0, 11.0)),
        (0.5, MinGain(), 10.0, None, (10.0, 13.0)),
        (0.0, MinGain(), 2.0, 15.0, (2.0, 15.0)),
        (0.0, MinGain(), None, None, (0.0, 20.0)),
        (1e-30, MinGain(), None, 12.0, (0.0, 12.0)),
    ],
)
def test_a_derived_window(
    sd: float, min_gain: MinGain, low: float | None, high: float | None, expected: tuple[float, float]
) -> None:
    window = derive_window(mean=10.0, sd=sd, min_gain=min_gain, low=low, high=high)
    assert (window.low, window.high) == pytest.approx(expected)


def test_an_explicit_window_wins() -> None:
    window = derive_window(mean=10.0, sd=1.0, min_gain=MinGain(), explicit=(0.2, 2.9), low=0.0)
    assert (window.low, window.high) == (0.2, 2.9)


def test_what_cannot_be_a_window_is_an_error() -> None:
    for low, high in ((1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan, 1.0), (-1e308, 1e308)):
        with pytest.raises(ValueError, match="two finite ends"):
            Window(low=low, high=high)
    with pytest.raises(ValueError, match="outside the range"):
        derive_window(mean=10.0, sd=1.0, min_gain=MinGain(), high=9.0)


def test_an_absolute_min_gain_adds_to_the_width() -> None:
    window = Window(low=-1.0, high=3.0)
    for direction in Direction:
        assert worst_difference(window, direction, MinGain(value=0.5)) == -4.5


@given(
    st.floats(-100, 100),
    st.floats(0.01, 100),
    st.sampled_from(Direction),
    st.floats(0, 3),
    st.booleans(),
    st.none() | st.floats(-500, 500),
    st.none() | st.floats(-500, 500),
)
@example(-1.0, 4.0, UP, 2.5, True, None, 0.0)
@example(-3.0, 4.0, DOWN, 2.5, True, None, -3.0)
def test_no_pair_loses_more_than_the_worst(
    low: float,
    width: float,
    direction: Direction,
    value: float,
    relative: bool,
    candidate: float | None,
    incumbent: float | None,
) -> None:
    window = Window(low=low, high=low + width)
    min_gain = MinGain(value=value, relative=relative)
    worst = worst_difference(window, direction, min_gain)
    pair = Pair(index=0, candidate=candidate, incumbent=incumbent)
    gain, difference = gain_and_difference(pair, window, direction, min_gain)
    assert worst < 0
    assert difference >= worst - 1e-9
    assert difference <= gain


@given(st.floats(-100, 100), st.floats(0.01, 100), st.sampled_from(Direction), st.floats(0, 3))
def test_the_worst_is_reached_so_no_power_is_given_away(
    low: float, width: float, direction: Direction, fraction: float
) -> None:
    window = Window(low=low, high=low + width)
    min_gain = MinGain(value=fraction, relative=True)
    reached = min(
        gain_and_difference(Pair(index=0, candidate=None, incumbent=end), window, direction, min_gain)[1]
        for end in (window.low, window.high)
    )
    assert worst_difference(window, direction, min_gain) == reached
