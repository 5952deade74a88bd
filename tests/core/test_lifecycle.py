"""The life cycles as the architecture page draws them; whatever it does not draw raises."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.lifecycle import (
    EXPERIMENT_TRANSITIONS,
    LEASE_TRANSITIONS,
    PROBLEM_TRANSITIONS,
    SETTLED,
    ExperimentState,
    IllegalTransitionError,
    LeaseState,
    ProblemState,
    Reason,
    move_experiment,
    move_lease,
    move_problem,
)

LEASE = "granted → finished released expired cancelled"
EXPERIMENT = """
reported → recorded queued rejected
queued → verifying withdrawn
verifying → accepted rejected held queued
held → queued rejected
accepted → reverted
"""
PROBLEM = """
registering → open refused
open → paused withdrawn
paused → open withdrawn
"""
CYCLES: list[tuple[str, type[StrEnum], Mapping[Any, frozenset[Any]], Callable[[Any, Any], Any]]] = [
    (LEASE, LeaseState, LEASE_TRANSITIONS, move_lease),
    (EXPERIMENT, ExperimentState, EXPERIMENT_TRANSITIONS, move_experiment),
    (PROBLEM, ProblemState, PROBLEM_TRANSITIONS, move_problem),
]
cycles = pytest.mark.parametrize(("drawn", "states", "table", "move"), CYCLES, ids=["lease", "experiment", "problem"])


def edges(drawn: str) -> set[tuple[str, str]]:
    lines = (line.split(" → ") for line in drawn.strip().splitlines())
    return {(before, after) for before, afters in lines for after in afters.split()}


@cycles
def test_the_table_has_the_drawn_changes_and_no_other(
    drawn: str, states: type[StrEnum], table: Mapping[Any, frozenset[Any]], move: Callable[[Any, Any], Any]
) -> None:
    assert set(table) == set(states), "every state is a row, the last ones too"
    assert {(str(before), str(after)) for before, afters in table.items() for after in afters} == edges(drawn)


@cycles
def test_whatever_is_not_drawn_raises(
    drawn: str, states: type[StrEnum], table: Mapping[Any, frozenset[Any]], move: Callable[[Any, Any], Any]
) -> None:
    for before in states:
        for after in states:
            if (before.value, after.value) in edges(drawn):
                assert move(before, after) is after
            else:
                with pytest.raises(IllegalTransitionError, match=f"{before.value} to {after.value}"):
                    move(before, after)


@given(st.lists(st.sampled_from(ExperimentState), max_size=30))
def test_an_accepted_experiment_is_accepted_once_and_never_judged_again(wanted: list[ExperimentState]) -> None:
    state, history = ExperimentState.REPORTED, [ExperimentState.REPORTED]
    for after in wanted:
        try:
            state = move_experiment(state, after)
        except IllegalTransitionError:
            continue
        history.append(state)
    assert history.count(ExperimentState.ACCEPTED) <= 1
    if ExperimentState.ACCEPTED in history:
        rest = history[history.index(ExperimentState.ACCEPTED) + 1 :]
        assert rest in ([], [ExperimentState.REVERTED])
        assert history[history.index(ExperimentState.ACCEPTED) - 1] is ExperimentState.VERIFYING
    for last in (ExperimentState.RECORDED, ExperimentState.WITHDRAWN, ExperimentState.REVERTED):
        assert last not in history[:-1]


def test_an_experiment_is_always_either_settled_or_on_its_way() -> None:
    waiting = {ExperimentState.REPORTED, ExperimentState.QUEUED, ExperimentState.VERIFYING}
    assert waiting == set(ExperimentState) - SETTLED
    for state in waiting:
        assert EXPERIMENT_TRANSITIONS[state], "who waits must be able to get an answer"


def test_reasons_are_the_published_words() -> None:
    published = """no_improvement crash timeout out_of_memory invalid_score guard_failed duplicate policy
        not_reproduced inconclusive implausible stale_conflict infrastructure withdrawn simpler rebased"""
    assert [reason.value for reason in Reason] == published.split()
