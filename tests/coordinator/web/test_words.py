"""The words and figures on pages: complete for every state, and readable for every number."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.web import figures, verdicts
from ar_coordinator.web.changes import compare
from ar_core.lifecycle import ExperimentState, ProblemState, Reason


def test_every_state_and_reason_has_its_word_or_icon() -> None:
    assert set(verdicts.EXPERIMENT_ICONS) == set(ExperimentState)
    assert set(verdicts.PROBLEM_ICONS) == set(ProblemState)
    assert set(verdicts.REASONS) == set(Reason)


@pytest.mark.parametrize(
    ("score", "low", "high", "decimals", "shown"),
    [
        (10.0, 9.0, 11.0, 2, "± 1"),
        (10.0, 9.0, 14.0, 2, "(9 to 14)"),
        (10.0, None, None, 2, ""),
        (10.0, 9.9999, 10.0001, 2, "± 0.0001"),
        (10.0, -math.inf, math.inf, 2, ""),
    ],
)
def test_interval(score: float, low: float | None, high: float | None, decimals: int, shown: str) -> None:
    assert figures.interval(score, low, high, decimals) == shown


@given(value=st.one_of(st.none(), st.floats()), decimals=st.integers(0, 17))
def test_any_number_is_short(value: float | None, decimals: int) -> None:
    assert 1 <= len(figures.number(value, decimals)) <= 36


def test_a_large_number_is_told_by_its_size() -> None:
    assert (figures.number(1e308, 6), figures.number(-1e308, 17)) == ("1e+308", "-1e+308")
    assert figures.interval(1e200, -1e300, 1e300, 3) == "± 1e+300"


@given(e_value=st.one_of(st.none(), st.floats()), exact=st.booleans())
def test_any_evidence_is_short(e_value: float | None, exact: bool) -> None:
    assert 1 <= len(figures.evidence(e_value, exact)) <= 16


@given(size=st.floats())
def test_any_effect_size_is_short(size: float) -> None:
    assert 1 <= len(figures.effect(size)) <= 10


lines = st.lists(st.sampled_from(["a", "b", "c", "", "\x1b[31m", "x" * 900]), max_size=12)


@given(before=lines, after=lines)
def test_changes_count_what_they_show(before: list[str], after: list[str]) -> None:
    changes = compare("\n".join(before).encode(), "\n".join(after).encode())
    assert sum(line.kind == "added" for line in changes.lines) == changes.added
    assert sum(line.kind == "removed" for line in changes.lines) == changes.removed
    assert not any("\x1b" in line.text or len(line.text) > 400 for line in changes.lines)
    if before == after:
        assert changes.lines == ()


def test_change_far_into_a_long_line_is_seen() -> None:
    numbers = [str(i) for i in range(900)]
    before = ",".join(numbers).encode()
    numbers[700] = "changed"
    changes = compare(before, ",".join(numbers).encode())
    assert (changes.added, changes.removed) == (1, 1)
    assert [line.text for line in changes.lines if line.kind == "added"] == ["changed,"]


def test_what_cannot_be_shown_is_a_change_still() -> None:
    assert compare(b"a\xe2\x80\xaeb", b"ab").added == 1


def test_long_files_are_shown_in_part() -> None:
    changes = compare(b"", b"\n".join(b"%d" % i for i in range(5000)))
    assert len(changes.lines) <= 401
    assert "5000 lines" in changes.lines[0].text
    many = compare(b"", b"\n".join(b"%d" % i for i in range(1000)))
    assert (many.added, many.lines[-1].kind) == (1000, "note")
