"""Bells carry identifiers only, and whatever else lies in the queue is not executed (attack 52)."""

import json
import logging
import os
import pickle
import signal
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ar_coordinator import doorbell as module
from ar_coordinator.doorbell import (
    LOOK_AROUND,
    LOOK_AT_EXPERIMENT,
    LOOK_AT_PROBLEM,
    REFEREE_QUEUE,
    RUN_ORDER,
    VERIFY_QUEUE,
    Bellboy,
    Doorbell,
    ListedJob,
)  # fmt: skip
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.store.connection import Connection, connect

# RQ asks the system for its load when it registers a worker; nothing to see here.
Heard = list[tuple[str, ...]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def connection(server: EmbeddedRedis) -> Iterator[Connection]:
    connection = connect(server.url)
    connection.raw.flushall()
    yield connection
    connection.close()


@pytest.fixture
def answered(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Heard]:
    """Answer a queue until it is empty; return what was heard. The same worker as in a pool, but for its end."""
    work = Bellboy.work
    monkeypatch.setattr(Bellboy, "work", lambda self, **options: work(self, burst=True, **options))

    def run(queue: str) -> Heard:
        heard: Heard = []
        names = (RUN_ORDER, LOOK_AT_EXPERIMENT, LOOK_AT_PROBLEM, LOOK_AROUND)
        listed = {name: lambda *given, name=name: heard.append((name, *given)) for name in names}
        module.answer(connection, queue, f"bellboy-{queue}", listed)
        return heard

    return run


def test_a_bell_brings_its_function_and_identifier(connection: Connection, answered: Callable[[str], Heard]) -> None:
    bell = Doorbell(connection)
    bell.look_at_experiment("x-1")
    bell.look_at_problem("bin-packing")
    bell.look_around()
    bell.run_order("b-1", 30)
    assert (bell.waiting_for_referee(), bell.waiting_for_verifiers()) == (3, 1)
    assert answered(REFEREE_QUEUE) == [
        ("look_at_experiment", "x-1"),
        ("look_at_problem", "bin-packing"),
        ("look_around",),
    ]
    assert answered(VERIFY_QUEUE) == [("run_order", "b-1")]
    assert (bell.waiting_for_referee(), bell.waiting_for_verifiers()) == (0, 0)


def test_what_lies_in_the_queue_is_json_and_names_no_code(connection: Connection) -> None:
    Doorbell(connection).run_order("b-1", 7200)
    job = connection.raw.lrange("rq:queue:verify", 0, -1)[0].decode()
    stored = connection.raw.hgetall(f"rq:job:{job}")
    assert json.loads(zlib.decompress(stored[b"data"])) == ["run_order", None, ["b-1"], {}]
    assert int(stored[b"timeout"]) == 7200


class Bomb:
    """Becomes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def poison(connection: Connection, data: bytes, **fields: str) -> None:
    """Put a job into the referee's queue as somebody with Redis would, and a true one behind it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    job = {"created_at": now, "enqueued_at": now, "origin": REFEREE_QUEUE, "status": "queued", "timeout": "60",
           "description": "innocent", "data": zlib.compress(data), **fields}  # fmt: skip
    connection.raw.hset("rq:job:poison", mapping=job)
    connection.raw.sadd("rq:queues", f"rq:queue:{REFEREE_QUEUE}")
    connection.raw.rpush(f"rq:queue:{REFEREE_QUEUE}", "poison")
    Doorbell(connection).look_around()


@pytest.mark.parametrize(
    "kind", ["pickle", "pickled call", "os.system", "unlisted", "instance", "private", "not JSON"]
)
def test_a_poisoned_job_is_not_executed(
    connection: Connection, answered: Callable[[str], Heard], tmp_path: Path, kind: str
) -> None:
    trace = tmp_path / "executed"
    data = {
        "pickle": pickle.dumps(Bomb(trace)),
        "pickled call": pickle.dumps(("os.system", None, (f"touch {trace}",), {})),
        "os.system": json.dumps(["os.system", None, [f"touch {trace}"], {}]).encode(),
        "unlisted": json.dumps(["ar_coordinator.main.main", None, [], {}]).encode(),
        "instance": json.dumps(["touch", str(trace), [], {}]).encode(),
        "private": json.dumps(["look_around.__globals__", None, [], {}]).encode(),
        "not JSON": b"\xff\x00",
    }[kind]
    poison(connection, data)
    assert answered(REFEREE_QUEUE) == [(LOOK_AROUND,)], "the next bell is heard all the same"
    assert not trace.exists()


@pytest.mark.parametrize("callback", ["success_callback_name", "failure_callback_name", "stopped_callback_name"])
@pytest.mark.parametrize("function", ["look_around", "nothing_listed"])
def test_a_callback_that_a_job_names_is_not_even_imported(
    connection: Connection, answered: Callable[[str], Heard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    callback: str, function: str,
) -> None:  # fmt: skip
    trace = tmp_path / "imported"
    (tmp_path / "poisoned_module.py").write_text(
        f"import pathlib; pathlib.Path({str(trace)!r}).touch()\ndef f(*a): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    poison(connection, json.dumps([function, None, [], {}]).encode(), **{callback: "poisoned_module.f"})
    assert (LOOK_AROUND,) in answered(REFEREE_QUEUE)
    assert not trace.exists()


def test_a_function_that_fails_does_not_end_the_worker(
    connection: Connection, answered: Callable[[str], Heard]
) -> None:
    poison(connection, json.dumps([LOOK_AT_EXPERIMENT, None, ["too", "many"], {"and": "named"}]).encode())
    assert (LOOK_AROUND,) in answered(REFEREE_QUEUE)
    assert ListedJob.listed, "the list of this process decides, whatever the queue says"


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Give pytest its signals back: RQ takes them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_a_signal_between_the_bell_and_the_work_ends_in_good_order(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A verifier leaves amid its work; amid what RQ writes down before, that would look like a breakdown."""
    prepare = Bellboy.prepare_execution

    def prepared(self: Bellboy, job: Any) -> Any:
        execution = prepare(self, job)
        os.kill(os.getpid(), signal.SIGTERM)
        return execution

    monkeypatch.setattr(Bellboy, "prepare_execution", prepared)
    Doorbell(connection).run_order("b-1", 30)
    heard: list[str] = []
    module.answer(connection, VERIFY_QUEUE, "verifier", {RUN_ORDER: heard.append}, leaves_at_once=True)
    assert heard == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.usefixtures("own_signals")
def test_a_signal_amid_the_work_interrupts_it(connection: Connection, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def work(batch: str) -> None:
        heard.append(batch)
        os.kill(os.getpid(), signal.SIGTERM)
        heard.append("never")

    Doorbell(connection).run_order("b-1", 30)
    module.answer(connection, VERIFY_QUEUE, "verifier", {RUN_ORDER: work}, leaves_at_once=True)
    assert heard == ["b-1"]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
