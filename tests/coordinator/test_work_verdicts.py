"""A verdict is forgotten when the stream that it was written to lives on, and kept as long as it may be lost."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from ar_coordinator.dispatch import Machine
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.events import Events
from ar_coordinator.openings import Openings
from ar_coordinator.services import work_sessions
from ar_coordinator.services.work_sessions import Session, Sessions
from ar_coordinator.services.work_tasks import Tasks
from ar_coordinator.services.work_watch import Watch
from ar_coordinator.store import Store, keys, open_store
from ar_coordinator.store.pipelined import Pipelined
from ar_core.records import Identity, Role
from ar_proto.v1 import experiment_pb2, work_pb2

_SECONDS = 60
WHO = Identity(
    id="i-a", role=Role.WORKER, contributor="ada", machine="m-1", joined=datetime(2026, 3, 4, tzinfo=UTC),
    public_key=bytes(32),
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    server = EmbeddedRedis(tmp_path)
    server.start()
    store = open_store(server.url, tmp_path / "blobs")
    store.connection.text.hset(keys.identity(WHO.id), "id", WHO.id)
    yield store
    store.connection.close()
    server.stop()


def a_session() -> Session:
    return Session(WHO, Machine(cpus=1, memory=1, gpus=0, programs=frozenset(), problems=frozenset()), "tuner", 1)


def verdict(x: str) -> work_pb2.Verdict:
    return work_pb2.Verdict(experiment=experiment_pb2.Experiment(id=x))


async def read(session: Session, messages: int) -> list[str]:
    """Take what is written, as gRPC does: a message is written when the next one is asked for."""
    found: list[str] = []
    async for message in session.outgoing():
        found += [said.verdict.experiment.id for said in (message, *message.more) if said.HasField("verdict")]
        messages -= 1
        if messages < 0:
            break
    return found


def test_what_was_written_long_ago_has_arrived() -> None:
    async def told() -> None:
        session = a_session()
        session.tell(verdict("x-1"), 1000)
        session.tell(verdict("x-2"), 2000)
        assert session.arrived(time.monotonic() + 1e6) == {}, "nothing was written yet"
        session.send(work_pb2.WorkResponse(welcome=work_pb2.Welcome()))
        session.end()
        assert await read(session, 9) == ["x-1", "x-2"]
        assert session.all_told() == {"x-1": 1000, "x-2": 2000}
        now = time.monotonic()
        assert session.arrived(now) == {}, "it may be lost with the line"
        assert session.arrived(now + 1e6) == {"x-1": 1000, "x-2": 2000}
        assert session.arrived(now + 1e6) == session.all_told() == {}
        session.tell(verdict("x-3"), 3000)
        assert session.all_told() == {}, "this one is not told here any more"

    asyncio.run(asyncio.wait_for(told(), _SECONDS))


def test_a_message_that_was_not_taken_was_not_written() -> None:
    async def told() -> None:
        session = a_session()
        session.tell(verdict("x-1"), 1000)
        assert await read(session, 0) == ["x-1"]
        assert session.arrived(time.monotonic() + 1e6) == {}
        assert session.all_told() == {"x-1": 1000}

    asyncio.run(asyncio.wait_for(told(), _SECONDS))


@pytest.mark.parametrize("sure", [0.0, 1e6])
def test_the_look_around_forgets_what_has_arrived(store: Store, monkeypatch: pytest.MonkeyPatch, sure: float) -> None:
    monkeypatch.setattr(work_sessions, "_SURE_SECONDS", sure)
    store.connection.text.zadd("ar:told:i-a", {"x-1": 1000, "x-2": 2000})

    async def looked() -> None:
        pipelined, sessions, session = Pipelined(store.connection.text), Sessions(), a_session()
        openings = Openings(store, Random(1))
        tasks = Tasks(store, pipelined, openings, sessions, Random(1))
        watch = Watch(store, Events("unix:///nowhere"), pipelined, openings, sessions, tasks)
        session.tell(verdict("x-1"), 1000)
        reading = asyncio.create_task(read(session, 9))
        while not session._written:
            await asyncio.sleep(0)
        await watch.renew(session)
        session.end()
        await reading
        pipelined.close()

    asyncio.run(asyncio.wait_for(looked(), _SECONDS))
    left = {"x-2": 2000} if sure == 0 else {"x-1": 1000, "x-2": 2000}
    assert store.leases.run(store.leases.told("i-a")) == left
