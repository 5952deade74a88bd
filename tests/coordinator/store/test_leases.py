"""Leases against a small model: one holder at most, numbers given once, reports counted once. Time is the test's."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from ar_coordinator.store import Store, keys
from ar_coordinator.store.lease_scripts import (
    CLAIMS_A_LEASE,
    COOL_DOWN_MS,
    ENDED_LEASES,
    FIRST_SLOTS,
    KEPT_RECORDS,
    LONGEST_COOL_DOWN_MS,
    NOISY_FAILURES,
    RECORDED_A_LEASE,
    RECORDED_AN_HOUR,
    TOLD,
    WAITING_CLAIMS,
)  # fmt: skip
from ar_coordinator.store.leases import KEEP_MS, Granted, Name, NewLease, Renewed, Reported, Standing, Tried
from ar_core.candidate import sha256
from ar_core.lifecycle import ExperimentState, LeaseState, ProblemState, Reason
from ar_core.records import Experiment, ProblemCard

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LATEST_MS = 600_000
PROBLEMS = ("bin-packing", "zlib")
P = PROBLEMS[0]
S = ExperimentState


def open_problem(store: Store, name: str = P, noise: str = "none") -> None:
    card = ProblemCard(
        name=name, title=name, summary="", revision=1, state=ProblemState.REGISTERING, kind="data", metric="m",
        direction="minimize", noise=noise, published=WHEN,
    )  # fmt: skip
    assert store.problems.reserve(card, publisher_id="i-1", now=1, take_over=False, extra={})[0] == "reserved"
    store.problems.end_registration(name, ProblemState.OPEN, head="h0", baseline=1.0, best=1.0)


def join(store: Store, *identities: str) -> None:
    for identity in identities:
        store.connection.text.hset(keys.identity(identity), "id", identity)


def grant(store: Store, lease: str, identity: str, now: int, problem: str = P, slots: int = 2) -> Granted:
    new = NewLease(
        id=lease, identity=identity, contributor=f"name of {identity}", machine=f"m-{identity}", agent="tuner",
        problem=problem, revision=1, parent="h0", blobs=("b1", "b2"), slots=slots, latest_ms=LATEST_MS,
    )  # fmt: skip
    return store.leases.run(store.leases.grant(new, now))


def report(
    store: Store, identity: str, lease: Name, sequence: int, *tried: Tried, now: int, counted: int = 0,
    seconds: float = 0.0, last: bool = False,
) -> Reported:  # fmt: skip
    return store.leases.run(
        store.leases.report(
            identity, lease, sequence, tried, counted=counted, seconds=seconds, last=last, now=now,
            when=WHEN.isoformat(),
        )
    )  # fmt: skip


def standing(store: Store, identity: str, now: int, slots: int = 64) -> Standing:
    return store.leases.run(store.leases.standing(identity, slots, now))


def plain(number: int) -> Tried:
    return Tried(
        id=f"x-{number:016x}", state="recorded", reason="no_improvement", score=1.0, content_hash=f"{number:064x}"
    )


def claim(number: int, content: str, score: float = 0.5) -> Tried:
    data = content.encode()
    return Tried(
        id=f"x-{number:016x}", state="queued", score=score, content_hash=sha256(data), blob=sha256(data), content=data
    )


def settle(store: Store, experiment: str, after: S, **changes: Any) -> None:
    """Bring a queued experiment to a verdict, as the referee does."""
    attempt = store.experiments.start(experiment, 0, incumbent_commit=changes.pop("incumbent_commit", "h0"))
    assert attempt
    if after is S.ACCEPTED:
        x = store.experiments.get(experiment)
        assert x is not None
        answer = store.experiments.accept(x, expected_head="h0", record="{}", problem={}, gain=1.0, **changes)
        assert answer == "moved"
    else:
        assert store.experiments.move(experiment, S.VERIFYING, after, attempt=attempt, **changes)


def total(store: Store, problem: str = P) -> int:
    return int(store.problems.field(problem, "experiments") or 0)


# --- A model of everything


@dataclass
class Lease:
    name: Name
    identity: str
    problem: str
    latest: int
    deadline: int
    state: LeaseState = LeaseState.GRANTED
    receipts: dict[int, Reported] = field(default_factory=dict)


class LeaseMachine(RuleBasedStateMachine):
    """Machines that come, report, repeat themselves, fall silent and lie about whose lease it is."""

    store: Store

    @initialize()
    def empty(self) -> None:
        self.store.connection.raw.flushall()
        join(self.store, "i-a", "i-b")
        for problem in PROBLEMS:
            open_problem(self.store, problem)
        self.now = 1_000_000
        self.leases: dict[str, Lease] = {}
        self.totals = dict.fromkeys(PROBLEMS, 0)
        self.open = dict.fromkeys(PROBLEMS, True)
        self.fencings: list[int] = []
        self.numbers = iter(range(1, 10**9))
        self.hashes: dict[tuple[str, str], str] = {}
        self.waiting: dict[str, str] = {}

    def held(self, identity: str = "", problem: str = "") -> list[Lease]:
        granted = [lease for lease in self.leases.values() if lease.state is LeaseState.GRANTED]
        return [one for one in granted if identity in {"", one.identity} and problem in {"", one.problem}]

    @rule(identity=st.sampled_from(["i-a", "i-b", "i-gone"]), problem=st.sampled_from(PROBLEMS))
    def grant(self, identity: str, problem: str) -> None:
        number = next(self.numbers)
        granted = grant(self.store, f"l-{number}", identity, self.now, problem)
        if identity == "i-gone":
            expected = "gone"
        elif not self.open[problem]:
            expected = "closed"
        else:
            # All its slots are used, and one lease waits.
            full = len(self.held(identity)) > FIRST_SLOTS or self.unverified(identity) >= WAITING_CLAIMS
            expected = "quota" if full else "granted"
        assert granted.answer == expected
        if granted.answer == "granted":
            assert all(granted.fencing > old for old in self.fencings), "a number is given once"
            self.fencings.append(granted.fencing)
            name = Name(id=f"l-{number}", fencing=granted.fencing)
            self.leases[name.id] = Lease(name, identity, problem, self.now + LATEST_MS, self.now + KEEP_MS)

    def unverified(self, identity: str) -> int:
        return sum(self.leases[lease].identity == identity for lease in self.waiting)

    @rule(data=st.data(), stranger=st.booleans(), off=st.sampled_from([0, 0, 0, -1, 1]))
    def renew(self, data: st.DataObject, stranger: bool, off: int) -> None:
        if not self.leases:
            return
        lease = data.draw(st.sampled_from(list(self.leases.values())))
        who = "i-a" if (lease.identity == "i-b") is stranger else "i-b"
        named = Name(id=lease.name.id, fencing=lease.name.fencing + off)
        renewed = self.store.leases.run(self.store.leases.renew(who, [named], self.now))
        mine = who == lease.identity and off == 0 and lease.state is LeaseState.GRANTED
        if mine and lease.latest <= self.now:
            lease.state, mine = LeaseState.EXPIRED, False
        assert renewed == Renewed(trouble="", good=(mine,))
        if mine:
            lease.deadline = min(self.now + KEEP_MS, lease.latest)

    @rule(data=st.data(), stranger=st.booleans())
    def release(self, data: st.DataObject, stranger: bool) -> None:
        if not self.leases:
            return
        lease = data.draw(st.sampled_from(list(self.leases.values())))
        who = "i-gone" if stranger else lease.identity
        released = self.store.leases.run(self.store.leases.release(who, lease.name))
        assert released is (not stranger and lease.state is LeaseState.GRANTED)
        if released:
            lease.state = LeaseState.RELEASED

    @rule(
        data=st.data(), how_many=st.integers(0, 3), counted=st.integers(0, 5),
        content=st.sampled_from(["", "a", "b", "c"]), off=st.sampled_from([0, 0, 0, 0, 1]),
        last=st.sampled_from([False, False, True]),
    )  # fmt: skip
    def report(self, data: st.DataObject, how_many: int, counted: int, content: str, off: int, last: bool) -> None:
        if not self.leases:
            return
        lease = data.draw(st.sampled_from(list(self.leases.values())))
        tried = [plain(next(self.numbers)) for _ in range(how_many)]
        if content:
            tried.append(claim(next(self.numbers), content))
        sequence = len(lease.receipts) + 1
        named = Name(id=lease.name.id, fencing=lease.name.fencing + off)
        answer = report(self.store, lease.identity, named, sequence, *tried, now=self.now, counted=counted, last=last)
        if off or lease.state is LeaseState.FINISHED:
            assert answer == Reported(answer="fenced" if off else "settled")
            return
        assert answer.experiments == len(tried) + counted
        assert answer.ids == tuple(one.id for one in tried)
        self.note(lease, answer, tried, content)
        lease.receipts[sequence] = answer
        self.totals[lease.problem] += answer.experiments
        if last and lease.state is LeaseState.GRANTED:
            lease.state = LeaseState.FINISHED

    @rule(data=st.data())
    def report_again(self, data: st.DataObject) -> None:
        """Repeat a report, with other words even: its number is what counts."""
        told = [lease for lease in self.leases.values() if lease.receipts]
        if told:
            lease = data.draw(st.sampled_from(told))
            sequence = data.draw(st.sampled_from(sorted(lease.receipts)))
            before = lease.receipts[sequence]
            content = claim(next(self.numbers), "something else")
            answer = report(self.store, lease.identity, lease.name, sequence, content, now=self.now, counted=9)
            assert (answer.experiments, answer.ids, answer.queued) == (before.experiments, before.ids, ())

    def note(self, lease: Lease, answer: Reported, tried: list[Tried], content: str) -> None:
        """Follow one claim: a file known already is a duplicate, else it replaces the one that waits."""
        if not content:
            assert answer.queued == ()
            return
        key = (lease.problem, tried[-1].content_hash)
        if key in self.hashes:
            assert answer.queued == ()
            x = self.store.experiments.get(tried[-1].id)
            assert x is not None
            assert (x.state, x.reason) == (S.RECORDED, Reason.DUPLICATE)
            return
        assert answer.queued == (tried[-1].id,)
        before = self.waiting.pop(lease.name.id, None)
        if before is not None:
            x = self.store.experiments.get(before)
            assert x is not None
            assert (x.state, x.reason) == (S.WITHDRAWN, Reason.WITHDRAWN)
            self.hashes = {k: v for k, v in self.hashes.items() if v != before}
        self.hashes[key] = tried[-1].id
        self.waiting[lease.name.id] = tried[-1].id

    @rule(data=st.data(), after=st.sampled_from([S.REJECTED, S.HELD]))
    def verdict(self, data: st.DataObject, after: S) -> None:
        """A claim settles without shame: it was measured as claimed."""
        if self.waiting:
            lease = data.draw(st.sampled_from(sorted(self.waiting)))
            settle(self.store, self.waiting.pop(lease), after, verified=0.5, reason=Reason.NO_IMPROVEMENT)

    @rule(identity=st.sampled_from(["i-a", "i-b"]))
    def look(self, identity: str) -> None:
        before = standing(self.store, identity, self.now)
        assert set(before.unverified) == {
            x for lease, x in self.waiting.items() if self.leases[lease].identity == identity
        }
        assert standing(self.store, identity, self.now).settled == (), "a verdict is told once"

    @rule(problem=st.sampled_from(PROBLEMS))
    def pause_or_resume(self, problem: str) -> None:
        before, after = ProblemState.OPEN, ProblemState.PAUSED
        if not self.open[problem]:
            before, after = after, before
        assert self.store.problems.set_state(problem, before, after)
        self.open[problem] = not self.open[problem]
        over = self.held(problem=problem) if not self.open[problem] else []
        assert set(self.store.leases.run(self.store.leases.cancel(problem))) == {lease.name.id for lease in over}
        for lease in over:
            lease.state = LeaseState.CANCELLED

    @rule(ms=st.sampled_from([1, KEEP_MS - 1, KEEP_MS, LATEST_MS]))
    def pass_time(self, ms: int) -> None:
        self.now += ms

    @rule()
    def expire(self) -> None:
        late = [lease for lease in self.held() if lease.deadline <= self.now]
        assert set(self.store.leases.run(self.store.leases.expire(self.now))) == {lease.name.id for lease in late}
        for lease in late:
            lease.state = LeaseState.EXPIRED

    @invariant()
    def everybody_agrees(self) -> None:
        if not hasattr(self, "leases"):
            return
        leases = self.store.leases
        for lease in self.leases.values():
            assert leases.state(lease.name.id) is lease.state
        for identity in ("i-a", "i-b"):
            assert leases.of_identity(identity) == sorted(lease.name.id for lease in self.held(identity))
        text = self.store.connection.text
        for problem in PROBLEMS:
            held = self.held(problem=problem)
            assert leases.on_problem(problem) == sorted(lease.name.id for lease in held)
            assert int(text.hget(keys.in_flight(problem), "h0") or 0) == len(held)
            assert total(self.store, problem) == self.totals[problem]
            rows = self.store.problems.leaderboard(problem)
            assert sum(row.experiments for row in rows) == self.totals[problem]


def test_leases_whatever_happens(shared: Store) -> None:
    class Machine(LeaseMachine):
        pass

    Machine.store = shared
    run_machine(Machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))  # type: ignore[no-untyped-call]


# --- What the model leaves out


@pytest.fixture
def opened(store: Store) -> Store:
    open_problem(store)
    join(store, "i-a", "i-b")
    return store


@pytest.fixture
def lease(opened: Store) -> Name:
    return Name(id="l-1", fencing=grant(opened, "l-1", "i-a", 1000).fencing)


def test_a_report_counts_once(opened: Store, lease: Name) -> None:
    first = report(opened, "i-a", lease, 1, plain(1), claim(2, "good"), now=2000, counted=3, last=True)
    again = report(opened, "i-a", lease, 1, plain(3), claim(4, "good"), now=2000, counted=3, last=True)
    assert (first.experiments, first.queued) == (5, ("x-0000000000000002",))
    assert again == Reported(answer="receipt", experiments=5, ids=first.ids)
    assert total(opened) == 5
    assert report(opened, "i-a", lease, 2, plain(5), now=2000) == Reported(answer="settled")
    assert report(opened, "i-b", lease, 2, plain(5), now=2000) == Reported(answer="unknown")


def test_a_machine_holds_no_more_than_it_may(opened: Store, lease: Name) -> None:
    # It is new, and gets fewer leases than it has slots.
    assert grant(opened, "l-2", "i-a", 1000, slots=9).answer == "granted"
    assert grant(opened, "l-3", "i-a", 1000, slots=9).answer == "quota"
    opened.leases.run(opened.leases.release("i-a", lease))
    assert grant(opened, "l-3", "i-a", 1000, slots=9).answer == "granted"


@pytest.mark.parametrize("slots", [1, FIRST_SLOTS])
def test_where_all_slots_are_used_one_lease_waits_for_the_next(opened: Store, slots: int) -> None:
    for n in range(slots + 1):
        assert grant(opened, f"l-{n}", "i-a", 1000, slots=slots).answer == "granted"
    assert grant(opened, "l-one-more", "i-a", 1000, slots=slots).answer == "quota"
    assert standing(opened, "i-a", 1000, slots=slots).leases == slots + 1


def test_a_lease_is_not_held_for_ever(opened: Store, lease: Name) -> None:
    """Whoever takes work and sits on it loses it, however alive it says it is."""
    now = 1000
    while now + KEEP_MS - 1 < 1000 + LATEST_MS:
        now += KEEP_MS - 1
        assert opened.leases.run(opened.leases.renew("i-a", [lease], now)).good == (True,)
        assert opened.leases.run(opened.leases.expire(now)) == []
    assert opened.leases.run(opened.leases.expire(1000 + LATEST_MS)) == ["l-1"]
    assert report(opened, "i-a", lease, 1, plain(1), now=now + LATEST_MS).experiments == 1
    other = Name(id="l-2", fencing=grant(opened, "l-2", "i-a", 1000).fencing)
    assert opened.leases.run(opened.leases.renew("i-a", [other], 1000 + LATEST_MS)).good == (False,)
    assert opened.leases.state("l-2") is LeaseState.EXPIRED


def test_what_is_recorded_of_one_lease_is_bounded(opened: Store, lease: Name) -> None:
    for sequence in (1, 2):
        tried = [plain(sequence * 1000 + i) for i in range(80)]
        answer = report(opened, "i-a", lease, sequence, *tried, now=2000)
        assert answer.experiments == 80
    assert [bool(one) for one in answer.ids] == [True] * 20 + [False] * 60
    page, _ = opened.experiments.page(P, limit=1000)
    assert len(page) == RECORDED_A_LEASE
    assert total(opened) == 160
    # A claim is recorded all the same.
    answer = report(opened, "i-a", lease, 3, claim(1, "better"), now=2000)
    assert answer.queued == ("x-0000000000000001",)


def test_claims_of_one_lease_are_bounded(opened: Store, lease: Name) -> None:
    for n in range(1, CLAIMS_A_LEASE + 2):
        answer = report(opened, "i-a", lease, n, claim(n, f"content {n}"), now=2000)
    assert answer.ids == ("",)
    assert len(opened.experiments.waiting()) == 1
    assert total(opened) == CLAIMS_A_LEASE + 1


def test_the_record_of_an_experiment(opened: Store, lease: Name) -> None:
    answer = report(opened, "i-a", lease, 1, plain(7), claim(8, "better"), now=2000, counted=5, seconds=0.25)
    one, other = opened.experiments.get_many(answer.ids)
    assert one == Experiment(
        id="x-0000000000000007", problem=P, revision=1, state=S.RECORDED, reason=Reason.NO_IMPROVEMENT,
        worker="m-i-a", contributor="name of i-a", agent="tuner", claimed=1.0, parent="h0", created=WHEN,
        updated=WHEN,
    )  # fmt: skip
    assert (other.state, other.blob, other.claimed) == (S.QUEUED, sha256(b"better"), 0.5)
    assert opened.blobs.get(other.blob) == b"better"
    assert [w.id for w in opened.experiments.waiting()] == [other.id]
    assert opened.problems.points(P) == [(1, 1.0)]
    assert [x for _, x, _ in opened.experiments.ledger_tail(P, 10)] == [one.id]
    # Counted ones take numbers too: the next in the chart comes after them.
    later = report(opened, "i-a", lease, 2, plain(9), now=2000)
    assert opened.experiments.field(later.ids[0], "number") == "8"
    assert opened.connection.text.zscore(keys.standing(P, "seconds"), "name of i-a") == 0.25


def test_a_slot_has_not_worked_longer_than_it_had_the_lease(opened: Store, lease: Name) -> None:
    report(opened, "i-a", lease, 1, now=3000, counted=1, seconds=1e9)
    report(opened, "i-a", lease, 2, now=5000, counted=1, seconds=1e9)
    assert opened.connection.text.zscore(keys.standing(P, "seconds"), "name of i-a") == 4.0


def test_a_claim_beside_one_under_verification(opened: Store, lease: Name) -> None:
    (first,) = report(opened, "i-a", lease, 1, claim(1, "good"), now=2000).queued
    assert opened.experiments.start(first, 0)
    (second,) = report(opened, "i-a", lease, 2, claim(2, "better"), now=2000).queued
    states = [x.state for x in opened.experiments.get_many([first, second])]
    assert states == [S.VERIFYING, S.QUEUED]


def test_a_replaced_file_may_come_again(opened: Store, lease: Name) -> None:
    report(opened, "i-a", lease, 1, claim(1, "good"), now=2000)
    report(opened, "i-a", lease, 2, claim(2, "better"), now=2000)
    assert report(opened, "i-a", lease, 3, claim(3, "good"), now=2000).queued == ("x-0000000000000003",)


def test_what_others_say_of_a_file_does_not_keep_it_from_being_claimed(opened: Store, lease: Name) -> None:
    """A machine cannot make another's good candidate worthless by reporting its hash as a failure."""
    good = claim(2, "good")
    other = grant(opened, "l-2", "i-b", 1000)
    bad = Tried(id="x-0000000000000001", state="recorded", reason="crash", content_hash=good.content_hash)
    report(opened, "i-b", Name(id="l-2", fencing=other.fencing), 1, bad, now=2000)
    assert report(opened, "i-a", lease, 1, good, now=2000).queued == (good.id,)


