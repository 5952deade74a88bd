"""The look at whole scores: losses count in full, lucky hits do not, and it is the same for both sides."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.acceptance import Pair, Window, better_on_average
from ar_core.metric import Direction, MinGain

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE
WINDOW = Window(low=0.0, high=1.0)
scores = st.none() | st.floats(allow_nan=True, allow_infinity=True)
Sides = list[tuple[float | None, float | None]]


def numbered(sides: Sides) -> list[Pair]:
    return [Pair(index=i, candidate=a, incumbent=b) for i, (a, b) in enumerate(sides)]


def better(sides: Sides, allowed: MinGain | None = None) -> bool:
    """Ask in both directions, which must not differ."""
    told = better_on_average(numbered(sides), WINDOW, UP, allowed or MinGain())
    turned = [(None if a is None else 1 - a, None if b is None else 1 - b) for a, b in sides]
    if allowed is None or not allowed.relative:
        assert better_on_average(numbered(turned), WINDOW, DOWN, allowed or MinGain()) is told
    return told


@pytest.mark.parametrize(("sides", "expected"), [
    ([(0.75, 0.5)] * 3, True),
    ([(0.5, 0.5)] * 3, False),
    ([], False),
    ([(0.75, 0.5)] * 30 + [(-8.0, 0.5)], False),
    ([(0.75, 0.5)] * 40 + [(-8.0, 0.5)], True),
    # A hit beyond the window pays no more than the window's end.
    ([(0.75, 0.5)] * 30 + [(-8.0, 0.5), (1e9, 0.5)], False),
    ([(0.75, 0.5)] * 16 + [(1e9, 0.5)] * 14 + [(-20.0, 0.5)], False),
    ([(0.75, 0.5), (1e9, 0.5)] * 4 + [(-8.0, 0.5)], False),
    # A gain beyond the window in most runs is no luck, and counts whole.
    ([(10.0, 0.5)] * 30 + [(-50.0, 0.5)], True),
    ([(10.0, 0.5)] * 30 + [(-300.0, 0.5)], False),
    # Nor does the incumbent's luck cost more.
    ([(0.75, 0.5)] * 3 + [(0.5, 1e9)], True),
    # The incumbent's own losses are losses.
    ([(0.75, 0.5)] * 30 + [(-8.0, 0.5), (0.5, -8.0)], True),
    # Runs without a score count as the window's bad end.
    ([(0.75, 0.5)] * 3 + [(None, 0.5)], True), ([(0.75, 0.5)] * 2 + [(math.nan, 0.5)], False),
    ([(0.75, 0.5)] * 2 + [(-math.inf, 0.5), (0.5, math.nan)], True),
])  # fmt: skip
def test_by_examples(sides: Sides, *, expected: bool) -> None:
    assert better(sides) is expected


def test_what_a_shorter_file_may_lose() -> None:
    quarter = MinGain(value=0.25)
    assert better([(0.5, 0.5)], quarter)
    assert not better([(0.25, 0.5)], quarter)
    assert better([(0.375, 0.5)] * 9 + [(-0.75, 0.5)], quarter)
    assert not better([(0.375, 0.5)] * 9 + [(-0.875, 0.5)], quarter)
    # A share is of the incumbent in the window: its own rare losses allow for nothing.
    half = MinGain(value=0.5, relative=True)
    assert better([(0.375, 0.5)], half)
    assert not better([(0.25, 0.5)], half)
    assert not better([(-1000.5, -1000.0)], half)


@given(st.lists(st.tuples(scores, scores), max_size=20), st.randoms(use_true_random=False))
def test_sides_and_order_are_alike_and_no_size_is_too_large(sides: Sides, rng: random.Random) -> None:
    there = better_on_average(numbered(sides), WINDOW, UP)
    back = better_on_average(numbered([(b, a) for a, b in sides]), WINDOW, UP)
    assert not (there and back)
    rng.shuffle(sides)
    assert better_on_average(numbered(sides), WINDOW, UP) is there
