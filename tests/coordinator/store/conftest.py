"""One real Redis for the tests of the store, emptied for each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.store import Store, open_store
from ar_coordinator.store.connection import Connection


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shared(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store as it is: for tests of many examples, which empty it themselves."""
    store = open_store(redis_url, tmp_path_factory.mktemp("blobs"))
    yield store
    store.connection.close()


@pytest.fixture
def store(shared: Store) -> Store:
    """An empty store."""
    shared.connection.raw.flushall()
    return shared


@pytest.fixture
def connection(store: Store) -> Connection:
    return store.connection


@pytest.fixture
def blob_folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"
