"""A problem's standings: of which accepts they are the sum, whatever was measured of the others."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ar_coordinator.evidence import Evidence, Score, parse_trailers
from ar_coordinator.histories import record_of_accept
from ar_coordinator.store import Store, keys
from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.records import Experiment, LeaderboardRow, ProblemCard, PublishedScore

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
P = "bin-packing"


@dataclass
class History:
    """A problem on which accepts follow each other."""

    store: Store
    accepts: int = 0

    def revise(self, revision: int) -> None:
        self.store.problems.update(P, revision=revision)

    def accept(
        self, who: str, gain: float, *, revision: int = 1, reason: Reason | None = None, from_git: bool = False
    ) -> Experiment:
        """Accept what ``who`` proposes, as the coordinator does it, or as its commit tells it."""
        self.accepts += 1
        when = WHEN + timedelta(minutes=self.accepts)
        x = Experiment(
            id=f"x-{self.accepts:016x}", problem=P, revision=revision, state=ExperimentState.QUEUED,
            contributor=who, created=when, updated=when,
        )  # fmt: skip
        quota = keys.quota(who, P)
        self.store.experiments.add(x, content_hash=x.id, once=f"ar:once:i-1:{x.id}", quota=quota, limit=0)
        self.store.experiments.start(x.id, 0)
        evidence = Evidence(
            experiment=x.id, problem=P, revision=revision, contributor=who, worker="", agent="hand",
            score=Score(value=10.0 + gain), baseline=10.0, claimed=None, gain=gain, pairs=12, evidence=321.5,
            verifier="local-0", locked_digest="5e1f" * 16, reason=reason,
        )  # fmt: skip
        if from_git:
            evidence = Evidence.from_trailers(parse_trailers(evidence.to_message("shorter").decode()))
        record = record_of_accept(self.accepts, x, evidence, f"h{self.accepts}", when, "B")
        answer = self.store.experiments.accept(
            x, expected_head=f"h{self.accepts - 1}", record=msgspec.json.encode(record).decode(),
            problem={"head": f"h{self.accepts}"}, reason=evidence.reason,
            published=PublishedScore(score=10.0 + gain, incumbent=10.0, gain=gain, pairs=5),
        )  # fmt: skip
        assert answer == "moved"
        found = self.store.experiments.get(x.id)
        assert found is not None
        return found

    def board(self) -> dict[str, LeaderboardRow]:
        return {row.contributor: row for row in self.store.problems.leaderboard(P)}


@pytest.fixture
def history(store: Store) -> History:
    card = ProblemCard(
        name=P, title=P, summary="", revision=1, state=ProblemState.REGISTERING, kind="data", metric="m",
        direction="maximize", published=WHEN,
    )  # fmt: skip
    assert store.problems.reserve(card, publisher_id="i-1", now=1, take_over=False, extra={})[0] == "reserved"
    store.problems.end_registration(P, ProblemState.OPEN, head="h0", baseline=10.0, best=10.0)
    return History(store)


@pytest.mark.parametrize("from_git", [False, True], ids=["directly", "from git"])
@pytest.mark.parametrize("gain", [0.009, -0.004], ids=["luck", "bad luck"])
def test_shorter_files_earn_nothing_however_they_were_measured(history: History, gain: float, from_git: bool) -> None:
    history.accept("bob", 5.0, from_git=from_git)
    for _ in range(18):
        x = history.accept("eve", gain, reason=Reason.SIMPLER, from_git=from_git)
        assert x.published is not None
        assert x.published.gain == gain, "what was measured is told as it was"
    board = history.board()
    assert (board["eve"].accepted, board["eve"].gain, board["eve"].share) == (18, 0.0, 0.0)
    assert (board["bob"].accepted, board["bob"].gain, board["bob"].share) == (1, 5.0, 1.0)
    assert {record.gain for record in history.store.problems.records(P)} == {5.0, gain}


@pytest.mark.parametrize("from_git", [False, True], ids=["directly", "from git"])
def test_a_change_that_was_rebased_earns_its_gain(history: History, from_git: bool) -> None:
    history.accept("bob", 2.5, reason=Reason.REBASED, from_git=from_git)
    assert (history.board()["bob"].gain, history.board()["bob"].share) == (2.5, 1.0)


def test_gains_of_two_revisions_are_never_one_sum(history: History) -> None:
    """Units may differ: a scorer that counts in tenths would make everybody after it ten times as good."""
    history.accept("eve", 5.0)
    history.accept("ada", 15.0)
    history.revise(2)
    before = history.board()
    assert {who: (row.accepted, row.gain, row.share) for who, row in before.items()} == {
        "ada": (1, 0.0, 0.0), "eve": (1, 0.0, 0.0),
    }  # fmt: skip
    history.accept("bob", 20.0, revision=2)
    history.accept("eve", 60.0, revision=2)
    board = history.board()
    assert {who: (row.accepted, row.gain, row.share) for who, row in board.items()} == {
        "ada": (1, 0.0, 0.0), "bob": (1, 20.0, 0.25), "eve": (2, 60.0, 0.75),
    }  # fmt: skip
    assert board["ada"].last_accepted is not None, "who was accepted before stays listed"


def test_for_the_pool_every_revision_that_improved_counts_alike(history: History) -> None:
    def shares() -> dict[str, float]:
        rows = history.store.problems.leaderboard(P, all_revisions=True)
        assert all(row.gain is None for row in rows), "there is no sum of gains"
        return {row.contributor: row.share for row in rows}

    history.accept("eve", 5.0)
    history.accept("ada", 15.0)
    history.revise(2)
    assert shares() == {"ada": 0.75, "eve": 0.25}, "a new revision by itself takes nobody's credit"
    history.accept("ada", 0.5, revision=2, reason=Reason.SIMPLER)
    assert shares() == {"ada": 0.75, "eve": 0.25}
    history.accept("bob", 20.0, revision=2)
    assert shares() == {"ada": 0.375, "bob": 0.5, "eve": 0.125}


def test_records_of_before_reasons_were_kept_are_read(history: History) -> None:
    history.accept("ada", 5.0)
    text = history.store.connection.text
    old = msgspec.json.decode(text.lindex(keys.records(P), 0))
    del old["reason"]
    text.lset(keys.records(P), 0, msgspec.json.encode(old).decode())
    assert history.store.problems.records(P)[0].reason is None
    assert history.board()["ada"].gain == 5.0
