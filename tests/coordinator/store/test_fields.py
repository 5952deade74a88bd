"""Every record comes back from a Redis hash as it was."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ar_coordinator.store import Store
from ar_coordinator.store.fields import from_fields, to_fields, to_text
from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.records import Experiment, Finding, Identity, LeaderboardRow, ProblemCard, Role, TokenRecord

zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])
times = st.datetimes(timezones=zones)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
maybe = st.none() | st.just(0.0) | st.floats(allow_nan=False)
count = st.integers(-(2**63), 2**63)
findings = st.builds(
    Finding, check=text, severity=st.sampled_from(["info", "warning", "error"]), message=text, fix=text
)
RECORDS = {
    Experiment: st.builds(
        Experiment, id=text, problem=text, revision=count, state=st.sampled_from(ExperimentState),
        reason=st.none() | st.sampled_from(Reason), explanation=text, worker=text, contributor=text, agent=text,
        note=text, claimed=maybe, verified=maybe, incumbent=maybe, gain=maybe, gain_low=maybe, gain_high=maybe,
        effect_size=maybe, pairs=count, evidence=maybe, exact=st.booleans(), commit=text, parent=text, blob=text,
        verifier=text, feedback=text, created=times, updated=times,
    ),
    ProblemCard: st.builds(
        ProblemCard, name=text, title=text, summary=text, revision=count, state=st.sampled_from(ProblemState),
        state_reason=text, kind=text, metric=text, direction=text, unit=text, decimals=count, noise=text,
        baseline=maybe, best=maybe, accepted=count, experiments=count, head=text, contributors=count, publisher=text,
        findings=st.lists(findings, max_size=3).map(tuple), web=text, mutable_path=text, max_bytes=count,
        locked_digest=text, published=times, evaluation=st.floats(allow_nan=False),
    ),
    Identity: st.builds(
        Identity, id=text, role=st.sampled_from(Role), contributor=text, machine=text, joined=times,
        public_key=st.binary(max_size=32), banned=st.none() | text,
    ),
    TokenRecord: st.builds(
        TokenRecord, id=text, role=st.sampled_from(Role), contributor=text, uses=count, used=count, expires=times,
        revoked=st.booleans(),
    ),
    LeaderboardRow: st.builds(
        LeaderboardRow, rank=count, contributor=text, accepted=count, gain=maybe, share=st.floats(allow_nan=False),
        experiments=count, seconds=st.floats(allow_nan=False), last_accepted=st.none() | times,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
@given(data=st.data())
def test_a_record_comes_back_from_redis(shared: Store, kind: type[Any], data: st.DataObject) -> None:
    record = data.draw(RECORDS[kind])
    redis = shared.connection.text
    redis.delete("ar:test:record")
    redis.hset("ar:test:record", mapping=to_fields(record))
    assert from_fields(kind, redis.hgetall("ar:test:record")) == record


def test_what_is_none_is_no_field_and_zero_is_one() -> None:
    row = LeaderboardRow(rank=1, contributor="ada", accepted=0, gain=None, share=0.0, experiments=3)
    fields = to_fields(row)
    assert "gain" not in fields
    assert fields["share"] == "0.0"
    assert fields["accepted"] == "0"


def test_fields_of_a_newer_version_are_passed_over() -> None:
    now = datetime.now(UTC)
    identity = Identity(id="i-1", role=Role.WORKER, contributor="ada", machine="m-1", joined=now)
    assert from_fields(Identity, {**to_fields(identity), "colour": "blue"}) == identity


@given(st.floats(allow_nan=False))
def test_numbers_keep_full_precision(value: float) -> None:
    assert float(to_text(value)) == value
