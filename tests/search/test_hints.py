"""Hints as people write them, in comments and in manifests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_search.hints import Range, parse_range, read_comment, read_manifest_hints


@pytest.mark.parametrize(
    ("text", "low", "high", "log", "whole"),
    [
        ("1..64 int", 1, 64, False, True),
        ("1e-5..1e-1 log", 1e-5, 0.1, True, False),
        ("0..1", 0, 1, False, False),
        ("-10..10", -10, 10, False, False),
        ("-.5 .. 2.", -0.5, 2, False, False),
        ("1..1_000 int log", 1, 1000, True, True),
        ("1..60 int, more is slow", 1, 60, False, True),
        ("0..1 or so", 0, 1, False, False),
    ],
)
def test_ranges(text: str, low: float, high: float, log: bool, whole: bool) -> None:
    found = parse_range(text)
    assert found is not None
    assert (found.low, found.high, found.log, found.whole) == (low, high, log, whole)


@pytest.mark.parametrize(
    "text",
    ["", "5", "2..1", "1..1", "0..1 log", "-1..1 log", "a..b", "0.2..0.8 int", "1..1e999", "..5", "1..", "1..2x"],
)
def test_what_is_no_usable_range_is_none(text: str) -> None:
    assert parse_range(text) is None


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    parse_range(text)
    read_comment(f"# tune: {text}")
    read_manifest_hints((text,))


def test_a_comment_gives_its_range() -> None:
    found = read_comment("# layers; tune: 1..64 int")
    assert found == Range(low=1, high=64, whole=True, whole_ends=True)
    assert read_comment("# fortune: 1..2") is None
    assert read_comment("# tuned: 1..2") is None


def test_manifest_patterns_match_names() -> None:
    hints = read_manifest_hints(("radius_* 0..1", "lr   1e-5..1e-1 log", "nonsense", "* -10..10"))
    assert [hint.pattern for hint in hints] == ["radius_*", "lr", "*"]
    assert [hint.matches("radius_7") for hint in hints] == [True, False, True]
    assert [hint.matches("") for hint in hints] == [False, False, True]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_clipping_lands_inside(value: float) -> None:
    whole = Range(low=0.5, high=7.5, whole=True)
    assert whole.low <= whole.clip(value) <= whole.high
    assert Range(low=0, high=3).clip(value) == min(max(value, 0), 3)
