"""The books on what the pool has not answered: it may say a verdict again, and that is no news."""

from datetime import UTC, datetime

from ar_core.lifecycle import ExperimentState
from ar_core.records import Experiment
from ar_worker import events as on
from ar_worker.task import LeaseName, Report, ReportKey, Trial
from ar_worker.unconfirmed import Unconfirmed

S = ExperimentState
WHEN = datetime(2026, 3, 4, tzinfo=UTC)
KEY = ReportKey(lease=LeaseName(id="l-1", fencing=1), sequence=1)
TRIAL = Trial(
    content_hash="0" * 64, score=1.0, reason=None, note="", parent_score=0.0, seconds=0.0, content=b"1"
)  # fmt: skip


def experiment(state: ExperimentState) -> Experiment:
    return Experiment(
        id="x-1", problem="sum", revision=1, state=state, contributor="ada", worker="m-1", agent="tuner",
        parent="h0", created=WHEN, updated=WHEN,
    )  # fmt: skip


def claimed() -> Unconfirmed:
    books = Unconfirmed([])
    books.add(Report(key=KEY, trials=(TRIAL,), counted={}, last=False))
    assert books.received(on.Received(key=KEY, experiments=1, ids=("x-1",))) == {"x-1": "0" * 64}
    return books


def told(books: Unconfirmed, *states: ExperimentState) -> list[str | None]:
    return [books.judged(experiment(state)) for state in states]


def test_a_verdict_that_is_said_again_is_no_news() -> None:
    books = claimed()
    assert told(books, S.QUEUED, S.ACCEPTED, S.ACCEPTED, S.HELD, S.REJECTED) == [None, "l-1", None, None, None]
    assert books.claims == 0


def test_what_was_held_has_one_more_verdict() -> None:
    assert told(claimed(), S.HELD, S.HELD, S.QUEUED, S.REJECTED, S.REJECTED, S.HELD) == [
        "l-1", None, None, "", None, None,
    ]  # fmt: skip


def test_a_verdict_that_came_before_its_receipt_is_not_waited_for() -> None:
    for state in (S.ACCEPTED, S.HELD):
        books = Unconfirmed([])
        assert told(books, state) == [""]
        books.add(Report(key=KEY, trials=(TRIAL,), counted={}, last=False))
        books.received(on.Received(key=KEY, experiments=1, ids=("x-1",)))
        assert books.claims == 0
