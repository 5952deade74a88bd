"""A batch has at most one holder; whoever lost it cannot finish it. Time is the test's."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ar_coordinator.store import Store
from ar_coordinator.store import batches as module
from ar_coordinator.store.batches import LEASE_MS, RING_MS, Batches, Claim

NAMES = st.sampled_from(["b1", "b2", "b3"])
OWNERS = st.sampled_from(["v1", "v2"])


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(module, "now_ms", clock)
    return clock  # type: ignore[return-value]


@pytest.fixture
def batches(store: Store) -> Batches:
    return store.batches


class Batch:
    """What the model knows of one batch."""

    def __init__(self, spec: str, ring: int) -> None:
        self.spec, self.ring = spec, ring
        self.holder: Claim | None = None
        self.owner = ""
        self.until = 0
        self.results: str | None = None


class BatchMachine(RuleBasedStateMachine):
    """Claims, renewals and results in any order, against a model in a few lines."""

    store: Store
    clock: Clock

    @initialize()
    def empty(self) -> None:
        self.store.connection.raw.flushall()
        self.batches = self.store.batches
        self.model: dict[str, Batch] = {}
        self.claims: list[Claim] = []

    @rule(name=NAMES, spec=st.sampled_from(["one", "two"]))
    def create(self, name: str, spec: str) -> None:
        assert self.batches.create(name, spec) is (name not in self.model)
        self.model.setdefault(name, Batch(spec, self.clock.now + RING_MS))

    @rule(name=NAMES, owner=OWNERS)
    def claim(self, name: str, owner: str) -> None:
        batch, claim = self.model.get(name), self.batches.claim(name, owner)
        free = batch is not None and batch.results is None
        free = free and (batch is not None and (batch.holder is None or batch.until <= self.clock.now))
        assert (claim is not None) is free
        if claim is not None and batch is not None:
            assert claim.spec == batch.spec
            assert all(claim.fencing > old.fencing for old in self.claims), "a number is given once"
            self.claims.append(claim)
            batch.holder, batch.owner, batch.until = claim, owner, self.clock.now + LEASE_MS
            batch.ring = batch.until

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        if self.claims:
            claim = data.draw(st.sampled_from(self.claims))
            batch = self.model.get(claim.batch)
            holds = batch is not None and batch.holder == claim
            assert self.batches.renew(claim) is holds
            if holds and batch is not None:
                batch.until = batch.ring = self.clock.now + LEASE_MS

    @rule(data=st.data(), results=st.sampled_from(["good", "bad"]))
    def finish(self, data: st.DataObject, results: str) -> None:
        if self.claims:
            claim = data.draw(st.sampled_from(self.claims))
            batch = self.model.get(claim.batch)
            holds = batch is not None and batch.holder == claim
            assert self.batches.finish(claim, results) is holds
            if holds and batch is not None:
                batch.results, batch.holder = results, None

    @rule(owner=OWNERS | st.just(""))
    def free(self, owner: str) -> None:
        mine = {n for n, b in self.model.items() if b.holder is not None and owner in {"", b.owner}}
        assert set(self.batches.free(owner)) == mine
        for name in mine:
            self.model[name].holder, self.model[name].ring = None, self.clock.now

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        self.batches.forget([name])
        self.model.pop(name, None)

    @rule()
    def due(self) -> None:
        late = {n for n, b in self.model.items() if b.results is None and b.ring <= self.clock.now}
        assert set(self.batches.due()) == late
        for name in late:
            self.model[name].ring = self.clock.now + RING_MS
        assert self.batches.due() == [], "a bell is rung once"

    @rule(ms=st.sampled_from([1, LEASE_MS - 1, LEASE_MS, RING_MS]))
    def pass_time(self, ms: int) -> None:
        self.clock.now += ms

    @invariant()
    def results_are_what_the_holder_gave(self) -> None:
        if hasattr(self, "model"):
            names = ["b1", "b2", "b3"]
            expected = [self.model[n].results if n in self.model else None for n in names]
            assert self.batches.results(names) == expected
            assert [self.batches.exists(n) for n in names] == [n in self.model for n in names]


def test_a_batch_has_one_holder_whatever_happens(shared: Store, clock: Clock) -> None:
    class Machine(BatchMachine):
        pass

    Machine.store, Machine.clock = shared, clock
    run_state_machine_as_test(Machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))  # type: ignore[no-untyped-call]


def test_an_expired_lease_is_taken_over_and_its_holder_cannot_finish(batches: Batches, clock: Clock) -> None:
    assert batches.create("b", "spec")
    first = batches.claim("b", "v1")
    assert first is not None
    assert batches.claim("b", "v2") is None
    clock.now += LEASE_MS
    second = batches.claim("b", "v2")
    assert second is not None
    assert not batches.finish(first, "stale")
    assert not batches.renew(first)
    assert batches.finish(second, "fresh")
    assert not batches.finish(second, "again")
    assert batches.results(["b"]) == ["fresh"]
    assert batches.claim("b", "v1") is None


def test_a_holder_from_before_a_batch_was_forgotten_cannot_finish_its_successor(
    batches: Batches, clock: Clock
) -> None:
    batches.create("register.p.1", "spec")
    old = batches.claim("register.p.1", "v1")
    batches.forget(["register.p.1"])
    batches.create("register.p.1", "another")
    new = batches.claim("register.p.1", "v2")
    assert old is not None
    assert new is not None
    assert not batches.finish(old, "stale")
    assert batches.finish(new, "fresh")


def test_whoever_rings_again_knows_how_long_a_batch_may_take(batches: Batches) -> None:
    batches.create("long", "spec", 7200)
    assert batches.seconds("long") == 7200
    assert batches.seconds("unknown") > 0


def test_forgetting_nothing_is_nothing(batches: Batches) -> None:
    batches.forget([])
    assert batches.results([]) == []
