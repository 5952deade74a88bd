"""A stale change made again on today's best: numbers add up, lines merge, and everything doubtful is left alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.rebasing import may_rebase, merge_lines, rebase
from ar_core.metric import Direction
from ar_core.problem import Evaluation, Files, Kind, Metric, Problem

CODE = "def first():\n    return 1\n\n\ndef second():\n    return 2\n"


def problem(mutable: str = "a.py", max_bytes: int = 1000) -> Problem:
    return Problem(
        name="p-1", title="P", files=Files(program="program.md", mutable=mutable, max_bytes=max_bytes),
        metric=Metric(name="m", direction=Direction.MAXIMIZE),
        evaluation=Evaluation(kind=Kind.DATA, score=("./s",), time_budget=1.0, score_timeout=1.0),
    )  # fmt: skip


def rebased(parent: str, candidate: str, best: str, **about: Any) -> str | None:
    made = rebase(problem(**about), parent.encode(), candidate.encode(), best.encode())
    return None if made is None else made.decode()


@given(st.lists(st.tuples(st.integers(2, 400), st.booleans()), max_size=60))
def test_rebasing_takes_three_tenths_of_verification_at_most(verdicts: list[tuple[int, bool]]) -> None:
    spent = rebased_runs = 0
    for runs, stale in verdicts:
        spent += runs
        if stale and may_rebase(runs, rebased=rebased_runs, spent=spent):
            spent, rebased_runs = spent + runs, rebased_runs + runs
        assert rebased_runs <= max(40, 0.3 * spent)
    assert may_rebase(2, rebased=0, spent=0), "there is nothing yet to take a share of"
    assert not may_rebase(2, rebased=40, spent=100)
    assert may_rebase(2, rebased=40, spent=140)


def test_changes_of_different_numbers_are_both_kept() -> None:
    made = rebased(CODE, CODE.replace("1", "10"), CODE.replace("2", "20"))
    assert made == CODE.replace("1", "10").replace("2", "20")


def test_changes_of_different_lines_are_both_kept() -> None:
    longer = CODE.replace("    return 1\n", "    value = 7\n    return value\n")
    made = rebased(CODE, longer, CODE.replace("return 2", "return 3"))
    assert made == longer.replace("return 2", "return 3")


@pytest.mark.parametrize(("candidate", "best"), [
    (CODE.replace("return 1", "return one"), CODE.replace("return 1", "return uno")),  # the same line
    (CODE.replace("return 1", "return one"), CODE.replace("return 1", "return one")),  # the same change
    (CODE.replace("return 1", "return one"), CODE),  # not stale
    (CODE, CODE.replace("return 1", "return one")),  # no change
    (CODE.replace("return 2\n", "return (2\n"), CODE.replace("return 1", "return one")),  # does not parse
    ("a" * 990 + CODE, CODE.replace("return 1", "return one")),  # too long
])  # fmt: skip
def test_where_nothing_good_comes_of_it_there_is_nothing(candidate: str, best: str) -> None:
    assert rebased(CODE, candidate, best) is None


def test_a_file_that_nobody_can_parse_is_merged_all_the_same() -> None:
    lines = [f"line of words {word}\n" for word in "abcdefghij"]
    one, other = [*lines], [*lines]
    one[1], other[8] = "another line\n", "one more line\n"
    made = rebased("".join(lines), "".join(one), "".join(other), mutable="a.txt")
    assert made == "".join([lines[0], "another line\n", *lines[2:8], "one more line\n", lines[9]])


@given(st.lists(st.text("abc", max_size=3), max_size=12), st.data())
def test_a_merge_is_never_a_guess(lines: list[str], data: st.DataObject) -> None:
    """Each side's change comes through unharmed: what one side left alone is as the other has it."""

    def text(words: list[str]) -> bytes:
        return "".join(f"{word}\n" for word in words).encode()

    other = data.draw(st.lists(st.text("xyz", max_size=3), max_size=12))
    assert merge_lines(text(lines), text(other), text(lines)) == text(other)
    assert merge_lines(text(lines), text(lines), text(other)) == text(other)
    merged = merge_lines(text(lines), text([*lines, "end"]), text(["begin", *lines]))
    assert merged in {text(["begin", *lines, "end"]), None}
