"""A pool ends in time when it is asked to, also while it waits for a Redis that does not answer."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from ar_coordinator.embedded_redis import EmbeddedRedis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of somebody else's."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = EmbeddedRedis(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def test_asked_to_end_while_it_starts(server: EmbeddedRedis, until: Callable[..., Any], tmp_path: Path) -> None:
    """The Redis does not let ``serve`` read what happens, so that it never gets to the end of its start."""
    client = redis.Redis.from_url(server.url)
    client.execute_command("ACL", "SETUSER", "default", "-xrevrange")
    client.close()
    log = tmp_path / "pool.log"
    code = "from ar_coordinator.main import main; main()"
    command = [sys.executable, "-c", code, "serve", "--data", str(tmp_path / "data"), "--redis", server.url,
               "--grpc", "127.0.0.1:0", "--web", "127.0.0.1:0", "--verifiers", "1", "--json"]  # fmt: skip
    with log.open("w") as file:
        pool = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, env=os.environ, start_new_session=True)
    try:
        until(lambda: _listens(pool), 60)
        pool.send_signal(signal.SIGTERM)
        said, _ = pool.communicate(timeout=60)
    finally:
        pool.kill()
        pool.wait()
    assert (pool.returncode, said) == (0, b""), log.read_text()


def test_asked_to_end_while_redis_is_frozen(start_pool: Callable[..., Any]) -> None:
    pool = start_pool("--verifiers", "1")
    children = psutil.Process(pool.pid).children(recursive=True)
    (frozen,) = (child for child in children if child.cwd() == str(pool.directory / "redis"))
    frozen.suspend()
    assert pool.stop() == 0
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert not (pool.directory / "run" / "admin.json").exists()
    # Nothing was lost but the orderly end.
    assert pool.start().coordinator("problems", "list", "--json").code == 0


def _listens(pool: "subprocess.Popen[bytes]") -> bool:
    """Tell whether it has a port, which comes just before."""
    assert pool.poll() is None
    return any(one.status == psutil.CONN_LISTEN for one in psutil.Process(pool.pid).net_connections("tcp"))