def test_a_withdrawn_problem_takes_nothing_more(opened: Store, lease: Name) -> None:
    opened.problems.set_state(P, ProblemState.OPEN, ProblemState.WITHDRAWN)
    assert report(opened, "i-a", lease, 1, claim(1, "good"), now=2000).answer == "closed"
    assert total(opened) == 0


def test_a_lease_of_an_old_revision_ends(opened: Store, lease: Name) -> None:
    assert opened.leases.run(opened.leases.cancel(P)) == []
    opened.problems.update(P, revision=2)
    assert opened.leases.run(opened.leases.cancel(P)) == ["l-1"]


def test_claims_wait_for_verdicts_before_there_is_more_work(opened: Store) -> None:
    for n in range(1, WAITING_CLAIMS + 1):
        held = Name(id=f"l-{n}", fencing=grant(opened, f"l-{n}", "i-a", 1000).fencing)
        report(opened, "i-a", held, 1, claim(n, f"content {n}"), now=2000, last=True)
    assert grant(opened, "l-9", "i-a", 2000).answer == "quota"
    assert grant(opened, "l-9", "i-b", 2000).answer == "granted"
    settle(opened, "x-0000000000000001", S.ACCEPTED)
    assert grant(opened, "l-10", "i-a", 2000).answer == "granted"


