"""Programs that problems ask for: a machine tells which of them it has, and gets the problems that it can do."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.store import keys, open_store
from ar_worker.donation import programs_there

MISSING = "ar-no-such-program"


def test_only_names_are_looked_for_and_only_where_a_room_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "mine-alone"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert programs_there(["mine-alone", "sh", "sh", MISSING]) == ["sh"]
    strange = ["/bin/sh", "../bin/sh", "./mine-alone", str(own), "sh\n", "", ".", "..", "-sh", "s" * 65, "sh\x00"]
    assert programs_there(strange) == []
    assert programs_there([*(f"a{n}" for n in range(300)), "sh"]) == [], "a pool that asks for hundreds is curious"


@pytest.fixture(scope="module")
def pool(
    start_pool: Callable[..., Any], sleepy: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    running = start_pool("--verifiers", "1")
    ada = running.person(tmp_path_factory.mktemp("ada"), "ada")
    for name in ("one-with-sh", "one-with-nothing"):
        folder = sleepy(0.01, name)
        manifest = folder / "problem.toml"
        manifest.write_text(manifest.read_text().replace("[environment]", '[environment]\nsystem = ["sh"]'))
        ada.publish(folder)
    # Registration refuses what the pool's own machine lacks; this stands for a volunteer's that lacks something.
    directory = DataDirectory(running.directory)
    store = open_store(EmbeddedRedis(directory.redis).url, directory.blobs)
    key = keys.problem("one-with-nothing")
    store.connection.text.hset(
        key, "manifest", store.connection.text.hget(key, "manifest").replace('["sh"]', f'["{MISSING}"]')
    )
    store.connection.text.xadd(keys.EVENTS, {"kind": "problem", "problem": "one-with-nothing", "id": ""})
    store.connection.close()
    return running


def test_a_machine_that_has_the_program_gets_the_problem(
    pool: Any, donate: Callable[..., Any], tmp_path: Path
) -> None:
    machine = donate(
        tmp_path, "join", pool.grpc, "--token", pool.token("worker"), "--slots", "1",
        "--problems", "one-with-sh,one-with-nothing", "--max-experiments", "3",
    )  # fmt: skip
    assert machine.end() == (0, "")
    assert {event["problem"] for event in machine.events("leased")} == {"one-with-sh"}
    assert len(machine.events("scored")) == 3


def test_a_machine_that_lacks_it_waits_and_is_told_why(pool: Any, donate: Callable[..., Any], tmp_path: Path) -> None:
    machine = donate(
        tmp_path, "join", pool.grpc, "--token", pool.token("worker"), "--slots", "1", "--problems", "one-with-nothing"
    )
    assert machine.until("waiting")["reasons"] == ["no_problem_matches"]
    machine.signal(signal.SIGTERM)
    assert machine.end() == (0, "")
    assert machine.events("leased") == []
