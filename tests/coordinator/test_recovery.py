"""What a process that starts finds of the one before, which may have been killed between any two steps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.referee_process import RefereeDesk
from ar_coordinator.store import Store, open_store


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "pool")
    directory.initialise("Test Pool")
    return directory


@pytest.fixture
def store(directory: DataDirectory) -> Iterator[Store]:
    server = EmbeddedRedis(directory.redis)
    try:
        server.start()
        store = open_store(server.url, directory.blobs)
        yield store
        store.connection.close()
    finally:
        server.stop()


def test_a_referee_rings_for_orders_whose_bell_never_rang(store: Store, directory: DataDirectory) -> None:
    """Killed between the order and its bell: the next one does not leave it to the sweeper, which is slow."""
    store.batches.create("x-1.1.compare.0", "an order", 60)
    bell = Doorbell(store.connection)
    assert bell.waiting_for_verifiers() == 0
    RefereeDesk(store, directory, "Test Pool", parallel=2).settle()
    assert bell.waiting_for_verifiers() == 1


def test_bells_are_rung_for_what_nobody_runs(store: Store) -> None:
    for name in ("ready", "running", "done"):
        store.batches.create(name, "an order", 60)
    store.batches.claim("running", "local-0")
    done = store.batches.claim("done", "local-1")
    assert done is not None
    assert store.batches.finish(done, "results")
    assert store.batches.unclaimed() == ["ready"]
    bell = Doorbell(store.connection)
    bell.run_orders(store.batches)
    assert bell.waiting_for_verifiers() == 1
    # A verifier that starts again takes its own back first.
    store.batches.free("local-0")
    assert sorted(store.batches.unclaimed()) == ["ready", "running"]