def test_a_machine_whose_claims_hold_gets_more_slots(opened: Store, lease: Name) -> None:
    assert standing(opened, "i-a", 2000).leases == FIRST_SLOTS
    report(opened, "i-a", lease, 1, claim(1, "good"), now=2000)
    settle(opened, "x-0000000000000001", S.ACCEPTED)
    now = standing(opened, "i-a", 2000)
    assert now.settled == ("x-0000000000000001",)
    assert now.leases == FIRST_SLOTS + 2
    assert standing(opened, "i-a", 2000, slots=1).leases == 2


@pytest.mark.parametrize(("noise", "first"), [("none", 1), ("seed", NOISY_FAILURES)])
def test_claims_that_do_not_hold_cool_a_machine_down(store: Store, noise: str, first: int) -> None:
    open_problem(store, noise=noise)
    join(store, "i-a")
    now, waits = 1000, []
    for n in range(1, first + 9):
        held = Name(id=f"l-{n}", fencing=grant(store, f"l-{n}", "i-a", now).fencing)
        report(store, "i-a", held, 1, claim(n, f"content {n}", score=1e9), now=now, last=True)
        settle(store, f"x-{n:016x}", S.REJECTED, verified=1.0, reason=Reason.NOT_REPRODUCED)
        after = standing(store, "i-a", now)
        waits.append(after.wait_ms)
        assert grant(store, "l-0", "i-a", now).answer == ("cool_down" if after.wait_ms else "granted")
        store.leases.run(store.leases.release_others("i-a", []))
        store.connection.text.delete(keys.lease("l-0"))
        now += after.wait_ms
    steps = [min(LONGEST_COOL_DOWN_MS, COOL_DOWN_MS * 2**n) for n in range(9)]
    assert waits == [0] * (first - 1) + steps
    assert standing(store, "i-a", now).leases == 1


