"""Which verifier gets which batch: one that can run it, and not one that has just failed. Time is the test's."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ar_coordinator import batch_desk as desk_module
from ar_coordinator.batch_desk import BatchDesk
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.store import Store, open_store
from ar_coordinator.store import batches as batches_module
from ar_coordinator.store import verifiers as verifiers_module
from ar_coordinator.store.batches import AVOID_MS, LEASE_MS
from ar_coordinator.store.verifiers import PRESENT_MS
from ar_coordinator.verifier_machine import Needs, VerifierMachine, needs_text

SMALL = VerifierMachine(cpus=1, memory=10, python=(3, 11, 0))
BIG = VerifierMachine(cpus=8, memory=10, python=(3, 11, 0))


class Clock:
    now = 50_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (desk_module, batches_module, verifiers_module):
        monkeypatch.setattr(module, "now_ms", clock)
    return clock


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def store(server: EmbeddedRedis, tmp_path: Path) -> Iterator[Store]:
    store = open_store(server.url, tmp_path)
    store.connection.raw.flushall()
    yield store
    store.connection.close()


@pytest.fixture
def desk(store: Store, clock: Clock) -> BatchDesk:
    del clock
    return BatchDesk(store, Doorbell(store.connection))


def order(store: Store, name: str, **needs: object) -> None:
    assert store.batches.create(name, "{}", needs=needs_text(msgspec.convert(needs, Needs)))


def taken(desk: BatchDesk, name: str, machine: VerifierMachine, wanted: str = "") -> str:
    """Let a verifier look; return which batch it got."""
    desk.arrive(name, machine)
    claim = desk.take(name, machine, wanted)
    return claim.batch if claim else ""


def test_the_batch_that_is_rung_for_comes_first_then_the_one_that_waits_longest(desk: BatchDesk) -> None:
    for name in ("a", "b", "c"):
        order(desk.store, name)
    assert [taken(desk, "v", SMALL, "b"), taken(desk, "v", SMALL, "b"), taken(desk, "v", SMALL)] == ["b", "a", "c"]
    assert taken(desk, "v", SMALL) == ""


def test_a_batch_goes_only_to_a_machine_that_has_what_it_needs(desk: BatchDesk) -> None:
    order(desk.store, "a", cpus=4)
    assert taken(desk, "v-small", SMALL) == "", "nobody has it: it waits"
    assert taken(desk, "v-big", BIG) == "a"


def test_a_registration_goes_to_anybody_where_nobody_has_what_it_needs(desk: BatchDesk, clock: Clock) -> None:
    order(desk.store, "a", cpus=4, refusable=True)
    desk.arrive("v-big", BIG)
    assert taken(desk, "v-small", SMALL) == "", "one that has it is there"
    clock.now += PRESENT_MS + 1
    assert taken(desk, "v-small", SMALL) == "a", "it has not been heard of for long"


def test_who_was_silent_leaves_its_batch_to_another_for_a_while(desk: BatchDesk, clock: Clock) -> None:
    order(desk.store, "a")
    assert taken(desk, "v1", SMALL) == "a"
    clock.now += LEASE_MS
    desk.arrive("v2", SMALL)
    assert taken(desk, "v1", SMALL) == ""
    assert taken(desk, "v2", SMALL) == "a"


def test_who_failed_gets_it_again_where_nobody_else_can_or_does(desk: BatchDesk, clock: Clock) -> None:
    order(desk.store, "a", cpus=4)
    assert taken(desk, "v1", BIG) == "a"
    desk.give_back("v1", leaving=False)
    desk.arrive("v2", SMALL)
    assert taken(desk, "v1", BIG) == "a", "the other one cannot"
    desk.give_back("v1", leaving=False)
    desk.arrive("v2", BIG)
    assert taken(desk, "v1", BIG) == ""
    clock.now += AVOID_MS
    desk.arrive("v2", BIG)
    assert taken(desk, "v1", BIG) == "a", "the other one has had its time"


def test_where_all_have_failed_anybody_gets_it(desk: BatchDesk) -> None:
    assert desk.store.batches.create("a", "{}", avoid=["v1", "v2"])
    desk.arrive("v1", SMALL)
    desk.arrive("v3", SMALL)
    assert taken(desk, "v2", SMALL) == "", "the third has not failed"
    desk.give_back("v3", leaving=True)
    assert taken(desk, "v2", SMALL) == "a"


def test_a_batch_left_to_another_is_rung_for_soon(desk: BatchDesk, clock: Clock) -> None:
    order(desk.store, "a", cpus=4)
    assert taken(desk, "v-small", SMALL) == ""
    clock.now += 2_000
    assert desk.store.batches.due() == ["a"]


def test_each_time_it_is_begun_is_counted(desk: BatchDesk, clock: Clock) -> None:
    order(desk.store, "a")
    for tries in (1, 2, 3):
        claim = desk.take("v", SMALL)
        assert claim is not None
        assert claim.tries == tries
        clock.now += LEASE_MS


def test_bells_do_not_pile_up_where_nobody_answers_them(desk: BatchDesk) -> None:
    order(desk.store, "a")
    for _ in range(50):
        desk.doorbell.run_order("a", 60)
    assert 1 <= desk.doorbell.waiting_for_verifiers() <= 10


def test_an_arrival_is_news_once(desk: BatchDesk, clock: Clock) -> None:
    for machine, after, bells in ((SMALL, 0, 1), (SMALL, 1000, 1), (BIG, 1000, 2), (BIG, PRESENT_MS + 1, 3)):
        clock.now += after
        desk.arrive("v", machine)
        assert desk.doorbell.waiting_for_referee() == bells
