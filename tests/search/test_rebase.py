"""A change of numbers made again on another version: steps add up, bounds hold, and other text is never touched."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ar_search.rebase import add_changes

numbers = st.lists(st.integers(-1000, 1000) | st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=12)


def added(parent: str, candidate: str, best: str, path: str = "a.json", hints: tuple[str, ...] = ()) -> str | None:
    made = add_changes(
        parent=parent.encode(), candidate=candidate.encode(), best=best.encode(), path=path, hints=hints
    )
    return None if made is None else made.decode()


def test_two_changes_of_different_numbers_both_stay() -> None:
    assert added('{"a": 1.0, "b": 2.0}', '{"a": 1.5, "b": 2.0}', '{"a": 1.0, "b": 7.25}') == '{"a": 1.5, "b": 7.25}'


def test_two_steps_of_one_number_add_up() -> None:
    assert added("x = 10 # width\n", "x = 12 # width\n", "x = 17 # width\n", "a.py") == "x = 19 # width\n"


def test_a_whole_number_takes_a_fraction_from_who_wrote_one() -> None:
    assert added("[1, 2]", "[1, 7.25]", "[3.5, 5]") == "[3.5, 10.25]"
    assert added("[1.5, 2]", "[1.5, 7]", "[3.5, 5.5]") == "[3.5, 10.5]"


def test_the_bounds_of_a_hint_hold() -> None:
    was, new, now = (f"LR = {value}  # tune: 0.0..1.0\n" for value in (0.5, 0.9, 0.8))
    made = added(was, new, now, "a.py")
    assert made == "LR = 1.0  # tune: 0.0..1.0\n"
    assert added("LR = 0.5\n", "LR = 0.9\n", "LR = 0.8\n", "a.py", ("LR 0..1",)) == "LR = 1.0\n"


@pytest.mark.parametrize(
    ("parent", "candidate", "best"),
    [
        ("x = 1\n", "x = 1\n", "x = 2\n"),  # nothing was changed
        ("x = 1\n", "x = 2\n", "x = 1\n"),  # the candidate again
        ("x = 1\n", "x = 2\ny = 3\n", "x = 5\n"),  # a line more
        ("x = 1\n", "y = 2\n", "x = 5\n"),  # another name
        ("x = 1\n", "x = 2\n", "x = 5\n\n"),  # the best has other text
    ],
)
def test_anything_but_numbers_is_left_to_others(parent: str, candidate: str, best: str) -> None:
    assert added(parent, candidate, best, "a.py") is None


def test_bytes_that_are_no_text_are_left_alone() -> None:
    assert add_changes(parent=b"1", candidate=b"\xff", best=b"2", path="a.json") is None


@given(numbers, st.data())
def test_what_comes_out_is_the_best_plus_the_difference(start: list[float], data: st.DataObject) -> None:
    steps = st.lists(st.integers(-50, 50), min_size=len(start), max_size=len(start))
    one, other = data.draw(steps), data.draw(steps)
    candidate = [a + b for a, b in zip(start, one, strict=True)]
    best = [a + b for a, b in zip(start, other, strict=True)]
    made = added(json.dumps(start), json.dumps(candidate), json.dumps(best))
    assume(made is not None and all(abs(v) > 1e-9 for v in start))
    assert made is not None
    for value, a, b, c in zip(json.loads(made), start, candidate, best, strict=True):
        if isinstance(value, int):
            assert value in {c + (b - a), abs(c + (b - a))}
        else:
            assert abs(abs(value) - abs(c + (b - a))) <= 1e-4 * max(1.0, abs(b - a))