def test_an_honest_claim_that_came_too_late_is_no_failure(opened: Store, lease: Name) -> None:
    report(opened, "i-a", lease, 1, claim(1, "good", score=0.5), now=2000)
    settle(opened, "x-0000000000000001", S.REJECTED, verified=0.5, reason=Reason.NO_IMPROVEMENT)
    assert standing(opened, "i-a", 2000).wait_ms == 0


def test_an_accept_ends_a_row_of_failures(opened: Store, lease: Name) -> None:
    report(opened, "i-a", lease, 1, claim(1, "lie", score=1e9), now=2000)
    settle(opened, "x-0000000000000001", S.REJECTED, verified=1.0)
    assert standing(opened, "i-a", 2000).wait_ms == COOL_DOWN_MS
    report(opened, "i-a", lease, 2, claim(2, "good"), now=2000)
    settle(opened, "x-0000000000000002", S.ACCEPTED)
    assert standing(opened, "i-a", 2000).wait_ms == 0


def test_nothing_for_who_is_banned_or_gone(opened: Store, lease: Name) -> None:
    opened.connection.text.hset(keys.identity("i-a"), "banned", "spam")
    assert grant(opened, "l-2", "i-a", 2000).answer == "banned"
    assert report(opened, "i-a", lease, 1, plain(1), now=2000).answer == "banned"
    assert opened.leases.run(opened.leases.renew("i-a", [lease], 2000)) == Renewed(trouble="banned", good=(False,))
    opened.connection.text.delete(keys.identity("i-a"))
    assert standing(opened, "i-a", 2000).trouble == "gone"


