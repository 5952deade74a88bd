"""Experiments against a small model: one state each, counts that agree, an accept that happens once."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from ar_coordinator.store import Store, keys
from ar_coordinator.store import experiments as module
from ar_coordinator.store.experiments import Experiments
from ar_coordinator.store.problems import Record
from ar_core.candidate import sha256
from ar_core.lifecycle import (
    EXPERIMENT_TRANSITIONS,
    SETTLED,
    ExperimentState,
    IllegalTransitionError,
    ProblemState,
    Reason,
)  # fmt: skip
from ar_core.records import Experiment, ProblemCard, PublishedScore

WHEN = datetime(2026, 3, 4, 5, 6, 7, 891011, tzinfo=UTC)
S = ExperimentState
P = "bin-packing"


def make(number: int, *, problem: str = P, state: S = S.QUEUED, who: str = "ada", **more: Any) -> Experiment:
    return Experiment(
        id=f"x-{number:016x}", problem=problem, revision=1, state=state, contributor=who, created=WHEN,
        updated=WHEN, **more,
    )  # fmt: skip


def open_problem(store: Store, name: str = P, head: str = "h0") -> None:
    card = ProblemCard(
        name=name, title=name, summary="", revision=1, state=ProblemState.REGISTERING, kind="data", metric="m",
        direction="minimize", published=WHEN,
    )  # fmt: skip
    assert store.problems.reserve(card, publisher_id="i-1", now=1, take_over=False, extra={})[0] == "reserved"
    store.problems.end_registration(name, ProblemState.OPEN, head=head, baseline=1.0, best=1.0)


def add(store: Store, x: Experiment, content: str = "", once: str = "", limit: int = 0) -> tuple[str, str]:
    added = store.experiments.add(
        x, content_hash=content or x.id, once=once or f"ar:once:i-1:{x.id}",
        quota=keys.quota(x.contributor, x.problem),
        limit=limit,
    )  # fmt: skip
    return added.answer, added.detail


def record(x: Experiment, gain: float | None, reverts: int = 0) -> str:
    one = Record(
        number=1, experiment=x.id, score=0.25, low=None, high=None, gain=gain, n=5, evidence=None, exact=True,
        contributor=x.contributor, worker="", agent="", note="", commit="", revision=1, when=WHEN, reverts=reverts,
    )  # fmt: skip
    return msgspec.json.encode(one).decode()


@pytest.fixture
def opened(store: Store) -> Store:
    open_problem(store)
    return store


@dataclass
class Tried:
    """What the model knows of one experiment."""

    x: Experiment
    state: S
    attempt: int = 0
    settled: set[str] = field(default_factory=set)


class ExperimentMachine(RuleBasedStateMachine):
    """Adding, verifying, judging in any order and twice, against a model in a few lines."""

    store: Store
    ids = Bundle("ids")

    @initialize()
    def empty(self) -> None:
        self.store.connection.raw.flushall()
        open_problem(self.store)
        self.experiments: Experiments = self.store.experiments
        self.model: dict[str, Tried] = {}
        self.once: dict[str, str] = {}
        self.hashes: dict[str, str] = {}
        self.accepts: list[str] = []
        self.open = True
        self.made = 0

    @rule(
        target=ids, content=st.sampled_from("abcdef"), once=st.integers(0, 30).map(str),
        who=st.sampled_from(["ada", "bob"]),
        policy=st.booleans(),
    )  # fmt: skip
    def add(self, content: str, once: str, who: str, *, policy: bool) -> Any:
        self.made += 1
        state = S.REJECTED if policy else S.QUEUED
        x = make(self.made, who=who, state=state, claimed=float(self.made))
        answer, detail = add(self.store, x, content, keys.once("i-1", once))
        if once in self.once:
            assert (answer, detail) == ("again", self.once[once])
            return multiple()
        if not self.open:
            assert (answer, detail) == ("closed", "paused")
            return multiple()
        assert (answer, detail) == ("added", x.id)
        if not policy and content in self.hashes:
            state = S.RECORDED
        elif not policy:
            self.hashes[content] = x.id
        self.once[once] = x.id
        self.model[x.id] = Tried(x, state, settled={state.value} if state in SETTLED else set())
        return x.id

    @rule(x_id=ids)
    def start(self, x_id: str) -> None:
        tried = self.model[x_id]
        expected = tried.attempt + 1 if tried.state is S.QUEUED else 0
        assert self.experiments.start(x_id, 5) == expected
        if expected:
            tried.state, tried.attempt = S.VERIFYING, expected

    @rule(x_id=ids, before=st.sampled_from(S), after=st.sampled_from(S), stale=st.booleans())
    def move(self, x_id: str, before: S, after: S, *, stale: bool) -> None:
        tried = self.model[x_id]
        if after in {S.ACCEPTED, S.VERIFYING}:
            return  # these have scripts of their own
        if after not in EXPERIMENT_TRANSITIONS[before]:
            with pytest.raises(IllegalTransitionError):
                self.experiments.move(x_id, before, after)
            return
        attempt = tried.attempt - 1 if stale else tried.attempt
        moved = self.experiments.move(x_id, before, after, attempt=attempt, explanation=f"{before} {after}")
        assert moved is (before is tried.state and not stale)
        if moved:
            tried.state = after
            if after in SETTLED:
                tried.settled.add(after.value)

    @rule(x_id=ids, stale=st.booleans())
    def accept(self, x_id: str, *, stale: bool) -> None:
        tried, n = self.model[x_id], len(self.accepts)
        head = "elsewhere" if stale else f"h{n}"
        answer = self.experiments.accept(
            tried.x, expected_head=head, record=record(tried.x, 0.5), problem={"head": f"h{n + 1}", "best": float(n)},
            gain=0.5,
            verified=float(n), commit=f"h{n + 1}",
        )  # fmt: skip
        if stale:
            assert answer == "stale"
        elif tried.state is S.VERIFYING:
            assert answer == "moved"
            tried.state = S.ACCEPTED
            tried.settled.add("accepted")
            self.accepts.append(x_id)
        else:
            assert answer == tried.state.value

    @rule()
    def pause_or_resume(self) -> None:
        before, after = ProblemState.OPEN, ProblemState.PAUSED
        if not self.open:
            before, after = after, before
        assert self.store.problems.set_state(P, before, after)
        self.open = not self.open

    @invariant()
    def every_experiment_is_in_one_index_and_counts_agree(self) -> None:
        if not hasattr(self, "model"):
            return
        for state in S:
            assert set(self.experiments.in_state(P, state)) == {i for i, t in self.model.items() if t.state is state}
        assert {waiting.id for waiting in self.experiments.waiting()} == set(self.experiments.in_state(P, S.QUEUED))
        assert set(self.experiments.verifying()) == set(self.experiments.in_state(P, S.VERIFYING))
        for x_id, tried in self.model.items():
            found = self.experiments.get(x_id)
            assert found is not None
            assert found.state is tried.state
            assert self.experiments.attempt(x_id) == tried.attempt
        card = self.store.problems.card(P)
        assert card is not None
        assert card.experiments == len(self.model), "counts never shrink: nothing is ever forgotten"
        assert card.accepted == len(self.accepts) == len(set(self.accepts)), "an accept happens once"
        assert card.head == f"h{len(self.accepts)}"
        assert card.contributors == len({t.x.contributor for t in self.model.values()})
        board = {row.contributor: row for row in self.store.problems.leaderboard(P)}
        for who, row in board.items():
            own = [x_id for x_id, t in self.model.items() if t.x.contributor == who]
            assert (row.experiments, row.accepted) == (len(own), len(set(own) & set(self.accepts)))
            assert row.gain == 0.5 * row.accepted

    @invariant()
    def the_ledger_has_every_settlement_once(self) -> None:
        if hasattr(self, "model"):
            tail = self.experiments.ledger_tail(P, 10_000)
            assert sorted((x_id, state) for _, x_id, state in tail) == sorted(
                (x_id, state) for x_id, tried in self.model.items() for state in tried.settled
            )
            numbers = [number for number, _, _ in tail]
            assert numbers == sorted(set(numbers))


def test_experiments_agree_with_the_model(shared: Store) -> None:
    class Machine(ExperimentMachine):
        pass

    Machine.store = shared
    run_machine(Machine, settings=settings(max_examples=40, stateful_step_count=30, deadline=None))  # type: ignore[no-untyped-call]


def test_what_is_added_is_what_is_read(opened: Store) -> None:
    x = make(1, claimed=0.0, note="shuffle", agent="tuner", worker="m-1", parent="h0", blob="ab" * 32)
    assert add(opened, x) == ("added", x.id)
    assert opened.experiments.get(x.id) == x
    assert opened.experiments.get("x-unknown") is None


def test_a_file_seen_before_is_recorded_as_a_duplicate(opened: Store) -> None:
    add(opened, make(1), "same")
    add(opened, make(2), "same")
    again = opened.experiments.get(make(2).id)
    assert again is not None
    assert (again.state, again.reason) == (S.RECORDED, Reason.DUPLICATE)
    assert make(1).id in again.explanation
    opened.experiments.claims_first(P, 1, "published", "the published file")
    add(opened, make(3), "published")
    found = opened.experiments.get(make(3).id)
    assert found is not None
    assert found.reason is Reason.DUPLICATE


def test_another_revision_has_seen_nothing_yet(opened: Store) -> None:
    add(opened, make(1), "same")
    opened.problems.update(P, revision=2)
    add(opened, make(2), "same")
    assert [x.revision for x in opened.experiments.page(P)[0]] == [2, 1]
    assert [waiting.id for waiting in opened.experiments.waiting()] == [make(1).id, make(2).id]


def test_an_unknown_or_closed_problem_takes_nothing(opened: Store) -> None:
    assert add(opened, make(1, problem="nowhere")) == ("missing", "")
    opened.problems.set_state(P, ProblemState.OPEN, ProblemState.PAUSED)
    assert add(opened, make(2)) == ("closed", "paused")
    assert opened.experiments.page(P) == ([], None)
    assert opened.connection.text.exists(keys.experiment(make(2).id)) == 0


def test_proposals_an_hour_are_limited_and_said_for_how_long(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10_000_000
    monkeypatch.setattr(module, "now_ms", lambda: now)
    for number in range(3):
        assert add(opened, make(number), limit=3)[0] == "added"
        now += 1000
    assert add(opened, make(3), limit=3) == ("quota", str(3_600_000 - 3000))
    assert add(opened, make(0), limit=3) == ("again", make(0).id), "what is answered again costs nothing"
    assert add(opened, make(4, who="bob"), limit=3)[0] == "added", "others have a limit of their own"
    assert add(opened, make(5), limit=0)[0] == "added"
    now += 3_600_000 - 3000
    assert add(opened, make(6), limit=3)[0] == "added"
    assert add(opened, make(7), limit=3)[0] == "quota"


def test_starting_what_is_not_queued_changes_nothing(opened: Store) -> None:
    assert opened.experiments.start("x-unknown", 0) == 0
    assert opened.experiments.get("x-unknown") is None
    assert opened.connection.text.exists(keys.experiment("x-unknown")) == 0
    add(opened, make(1))
    assert opened.experiments.start(make(1).id, 0, incumbent_commit="h0") == 1
    assert opened.experiments.start(make(1).id, 0) == 0
    assert opened.experiments.attempt(make(1).id) == 1
    assert opened.experiments.field(make(1).id, "incumbent_commit") == "h0"


def test_a_verification_that_was_started_again_cannot_settle(opened: Store) -> None:
    add(opened, make(1))
    first = opened.experiments.start(make(1).id, 0)
    assert opened.experiments.move(make(1).id, S.VERIFYING, S.QUEUED, attempt=first)
    second = opened.experiments.start(make(1).id, 0)
    assert not opened.experiments.move(make(1).id, S.VERIFYING, S.REJECTED, attempt=first, reason=Reason.TIMEOUT)
    assert opened.experiments.move(make(1).id, S.VERIFYING, S.REJECTED, attempt=second, reason=Reason.CRASH)
    found = opened.experiments.get(make(1).id)
    assert found is not None
    assert found.reason is Reason.CRASH


def test_an_accept_is_counted_once_and_makes_the_best(opened: Store) -> None:
    x = replace(make(1), claimed=0.5)
    add(opened, x)
    opened.experiments.start(x.id, 0)

    published = PublishedScore(score=0.25 + 2**-50, incumbent=1.0, gain=0.75, pairs=5)

    def accept(head: str) -> str:
        return opened.experiments.accept(
            x, expected_head=head, record=record(x, 0.75), problem={"head": "h1", "best": 0.25, "best_low": None},
            gain=0.8, verified=0.2, published=published,
        )  # fmt: skip

    assert accept("h9") == "stale"
    assert accept("h0") == "moved"
    assert accept("h0") == "stale", "a second one finds another head"
    assert accept("h1") == "accepted"
    card = opened.problems.card(P)
    assert card is not None
    assert (card.accepted, card.best, card.head) == (1, 0.25, "h1")
    assert opened.connection.text.llen(keys.records(P)) == 1
    assert opened.problems.points(P) == [(1, published.score)], "the chart has it where it was published"
    found = opened.experiments.get(x.id)
    assert found is not None
    assert (found.claimed, found.verified, found.published) == (0.5, 0.2, published)
    row = opened.problems.leaderboard(P)[0]
    assert (row.contributor, row.gain, row.share, row.accepted) == ("ada", 0.75, 1.0, 1)
    assert row.last_accepted is not None


def test_what_is_taken_back_leaves_no_crumb_of_credit(opened: Store) -> None:
    """In binary, 0.1 + 0.2 − 0.2 − 0.1 is more than 0: the whole share of whoever has just lost everything."""
    for number, gain in enumerate((0.1, 0.2)):
        x = make(number, who="eve")
        add(opened, x)
        opened.experiments.start(x.id, 0)
        answer = opened.experiments.accept(
            x, expected_head=f"h{number}", record=record(x, gain), problem={"head": f"h{number + 1}"}, gain=gain
        )
        assert answer == "moved"
    assert [(row.accepted, row.gain, row.share) for row in opened.problems.leaderboard(P)] == [(2, 0.1 + 0.2, 1.0)]
    taken_back = [make(1).id, make(0).id]
    answer = opened.audits.revert(
        P, "h2", taken_back, record=record(make(9), None, reverts=2), explanation="", when=WHEN, fields={"head": "h3"}
    )
    assert answer == "moved"
    (row,) = opened.problems.leaderboard(P)
    assert (row.accepted, row.gain, row.share, row.last_accepted) == (0, 0.0, 0.0, None)


def test_a_field_set_to_none_is_removed(opened: Store) -> None:
    add(opened, make(1, note="x"))
    opened.experiments.start(make(1).id, 0, explanation="trying", verified=0.0)
    opened.experiments.move(make(1).id, S.VERIFYING, S.QUEUED, explanation=None, verified=None)
    found = opened.experiments.get(make(1).id)
    assert found == replace(make(1), note="x")


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_pages_show_everything_once_newest_first(opened: Store, limit: int) -> None:
    for number in range(7):
        add(opened, make(number))
    seen: list[str] = []
    before: int | None = None
    while True:
        page, before = opened.experiments.page(P, limit=limit, before=before)
        seen += [x.id for x in page]
        if before is None:
            break
    assert seen == [make(number).id for number in reversed(range(7))]


def test_what_waits_says_for_whom_and_until_when(opened: Store) -> None:
    add(opened, make(1))
    add(opened, make(2, who="bob"))
    opened.experiments.wait_until(make(2).id, 77)
    first, second = opened.experiments.waiting()
    assert (first.id, first.problem, first.contributor, first.not_before) == (make(1).id, P, "ada", 0)
    assert (second.contributor, second.not_before) == ("bob", 77)


def test_bytes_are_stored_with_what_is_queued_and_with_nothing_else(opened: Store) -> None:
    data = b"[1]\xff\x00"
    for number, state in ((1, S.REJECTED), (2, S.QUEUED), (3, S.QUEUED)):
        other = b"%d" % number if number == 3 else data
        x = make(number, state=state, blob=sha256(other))
        opened.experiments.add(
            x, content_hash="same" if state is S.QUEUED else "", once=f"ar:once:{number}",
            quota="ar:quota:x", limit=0,
            content=other,
        )  # fmt: skip
        assert (opened.connection.raw.get(keys.blob(sha256(data))) == data) is (number > 1)
    assert opened.connection.raw.get(keys.blob(sha256(b"3"))) is None, "a duplicate leaves no bytes behind"


def test_the_bell_is_due_when_it_was_asked_for(opened: Store) -> None:
    add(opened, make(1))
    opened.experiments.ring_again(make(1).id, 5)
    assert opened.experiments.due(10) == [], "only what is under verification"
    opened.experiments.start(make(1).id, 100)
    assert opened.experiments.due(99) == []
    assert opened.experiments.due(100) == [make(1).id]
    opened.experiments.ring_again(make(1).id, 200)
    assert opened.experiments.due(199) == []
    opened.experiments.move(make(1).id, S.VERIFYING, S.REJECTED)
    assert opened.experiments.due(10**9) == []


def test_the_ledgers_tail_is_trimmed_through_what_git_has(opened: Store) -> None:
    for number in range(3):
        add(opened, make(number, state=S.REJECTED, reason=Reason.POLICY))
    tail = opened.experiments.ledger_tail(P, 2)
    assert [x_id for _, x_id, _ in tail] == [make(0).id, make(1).id]
    opened.experiments.trim_ledger_tail(P, tail[-1][0])
    assert [x_id for _, x_id, _ in opened.experiments.ledger_tail(P, 9)] == [make(2).id]
    assert opened.experiments.count_up(make(2).id, "failures") == 1
