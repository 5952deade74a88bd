"""What keeps a pool from starting or going on, as its operator meets it: said once, by name, with what to do."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

AS_SOMEBODY_ELSE = """
import os, sys
# Loaded before: whoever this becomes may not be able to read the program.
import ar_coordinator.admin_session, ar_coordinator.commands.init, ar_coordinator.commands.serve
import ar_coordinator.commands.tokens, ar_coordinator.git_store, ar_coordinator.serve, ar_core.wire
import ar_proto.v1.administration_pb2_grpc, ar_sandbox.rooms
from ar_coordinator.main import run
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.exit(run(sys.argv[1:]))
"""


class Ended:
    """A command that ended."""

    def __init__(self, process: "subprocess.CompletedProcess[str]") -> None:
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


def refused(done: Any, exit_code: int = 2) -> dict[str, str]:
    """Return the document of a failure that is the only line there is."""
    assert done.code == exit_code, done
    assert done.out == ""
    assert len(done.err.splitlines()) == 1, done
    error: dict[str, str] = json.loads(done.err)["error"]
    assert error["hint"]
    return error


@pytest.fixture
def made(told: Command, tmp_path: Path) -> Path:
    """A data directory that nothing ran in yet."""
    directory = tmp_path / "data"
    assert told("ar_coordinator", "init", str(directory)).code == 0
    return directory


QUIET = ["serve", "--json", "--grpc", "127.0.0.1:0", "--web", "127.0.0.1:0", "--verifiers", "0"]


@pytest.fixture
def serve(told: Command) -> Command:
    """Run `ar-coordinator serve` where it ends before it listens, which can be done within this process."""
    return lambda directory: refused(told("ar_coordinator", *QUIET, "--data", str(directory)))


@pytest.fixture
def listen(command: Command) -> Command:
    """Run `ar-coordinator serve` where it cannot listen."""
    return lambda directory, *options: refused(command("ar_coordinator", *QUIET, "--data", str(directory), *options))


@pytest.fixture(scope="module")
def pool(start_pool: Command) -> Any:
    """A pool that is ended, damaged, mended and started again, in each test from its start."""
    return start_pool("--verifiers", "0")


def start_again(pool: Any, verifiers: int) -> None:
    """Start a pool that has ended, with so many verifiers."""
    pool._options = ("--verifiers", str(verifiers))
    pool.start()


def page(pool: Any, path: str) -> str:
    with urllib.request.urlopen(f"{pool.web}{path}", timeout=60) as answer:
        found: bytes = answer.read()
    return found.decode()


@contextmanager
def said_by(package: str, *arguments: str, home: Path | None = None) -> Iterator[Iterator[str]]:
    """Run a command that waits, and give the lines of its stderr as they come; it is killed in the end."""
    command = [sys.executable, "-c", f"from {package}.main import main; main()", *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "AR_HOME": str(home or "/nonexistent")}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        try:
            yield iter(process.stderr)
        finally:
            process.kill()


# --- Keys


@pytest.mark.parametrize("name", ["pool.key", "seed.key", "tls.key", "tls.crt"])
def test_a_key_is_never_made_a_second_time(made: Path, serve: Command, name: str) -> None:
    path = made / "keys" / name
    path.unlink()
    error = serve(made)
    assert (error["code"], path.exists()) == ("AR-C607", False)
    assert str(path) in error["message"]
    assert "backup" in error["hint"]
    path.write_bytes(b"garbage")
    error = serve(made)
    assert (error["code"], path.read_bytes()) == ("AR-C607", b"garbage")
    assert str(path) in error["message"]
    assert list((made / "redis").iterdir()) == [], "nothing was started"


def test_a_pool_whose_key_was_restored_is_the_same(pool: Any, serve: Command) -> None:
    signers = page(pool, "/allowed_signers")
    assert pool.stop() == 0
    key = pool.directory / "keys" / "pool.key"
    key.rename(key.with_name("aside"))
    assert serve(pool.directory)["code"] == "AR-C607"
    key.with_name("aside").rename(key)
    pool.start()
    assert page(pool, "/allowed_signers") == signers


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk small enough to fill")
def test_a_disk_that_is_full_while_a_pool_is_made(told: Command, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    with ExitStack() as stack:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(directory)], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(directory)], check=True)
        first = told("ar_coordinator", "init", str(directory), "--json")
        assert refused(first, 1)["code"] == "AR-C605"
        assert not (directory / "pool.json").exists()
        subprocess.run(["mount", "-o", "remount,size=1m", str(directory)], check=True)
        assert told("ar_coordinator", "init", str(directory), "--json").code == 0
        assert {p.name for p in (directory / "keys").iterdir()} == {"pool.key", "seed.key", "tls.key", "tls.crt"}


# --- What a pool needs


def test_without_git(serve: Command, made: Path, told: Command, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = serve(tmp_path / "other")
    assert error["code"] == "AR-C610"
    assert "install -y git" in error["hint"]
    assert not (tmp_path / "other").exists()
    done = told("ar_coordinator", "referee", "--data", str(made))
    assert (done.code, "AR-C610" in done.err) == (2, True), done


@pytest.mark.parametrize("option", ["--grpc", "--web"])
@pytest.mark.parametrize(
    ("address", "words"), [("192.0.2.1:0", "assign requested address"), ("nosuch.invalid:0", "not known|resolution")]
)
def test_an_address_that_is_not_this_machines(
    listen: Command, made: Path, option: str, address: str, words: str
) -> None:
    error = listen(made, option, address, "--web-behind-proxy")
    assert error["code"] == "AR-C611"
    assert address in error["message"]
    assert re.search(words, error["message"]), error


@pytest.mark.parametrize("option", ["--grpc", "--web"])
def test_a_port_that_is_taken(listen: Command, made: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        error = listen(made, option, address)
    assert error["code"] == "AR-C602"
    assert address in error["message"]


def test_a_pool_that_listens_everywhere_tells_others_its_name(start_pool: Command) -> None:
    pool = start_pool("--verifiers", "0", "--grpc", "0.0.0.0:0")
    assert pool.grpc.startswith(f"{socket.gethostname()}:")
    done = pool.coordinator("tokens", "new")
    assert done.code == 0, done
    assert f"ar-worker join {pool.grpc} --token {done.out.strip()}" in done.err


# --- Who may look


def test_a_directory_of_another_user(made: Path) -> None:
    try:
        made.chmod(0o700 if os.geteuid() == 0 else 0)
        for words in (["tokens", "list"], ["serve", "--verifiers", "0"]):
            command = [sys.executable, "-c", AS_SOMEBODY_ELSE, *words, "--data", str(made), "--json"]
            done = Ended(subprocess.run(command, capture_output=True, text=True, timeout=90, check=False))
            error = refused(done)
            assert error["code"] == "AR-C607"
            assert f"{made / 'pool.json'}: Permission denied" in error["message"]
            assert "user" in error["hint"]
    finally:
        made.chmod(0o700)


def test_a_pool_whose_keys_cannot_be_read_runs_all_the_same(pool: Any) -> None:
    certificate = pool.directory / "keys" / "tls.crt"
    aside = certificate.with_name("aside")
    certificate.rename(aside)
    certificate.mkdir()  # what nobody can read, root neither
    try:
        error = refused(pool.coordinator("tokens", "list", "--json"))
    finally:
        certificate.rmdir()
        aside.rename(certificate)
    assert error["code"] == "AR-C607"
    assert str(certificate) in error["message"]


@pytest.mark.parametrize("process", ["verify", "referee"])
def test_a_part_of_a_pool_that_does_not_run(made: Path, told: Command, tmp_path: Path, process: str) -> None:
    def code(*options: str) -> tuple[int, str]:
        done = told("ar_coordinator", process, *options)
        return done.code, done.err

    for options, exit_code, name in (
        (["--data", str(made)], 8, "AR-C604"),
        (["--data", str(made), "--redis", f"unix://{tmp_path}/none.sock"], 8, "AR-C609"),
        (["--data", str(made), "--redis", "nonsense"], 8, "AR-C609"),
        (["--data", str(tmp_path / "none")], 2, "AR-C607"),
    ):
        found, said = code(*options)
        assert (found, name in said) == (exit_code, True), said
    (made / "pool.json").write_text('{"schema": 99, "name": "later"}')
    found, said = code("--data", str(made))
    assert (found, "AR-C601" in said) == (2, True), said


@pytest.mark.parametrize("name", ["a b", "-x", "ünï", "x" * 41, "a\nb"])
def test_a_verifier_has_a_name(made: Path, told: Command, name: str) -> None:
    done = told("ar_coordinator", "verify", "--data", str(made), f"--name={name}")
    assert (done.code, "AR-I210" in done.err) == (2, True), done


# --- What is stored


def test_damage_in_what_redis_keeps(pool: Any, serve: Command) -> None:
    assert pool.stop() == 0
    (file,) = (pool.directory / "redis" / "appendonlydir").glob("*.incr.aof")
    whole = file.read_bytes()
    file.write_bytes(b"garbage\r\n" + whole)
    error = serve(pool.directory)
    assert error["code"] == "AR-C607"
    assert str(file) in error["message"]
    assert "Bad file format" in error["message"]
    assert "backup" in error["hint"]
    file.write_bytes(whole)
    pool.start()


def test_a_history_that_is_gone_pauses_its_problem_until_it_is_restored(
    start_pool: Command, make_problem: Command, write: Command, until: Command, tmp_path: Path
) -> None:
    pool = start_pool("--verifiers", "1")
    ada = pool.person(tmp_path / "ada", "ada")
    ada.publish(make_problem("small-sum", "lost-one"))
    ada.publish(make_problem("small-sum", "kept-one"))
    pool.stop()
    start_again(pool, 0)
    proposed = ada.propose("lost-one", write("[1, 2.75]"), "--no-wait")
    assert proposed.code == 0, proposed
    pool.stop()

    history = pool.directory / "git" / "lost-one.git"
    history.rename(tmp_path / "aside")
    start_again(pool, 1)
    card = until(lambda: (found := ada.card("lost-one")).get("state") == "paused" and found, 120)
    assert "git/lost-one.git" in card["state_reason"]
    assert "git/lost-one.git" in page(pool, "/p/lost-one")
    assert str(history) in pool.log.read_text()
    # The other one goes on; neither what was queued is lost, nor does a revision begin a new history.
    assert ada.propose("kept-one", write("[1, 2.75]")).document["status"] == "accepted"
    revision = make_problem("small-sum", "lost-one", noise='"none"', title='"Another title"')
    assert ada.pool("publish", str(revision), "--no-wait").code == 0
    resumed = pool.coordinator("problems", "resume", "lost-one")
    assert resumed.code == 0, resumed
    until(lambda: ada.card("lost-one").get("state") == "paused", 120)
    assert not history.exists()

    (tmp_path / "aside").rename(history)
    assert pool.coordinator("problems", "resume", "lost-one").code == 0
    until(lambda: ada.log("lost-one")[0]["status"] == "accepted", 150)
    assert ada.card("lost-one")["state"] == "open"
    until(lambda: ada.card("lost-one")["revision"] == 2, 150)
    assert "Traceback" not in pool.log.read_text()


# --- What it says


def test_a_start_tells_how_to_publish_and_how_to_donate(tmp_path: Path) -> None:
    data = tmp_path / "data"
    words = ["serve", "--data", str(data), "--grpc", "127.0.0.1:0", "--web", "127.0.0.1:0", "--verifiers", "0"]
    with said_by("ar_coordinator", *words) as lines:
        said = list(takewhile(lambda line: not line.startswith("Ctrl-C"), map(str.strip, lines)))
    address = next(line.split()[1] for line in said if line.startswith("gRPC"))
    assert f"To donate:   ar-coordinator tokens new --uses 20 --data {data}" in said
    assert f"there:  ar-worker join {address} --token T" in said
    assert f"there:  ar-pool login {address} --token T" in said


# --- What waits says so


def test_a_registration_without_a_verifier_says_what_it_waits_for(
    pool: Any, make_problem: Command, tmp_path: Path
) -> None:
    ada = pool.person(tmp_path / "ada", "ada")
    with said_by("ar_client", "publish", str(make_problem("small-sum", "waits")), home=ada.home) as lines:
        assert next(lines) == "waits: Its registration waits: no verifier is here.\n"
    assert "no verifier is here" in page(pool, "/p/waits")


def test_a_second_referee_says_that_it_waits(pool: Any, until: Command) -> None:
    until(lambda: "referee ready" in pool.log.read_text(), 120)
    with said_by("ar_coordinator", "referee", "--data", str(pool.directory)) as lines:
        assert "waiting for another referee" in next(lines)