def test_draining(opened: Store) -> None:
    opened.set_draining(True)
    assert grant(opened, "l-1", "i-a", 1000).answer == "draining"
    opened.set_draining(False)
    assert grant(opened, "l-1", "i-a", 1000).answer == "granted"


def test_who_may_read_which_blob(opened: Store, lease: Name) -> None:
    def may(identity: str, blob: str) -> bool:
        return opened.leases.run(opened.leases.may_read(identity, blob))

    opened.leases.publish_files(P, 1, ["public"])
    opened.leases.publish_best(P, "best")
    assert [may("i-a", blob) for blob in ("b1", "b2", "public", "best")] == [True] * 4
    assert [may("i-a", blob) for blob in ("b", "b11", "other", "")] == [False] * 4
    assert not any(may("i-b", blob) for blob in ("b1", "b2", "public", "best"))
    opened.leases.run(opened.leases.release("i-a", lease))
    assert not any(may("i-a", blob) for blob in ("b1", "public", "best"))


def test_leases_that_a_machine_has_forgotten(opened: Store, lease: Name) -> None:
    grant(opened, "l-2", "i-a", 1000)
    grant(opened, "l-3", "i-b", 1000)
    assert opened.leases.run(opened.leases.release_others("i-a", ["l-1"])) == ["l-2"]
    assert [opened.leases.state(one) for one in ("l-1", "l-2", "l-3", "l-4")] == [
        LeaseState.GRANTED, LeaseState.RELEASED, LeaseState.GRANTED, None,
    ]  # fmt: skip


