"""Verifiers on another machine: processes with nothing of the pool but a token, where we are root of another user.

What the pool gives and refuses them is in ``test_verification_wire``.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from tests.attacks.rooms.conftest import as_a_stranger

from ar_coordinator.embedded_redis import EmbeddedRedis

PROBLEM = "zlib-dictionary"
SLOW = "time.sleep(6 * (len(numbers) == 9))"
"""A scorer takes its time with nine numbers, so that there is a middle of a batch."""


class RemoteVerifier:
    """``ar-coordinator verify --coordinator`` in a home of its own, as one who can read nothing of a pool's."""

    def __init__(self, pool: Any, home: Path, *options: str) -> None:
        self.home = home
        self._log = home / "log"
        code = "from ar_coordinator.main import main; main()"
        environment = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "AR_HOME": str(home / "ar"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        command = [sys.executable]
        if os.geteuid() == 0:
            stranger, command, changed = as_a_stranger()
            os.chown(home, stranger, stranger)
            environment |= changed
        words = ["verify", "--coordinator", pool.grpc, *options]
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, "-c", code, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                cwd=home, start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        return self._log.read_text()

    @property
    def name(self) -> str:
        """The machine that it enrolled as, once it is ready."""
        found = re.search(r'"name": "(m-\w+)".*"verifier ready"', self.said())
        assert found or self.process.poll() is None, self.said()
        return found[1] if found else ""

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def clear_away(self) -> None:
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                process.kill()
        self.process.kill()
        self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool("--verifiers", "0")


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("ada"), "ada")


