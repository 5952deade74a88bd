"""What crosses the wire comes back as it was; what a newer protocol says is read as something harmless."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core import wire
from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.records import (
    Experiment,
    Finding,
    Identity,
    LeaderboardRow,
    ProblemCard,
    Role,
    StrictBudget,
    TokenRecord,
)
from ar_proto.v1 import catalogue_pb2, enrolment_pb2, experiment_pb2, problem_pb2

times = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
number = st.floats(allow_nan=False)
maybe = st.none() | st.just(0.0) | number
count = st.integers(0, 2**31 - 1)
seconds = st.integers(0, 10**12).map(lambda microseconds: microseconds / 1_000_000)
findings = st.builds(
    Finding, check=text, severity=st.sampled_from(["info", "warning", "error"]), message=text, fix=text
)
experiments = st.builds(
    Experiment, id=text, problem=text, revision=count, state=st.sampled_from(ExperimentState),
    reason=st.none() | st.sampled_from(Reason), explanation=text, worker=text, contributor=text, agent=text,
    note=text, claimed=maybe, verified=maybe, incumbent=maybe, gain=maybe, gain_low=maybe, gain_high=maybe,
    effect_size=maybe, pairs=count, evidence=maybe, exact=st.booleans(), commit=text, parent=text, blob=text,
    verifier=text, feedback=text,
    created=times, updated=times,
)  # fmt: skip
budgets = st.builds(
    StrictBudget, alpha=number, trials=count, accepted=count, spent=st.floats(0, 1),
    next_level=st.floats(0, 1, exclude_min=True),
)  # fmt: skip
cards = st.builds(
    ProblemCard, name=text, title=text, summary=text, revision=count, state=st.sampled_from(ProblemState),
    state_reason=text, kind=text, metric=text, direction=text, unit=text, decimals=count, noise=text, baseline=maybe,
    best=maybe, accepted=count, experiments=count, head=text, contributors=count, publisher=text,
    findings=st.lists(findings, max_size=3).map(tuple), web=text, mutable_path=text, max_bytes=count,
    locked_digest=text, published=times, evaluation=seconds, strict=st.none() | budgets,
)  # fmt: skip
rows = st.builds(
    LeaderboardRow, rank=count, contributor=text, accepted=count, gain=maybe, share=number, experiments=count,
    seconds=seconds, last_accepted=st.none() | times,
)  # fmt: skip
tokens = st.builds(
    TokenRecord, id=text, role=st.sampled_from(Role), contributor=text, uses=count, used=count, expires=times,
    revoked=st.booleans(),
)  # fmt: skip
identities = st.builds(
    Identity, id=text, role=st.sampled_from(Role), contributor=text, machine=text, joined=times,
    public_key=st.binary(max_size=32), banned=st.none() | text,
)  # fmt: skip


def over_the_wire(message: Any) -> Any:
    """Return the message as the other side parses it."""
    return type(message).FromString(message.SerializeToString())


@given(experiments)
def test_an_experiment_comes_back(x: Experiment) -> None:
    assert wire.experiment_from_wire(over_the_wire(wire.experiment_to_wire(x))) == x


@given(cards)
def test_a_problem_comes_back(card: ProblemCard) -> None:
    assert wire.problem_from_wire(over_the_wire(wire.problem_to_wire(card))) == card


@given(rows)
def test_a_leaderboard_row_comes_back(row: LeaderboardRow) -> None:
    assert wire.row_from_wire(over_the_wire(wire.row_to_wire(row))) == row


@given(tokens)
def test_a_token_comes_back(token: TokenRecord) -> None:
    assert wire.token_from_wire(over_the_wire(wire.token_to_wire(token))) == token


@given(identities)
def test_an_identity_comes_back_without_what_stays_on_the_pool(identity: Identity) -> None:
    public = replace(identity, public_key=b"", banned=None)
    assert wire.identity_from_wire(over_the_wire(wire.identity_to_wire(identity))) == public


@given(findings)
def test_a_finding_comes_back(finding: Finding) -> None:
    assert wire.finding_from_wire(over_the_wire(wire.finding_to_wire(finding))) == finding


@given(times, st.integers(-14 * 60, 14 * 60))
def test_a_time_comes_back_to_the_microsecond_whatever_its_zone(when: datetime, minutes: int) -> None:
    elsewhere = when.astimezone(timezone(timedelta(minutes=minutes)))
    back = wire.time_from_wire(over_the_wire(wire.time_to_wire(elsewhere)))
    assert back == when
    assert back.tzinfo is UTC


@given(seconds)
def test_seconds_come_back_to_the_microsecond(value: float) -> None:
    assert wire.seconds_from_wire(over_the_wire(wire.seconds_to_wire(value))) == value


@pytest.mark.parametrize("field", ["claimed", "verified", "incumbent", "gain", "gain_low", "gain_high", "effect_size",
                                   "evidence"])  # fmt: skip
def test_nothing_and_zero_are_different(field: str) -> None:
    x = experiment_pb2.Experiment()
    assert getattr(wire.experiment_from_wire(x), field) is None
    setattr(x, field, 0.0)
    assert getattr(wire.experiment_from_wire(over_the_wire(x)), field) == 0.0


@pytest.mark.parametrize("unknown", [0, 99, 2**31 - 1])
def test_a_newer_protocol_is_read_as_something_harmless(unknown: int) -> None:
    x = experiment_pb2.Experiment(state=unknown, reason=unknown)  # type: ignore[arg-type]
    assert wire.experiment_from_wire(over_the_wire(x)).state is ExperimentState.REPORTED
    assert wire.experiment_from_wire(over_the_wire(x)).reason is None
    problem = problem_pb2.Problem(state=unknown, strict=problem_pb2.StrictBudget())  # type: ignore[arg-type]
    assert wire.problem_from_wire(over_the_wire(problem)).state is ProblemState.PAUSED
    assert wire.problem_from_wire(over_the_wire(problem)).strict is None
    finding = problem_pb2.Finding(severity=unknown)  # type: ignore[arg-type]
    assert wire.finding_from_wire(over_the_wire(finding)).severity == "warning"
    identity = enrolment_pb2.Identity(role=unknown)  # type: ignore[arg-type]
    assert wire.identity_from_wire(over_the_wire(identity)).role is Role.WORKER
    assert wire.role_from_wire(unknown) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("enum", [
    (Role, enrolment_pb2.Role, "ROLE_"), (ExperimentState, experiment_pb2.ExperimentState, "EXPERIMENT_STATE_"),
    (ProblemState, problem_pb2.ProblemState, "PROBLEM_STATE_"), (Reason, experiment_pb2.Reason, "REASON_"),
])  # fmt: skip
def test_the_wire_has_every_word_and_no_other(enum: tuple[Any, Any, str]) -> None:
    ours, theirs, prefix = enum
    assert {prefix + word for word in (*ours.__members__, "UNSPECIFIED")} == set(theirs.keys())


@pytest.mark.parametrize("state", [None, *ProblemState])
def test_states_of_filters_may_be_absent(state: ProblemState | None) -> None:
    assert wire.problem_state_from_wire(wire.problem_state_to_wire(state)) is state


@pytest.mark.parametrize("state", [None, *ExperimentState])
def test_states_of_experiments_may_be_absent(state: ExperimentState | None) -> None:
    assert wire.experiment_state_from_wire(wire.experiment_state_to_wire(state)) is state


@pytest.mark.parametrize("role", [None, *Role])
def test_roles_may_be_absent(role: Role | None) -> None:
    assert wire.role_from_wire(wire.role_to_wire(role)) is role


def test_an_empty_row_is_a_row_of_nothing() -> None:
    row = wire.row_from_wire(catalogue_pb2.LeaderboardRow())
    assert row == LeaderboardRow(rank=0, contributor="", accepted=0, gain=None, share=0.0, experiments=0)