def test_an_ended_lease_is_forgotten_after_a_day(opened: Store, lease: Name) -> None:
    text = opened.connection.text
    report(opened, "i-a", lease, 1, plain(1), now=2000)
    assert text.ttl(keys.lease("l-1")) == -1
    report(opened, "i-a", lease, 2, now=2000, last=True)
    for key in (keys.lease("l-1"), keys.lease("l-1") + ":receipts"):
        assert 86_000 < text.ttl(key) <= 86_400


def test_the_last_attempts_are_told(opened: Store, lease: Name) -> None:
    lines = [Tried(id=f"x-{n:016x}", state="recorded", line=f"line {n}") for n in range(12)]
    report(opened, "i-a", lease, 1, *lines, now=2000)
    attempts = grant(opened, "l-2", "i-a", 2000).attempts
    assert attempts == tuple(f"line {n}" for n in range(11, 1, -1))


# --- What one machine can leave behind


def blobs(store: Store) -> set[str]:
    return set(store.connection.text.keys("ar:blob*"))


def kept(*contents: str, waiting: bool = True) -> set[str]:
    """The keys of these bytes, and that only a waiting claim needs them."""
    names = [sha256(content.encode()) for content in contents]
    return {make(name) for name in names for make in ([keys.blob, keys.blob_of] if waiting else [keys.blob])}