@pytest.fixture
def home() -> Iterator[Callable[[], Path]]:
    """Make homes at a place that another user can reach."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="ar-verifier-")))
        return made[-1]

    yield make
    for folder in made:
        shutil.rmtree(folder)


@pytest.fixture
def start_verifier(home: Callable[[], Path], until: Callable[..., Any]) -> Iterator[Callable[..., RemoteVerifier]]:
    """Start a verifier and wait until it is ready; they end with the test."""
    with ExitStack() as stack:

        def start(pool: Any, *options: str, at: Path | None = None) -> RemoteVerifier:
            given = () if at else ("--token", pool.token("verifier"))
            one = RemoteVerifier(pool, at or home(), *given, *options)
            stack.callback(one.clear_away)
            until(lambda: one.name, 100)
            return one

        yield start


@pytest.mark.timeout(300)
def test_a_verifier_elsewhere_opens_a_problem_with_hidden_files_and_verifies(
    pool: Any, ada: Any, problems: Path, candidates: Path, start_verifier: Callable[..., RemoteVerifier],
    tmp_path: Path,
) -> None:  # fmt: skip
    one = start_verifier(pool)
    if os.geteuid() == 0:
        assert psutil.Process(one.process.pid).uids().real != 0
    ada.publish(problems / PROBLEM)
    done = ada.propose(PROBLEM, candidates / PROBLEM / "better.txt")
    assert done.code == 0, done
    assert done.document["status"] == "accepted"
    assert done.document["verified"] < done.document["incumbent"]
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", f"{pool.web}/git/{PROBLEM}.git", str(clone)], check=True, timeout=60)
    command = ["git", "-C", str(clone), "log", "-1", "--format=%(trailers:key=Verifier,valueonly)"]
    trailer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    assert trailer == one.name
    # It says who measured, and leaves nothing of the problem on the other machine's disk.
    assert one.end(signal.SIGTERM) == 0
    hidden = (problems / PROBLEM / "hidden" / "messages.txt").read_bytes()
    left = [path for path in one.home.rglob("*") if path.is_file()]
    assert left
    assert not [path for path in left if hidden[:200] in path.read_bytes()]
    key = next((one.home / "ar" / "verifier" / "keys").iterdir())
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.timeout(300)
def test_it_comes_back_by_its_key_and_goes_on_when_its_pool_does(
    pool: Any, ada: Any, start_verifier: Callable[..., RemoteVerifier], make_problem: Callable[..., Path],
    until: Callable[..., Any],
) -> None:  # fmt: skip
    one = start_verifier(pool)
    second = RemoteVerifier(pool, one.home)
    assert second.process.wait(timeout=60) == 2
    assert "AR-A106" in second.said()
    name = one.name
    assert one.end(signal.SIGINT) == 0
    again = start_verifier(pool, at=one.home)
    assert again.name == name
    pool.kill()
    until(lambda: "no answer, trying again" in again.said(), 100)
    pool.start()
    ada.publish(make_problem("small-sum", "late-sum"))
    assert pool.coordinator("workers", "ban", name, "--reason", "it lied").code == 0
    assert again.process.wait(timeout=60) == 5
    assert "it lied (AR-I209)" in again.said()


@pytest.mark.timeout(300)
def test_a_verifier_that_is_killed_amid_a_batch_leaves_it_to_another(
    pool: Any, ada: Any, start_verifier: Callable[..., RemoteVerifier], make_problem: Callable[..., Path],
    records: Callable[[Any], Any], until: Callable[..., Any], write: Callable[..., Path],
) -> None:  # fmt: skip
    both = [start_verifier(pool), start_verifier(pool)]
    folder = make_problem("small-sum", "slow-sum", time_budget='"30s"')
    score = (folder / "score.py").read_text().replace("import sys\n", "import sys\nimport time\n")
    (folder / "score.py").write_text(f"{score}{SLOW}\n")
    ada.publish(folder)
    done = ada.propose("slow-sum", write("[1, 1, 1, 1, 1, 1, 1, 1, 1]"), "--no-wait")
    assert done.code == 0, done

    def victim() -> RemoteVerifier | None:
        with records(pool) as store:
            return next((one for one in both if store.batches.specs_of(one.name)), None)

    killed = until(victim, 100)
    killed.end(signal.SIGKILL)
    (left,) = (one for one in both if one is not killed)

    def verdict() -> dict[str, Any] | None:
        (x,) = ada.log("slow-sum")
        return x if x["status"] not in {"queued", "verifying"} else None

    found = until(verdict, 200)
    assert (found["status"], found["verifier"]) == ("rejected", left.name), "three numbers of nine break the guard"
    assert found["reason"] == "guard_failed"


@pytest.mark.parametrize("options", [["--token", "T", "--redis", "redis://x"], ["--token", "T"]])
def test_a_token_goes_with_a_coordinator(command: Callable[..., Any], tmp_path: Path, options: list[str]) -> None:
    done = command("ar_coordinator", "verify", *options, home=tmp_path)
    assert (done.code, "--coordinator" in done.err) == (2, True)


def test_who_may_not_verify_is_told_why(pool: Any, command: Callable[..., Any], tmp_path: Path) -> None:
    good = pool.token("verifier")
    pin, secret = good.split("-")[1:]

    def verify(*options: str, at: str = pool.grpc) -> tuple[int, str]:
        done = command("ar_coordinator", "verify", "--coordinator", at, *options, home=tmp_path / "home")
        said = re.search(r"\((AR-\w+)\)\n  hint: .", done.err)
        assert said, done
        return done.code, said[1]

    assert verify() == (3, "AR-I200")
    assert verify("--token", "nonsense") == (4, "AR-I202")
    assert verify("--token", f"ARJ1-{pin}-{secrets.token_hex(16)}") == (4, "AR-I203")
    assert verify("--token", f"ARJ1-{'0' * 64}-{secret}") == (4, "AR-I207")
    assert verify("--token", pool.token("worker")) == (4, "AR-I206")
    assert verify("--token", pool.token("publisher")) == (4, "AR-I206")
    assert verify("--token", good, at="127.0.0.1:1") == (8, "AR-A102")
    assert verify("--token", good, at="here") == (2, "AR-A107")


# --- Beside a Redis of the operator's own


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[EmbeddedRedis, str]]:
    """A Redis whose user for verifiers is the one that docs/7 has, and that user's password."""
    page = (Path(__file__).parents[2] / "docs" / "7-running-a-pool.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("ACL SETUSER verifier "))
    password = secrets.token_hex(16)
    server = EmbeddedRedis(tmp_path)
    try:
        server.start()
        words = line.replace("PASSWORD", password).split()
        with contextlib.closing(redis.Redis.from_url(server.url)) as client:
            assert client.execute_command(*words)
        yield server, password
    finally:
        server.stop()


def as_verifier(own_redis: tuple[EmbeddedRedis, str]) -> str:
    server, password = own_redis
    return f"unix://verifier:{password}@{server.socket}"


@pytest.mark.timeout(300)
def test_a_verifier_with_few_rights_in_redis_gets_its_files_from_the_coordinator(
    start_pool: Callable[..., Any], own_redis: tuple[EmbeddedRedis, str], problems: Path, candidates: Path,
    tmp_path: Path, until: Callable[..., Any],
) -> None:  # fmt: skip
    pool = start_pool("--verifiers", "0", "--redis", own_redis[0].url)
    try:
        ada = pool.person(tmp_path / "ada", "ada")
        log = tmp_path / "verifier.log"
        words = ["verify", "--redis", as_verifier(own_redis), "--coordinator", pool.grpc, "--token",
                 pool.token("verifier")]  # fmt: skip
        code = "from ar_coordinator.main import main; main()"
        environment = {**os.environ, "AR_HOME": str(tmp_path / "elsewhere")}
        with log.open("w") as said:
            process = subprocess.Popen([sys.executable, "-c", code, *words], stderr=said, env=environment)
        try:
            until(lambda: "verifier ready" in log.read_text() or process.poll() is not None, 100)
            ada.publish(problems / PROBLEM)
            done = ada.propose(PROBLEM, candidates / PROBLEM / "better.txt")
            assert (done.code, done.document["status"]) == (0, "accepted")
            assert re.fullmatch(r"m-\w+", done.document["verifier"])
            process.terminate()
            assert process.wait(timeout=60) == 0
            with contextlib.closing(redis.Redis.from_url(own_redis[0].url)) as whole:
                assert whole.execute_command("ACL", "LOG") == [], "it needs nothing that it may not do"
        finally:
            process.kill()
            process.wait(timeout=60)
    finally:
        pool.stop()


def test_what_a_verifiers_user_in_redis_may_not_do(own_redis: tuple[EmbeddedRedis, str]) -> None:
    allowed, refused = [], []
    steal = "return redis.call('GET', 'ar:session:s')"
    commands: list[tuple[str, ...]] = [
        ("GET", "ar:session:s"), ("DEL", "ar:problem:p"), ("HSET", "ar:identity:i", "role", "operator"),
        ("HGETALL", "ar:token:t"), ("GET", "ar:blob:" + "0" * 64), ("HSET", "ar:experiment:x", "state", "accepted"),
        ("EVAL", steal, "0"), ("EVAL", "return redis.call('KEYS', '*')", "0"), ("KEYS", "*"), ("SCAN", "0"),
        ("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "dir", "/"), ("ACL", "LIST"),
        ("SHUTDOWN",), ("SAVE",), ("MODULE", "LIST"), ("REPLICAOF", "h", "1"),
        ("SCRIPT", "FLUSH"), ("MONITOR",), ("RENAME", "ar:batch:b", "ar:session:s"), ("SELECT", "1"),
        ("MIGRATE", "h", "1", "k", "0", "1"), ("CLIENT", "KILL", "TYPE", "normal"), ("RANDOMKEY",),
    ]  # fmt: skip
    with contextlib.closing(redis.Redis.from_url(own_redis[0].url)) as whole:
        whole.set("ar:session:s", "i-operator")
    with contextlib.closing(redis.Redis.from_url(as_verifier(own_redis))) as client:
        assert client.ping()
        assert client.exists("ar:batch:b") == 0
        for words in commands:
            try:
                client.execute_command(*words)
                allowed.append(words)
            except redis.ResponseError as error:
                said = str(error).lower()
                assert "permission" in said or "acl" in said, (words, said)
                refused.append(words)
        # A script of its own has the same few rights.
        with pytest.raises(redis.ResponseError, match=r"(?i)acl|permission"):
            client.evalsha(client.script_load(steal), 0)
    assert allowed == []
    assert len(refused) == len(commands)