def test_only_the_last_claim_of_a_report_leaves_its_bytes(opened: Store, lease: Name) -> None:
    answer = report(opened, "i-a", lease, 1, *(claim(n, f"content {n}") for n in range(1, 8)), now=2000)
    assert answer.queued == tuple(f"x-{n:016x}" for n in range(1, 8))
    assert blobs(opened) == kept("content 7")
    states = [x.state for x in opened.experiments.get_many(answer.ids)]
    assert states == [S.WITHDRAWN] * 6 + [S.QUEUED]
    assert {x.blob for x in opened.experiments.get_many(answer.ids[:-1])} == {""}


def test_a_claim_that_was_replaced_unmeasured_takes_its_bytes_along(opened: Store, lease: Name) -> None:
    report(opened, "i-a", lease, 1, claim(1, "good"), now=2000)
    assert blobs(opened) == kept("good")
    (second,) = report(opened, "i-a", lease, 2, claim(2, "better"), now=2000).queued
    assert blobs(opened) == kept("better")
    # One that was begun with keeps them: the ledger wants them, and a batch may name them.
    assert opened.experiments.start(second, 0)
    assert opened.experiments.move(second, S.VERIFYING, S.QUEUED)
    report(opened, "i-a", lease, 3, claim(3, "best"), now=2000)
    assert blobs(opened) == kept("better", "best")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("whose", ["the pool's", "a proposal's", "another problem's claim's"])
def test_bytes_that_somebody_else_needs_stay(opened: Store, lease: Name, when: str, whose: str) -> None:
    """Else a machine could claim a published file, replace its claim, and so take the file from the pool."""
    open_problem(opened, PROBLEMS[1])

    def also_need() -> None:
        if whose == "the pool's":
            opened.blobs.put(b"good")
        elif whose == "a proposal's":
            x = Experiment(
                id="x-by-hand", problem=PROBLEMS[1], revision=1, state=S.QUEUED, contributor="ada", worker="m-1",
                agent="hand", parent="h0", created=WHEN, updated=WHEN, blob=sha256(b"good"),
            )  # fmt: skip
            added = opened.experiments.add(x, content_hash="h", once="once", quota="quota", limit=0, content=b"good")
            assert added.answer == "added"
        else:
            other = grant(opened, "l-2", "i-b", 1000, PROBLEMS[1])
            report(opened, "i-b", Name(id="l-2", fencing=other.fencing), 1, claim(9, "good"), now=2000)

    if when == "before":
        also_need()
    report(opened, "i-a", lease, 1, claim(1, "good"), now=2000)
    if when == "after":
        also_need()
    report(opened, "i-a", lease, 2, claim(2, "better"), now=2000)
    assert blobs(opened) >= kept("good", waiting=False) | kept("better")
    assert opened.blobs.get(sha256(b"good")) == b"good"


def test_a_claim_whose_problem_was_withdrawn_takes_its_bytes_along(opened: Store, lease: Name) -> None:
    (one,) = report(opened, "i-a", lease, 1, claim(1, "good"), now=2000).queued
    assert opened.experiments.move(one, S.QUEUED, S.WITHDRAWN, reason=Reason.WITHDRAWN)
    assert standing(opened, "i-a", 2000).settled == (one,)
    assert blobs(opened) == set()


def test_what_one_machine_has_recorded_in_an_hour_is_bounded(opened: Store, lease: Name) -> None:
    text, hour, most = opened.connection.text, "ar:hour:i-a", RECORDED_AN_HOUR * FIRST_SLOTS
    report(opened, "i-a", lease, 1, plain(1), claim(2, "good"), now=2000)
    assert text.get(hour) == "2"
    assert 3500 < text.ttl(hour) <= 3600
    # Instead of the other ten thousand.
    text.set(hour, most // 2 - 1, keepttl=True)
    answer = report(opened, "i-a", lease, 2, plain(3), plain(4), claim(5, "better"), now=2000)
    assert answer.ids == ("x-0000000000000003", "", "x-0000000000000005")
    assert answer.experiments == 3
    assert grant(opened, "l-2", "i-a", 2000, slots=1).answer == "granted"
    text.set(hour, most, keepttl=True)
    opened.leases.run(opened.leases.release_others("i-a", []))
    answer = report(opened, "i-a", lease, 3, plain(6), claim(7, "best"), now=2000)
    assert (answer.ids, answer.experiments, answer.queued) == (("", ""), 2, ())
    refused = grant(opened, "l-3", "i-a", 2000)
    assert (refused.answer, 0 < refused.wait_ms <= 3_600_000) == ("quota", True)
    assert grant(opened, "l-4", "i-b", 2000).answer == "granted"
    # Who is trusted with more leases may tell of more.
    text.hset(keys.trust("i-a"), "held", 1)
    assert grant(opened, "l-5", "i-a", 2000).answer == "granted"


def test_old_records_are_left_to_the_ledger_in_git(opened: Store, lease: Name) -> None:
    text = opened.connection.text
    recorded = keys.experiments(P, S.RECORDED.value)
    first = report(opened, "i-a", lease, 1, plain(1), plain(2), plain(3), claim(4, "good"), now=2000).ids
    filler = {f"x-{n}": 10 + n for n in range(KEPT_RECORDS - 3)}
    text.zadd(recorded, filler)
    text.zadd(keys.experiments(P), filler)
    report(opened, "i-a", lease, 2, plain(5), plain(6), now=2000)
    assert text.zcard(recorded) == KEPT_RECORDS + 2, "the ledger does not have them yet"
    (*_, last) = [number for number, x, _ in opened.experiments.ledger_tail(P, 100) if x == first[1]]
    opened.experiments.trim_ledger_tail(P, last)
    report(opened, "i-a", lease, 3, plain(7), now=2000)
    assert text.zcard(recorded) == KEPT_RECORDS + 1
    assert [x.id for x in opened.experiments.get_many(first)] == [first[2], first[3]]
    assert text.zscore(keys.experiments(P), first[0]) is None
    assert total(opened) == 7, "they count still"


def test_ended_leases_are_forgotten_when_there_are_too_many(opened: Store, lease: Name) -> None:
    report(opened, "i-a", lease, 1, plain(1), now=2000)
    opened.leases.run(opened.leases.release("i-a", lease))
    for n in range(ENDED_LEASES):
        assert opened.leases.state("l-1") is LeaseState.RELEASED
        held = Name(id=f"l-x{n}", fencing=grant(opened, f"l-x{n}", "i-a", 2000).fencing)
        assert opened.leases.run(opened.leases.release("i-a", held))
    assert opened.leases.state("l-1") is None
    assert not opened.connection.text.exists(keys.lease("l-1") + ":receipts")
    assert opened.leases.state("l-x0") is LeaseState.RELEASED


# --- Verdicts that have to arrive


def told(store: Store) -> dict[str, int]:
    return store.leases.run(store.leases.told("i-a"))


def test_a_verdict_is_kept_until_it_has_arrived(opened: Store, lease: Name) -> None:
    for n in (1, 2):
        report(opened, "i-a", lease, n, claim(n, f"content {n}"), now=2000)
    one, other = "x-0000000000000001", "x-0000000000000002"
    settle(opened, other, S.HELD)
    assert set(standing(opened, "i-a", 3000).settled) == {one, other}
    assert told(opened) == {one: 3000, other: 3000}
    assert opened.experiments.move(other, S.HELD, S.QUEUED)
    settle(opened, other, S.ACCEPTED)
    assert standing(opened, "i-a", 4000).settled == (other,), "a person's decision is told, too"
    opened.leases.run(opened.leases.heard("i-a", {one: 3000, other: 3000}))
    assert told(opened) == {other: 4000}, "what is told again has to arrive again"
    opened.leases.run(opened.leases.heard("i-a", {other: 4000, "x-unknown": 1}))
    assert told(opened) == {}


def test_verdicts_that_nobody_hears_are_bounded(opened: Store, lease: Name) -> None:
    opened.connection.text.zadd("ar:told:i-a", {f"x-{n}": n for n in range(TOLD)})
    report(opened, "i-a", lease, 1, claim(1, "good"), now=2000)
    settle(opened, "x-0000000000000001", S.ACCEPTED)
    standing(opened, "i-a", 2000)
    assert len(told(opened)) == TOLD
    assert "x-0" not in told(opened)
    assert told(opened)["x-0000000000000001"] == 2000
