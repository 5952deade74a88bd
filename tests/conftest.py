"""Fixtures for tests of the whole: a real pool as its own processes, and the commands as people run them."""

import gc
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

# Whoever starts the tests in the background of a shell without job control has them ignore SIGINT, and all that they
# start with them; what is tested is what an interruption does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Threads of numpy's that wait for each other take the processor from the other tests.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# How fast an example is found or run depends on what else this machine does; no test is about that.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

ROOT = Path(__file__).parent.parent
_READY_SECONDS = 60
_COMMAND_SECONDS = 120


_LONGEST_FIRST = (
    "e2e/test_work_stream",
    "e2e/test_crashes",
    "worker/test_with_pool",
    "e2e/",
    "attacks/",
    "worker/",
    "sandbox/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left alone with one at the end."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT / "tests").as_posix() if item.path.is_relative_to(ROOT / "tests") else ""
        return next((n for n, start in enumerate(_LONGEST_FIRST) if path.startswith(start)), len(_LONGEST_FIRST))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Keep the thousands of collected tests out of each look for garbage; many tests ask for one."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Finished:
    """A command that ended: exit code, output, and its output as JSON."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """NDJSON on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, str]:
        """The error document on stderr."""
        return json.loads(self.err.splitlines()[-1])["error"]

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def run_command(
    package: str, *arguments: str, home: Path | None = None, seconds: float = _COMMAND_SECONDS
) -> Finished:
    """Run ``ar-pool`` (``ar_client``) or ``ar-coordinator`` (``ar_coordinator``) as its own process."""
    environment = {**os.environ, "NO_COLOR": "1", "AR_HOME": str(home or "/nonexistent")}
    environment.pop("AR_DEBUG", None)
    code = f"from {package}.main import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def run_within(package: str, *arguments: str, home: Path | None = None) -> Finished:
    """Run such a command within this process, which saves the start of one; it talks to a real pool all the same."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("NO_COLOR", "1")
        patch.setenv("AR_HOME", str(home or "/nonexistent"))
        patch.delenv("AR_DEBUG", raising=False)
        try:
            code: int = importlib.import_module(f"{package}.main").run(list(arguments))
        finally:
            structlog.reset_defaults()  # what is logged next has another stream
    said = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Finished(code, *said)


class RunningPool:
    """``ar-coordinator serve`` in a data directory, on free ports; may be killed and started again."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.log = directory.parent / f"{directory.name}.log"
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.grpc = self.web = ""
        self._tokens: dict[str, str] = {}

    def start(self) -> "RunningPool":
        """Start and wait for the ready event. The first free ports are kept over restarts."""
        grpc, web = self.grpc or "127.0.0.1:0", self.web.removeprefix("http://") or "127.0.0.1:0"
        code = "from ar_coordinator.main import main; main()"
        command = [sys.executable, "-c", code, "serve", "--data", str(self.directory), "--grpc", grpc, "--web", web,
                   "--json", *self._options]  # fmt: skip
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        # A line that never comes ends with the process: readline returns then.
        alarm = threading.Timer(_READY_SECONDS, self._process.kill)
        alarm.start()
        line = self._process.stdout.readline() if self._process.stdout else ""
        alarm.cancel()
        assert line, f"the pool did not start:\n{self.log.read_text()[-4000:]}"
        event = json.loads(line)
        self.grpc, self.web = event["grpc"], event["web"]
        return self

    @property
    def pid(self) -> int:
        """The process of ``serve``."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """``kill -9``, of ``serve`` only."""
        assert self._process is not None
        self._process.kill()
        self._ended()

    def _ended(self) -> int:
        assert self._process is not None
        code = self._process.wait(timeout=20)
        if self._process.stdout:
            self._process.stdout.close()
        return code

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._ended()

    def coordinator(self, *arguments: str) -> Finished:
        """Run an operator's command on this pool."""
        return run_within("ar_coordinator", *arguments, "--data", str(self.directory))

    def wait_until_it_answers(self, seconds: float = 30) -> None:
        """Wait until the pool can read its records, as its health page says."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                urllib.request.urlopen(f"{self.web}/healthz", timeout=5).close()
            except OSError as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"the pool does not answer: {error}") from None
                threading.Event().wait(0.05)
            else:
                return

    def token(self, role: str = "publisher", *options: str) -> str:
        """Return a token of a role for a thousand uses, each time the same; a new one where ``options`` are given."""
        if not options and role in self._tokens:
            return self._tokens[role]
        done = self.coordinator("tokens", "new", "--role", role, "--json", *(options or ("--uses", "1000")))
        assert done.code == 0, done
        token = str(done.document["token"])
        if not options:
            self._tokens[role] = token
        return token

    def person(self, home: Path, name: str, role: str = "publisher") -> "Person":
        """Sign somebody in."""
        person = Person(home, self.web)
        extra = ["--contributor"] if role == "worker" else []
        done = person.pool("login", self.grpc, "--token", self.token(role), "--name", name, *extra)
        assert done.code == 0, done
        return person


class Person:
    """Somebody with an ``AR_HOME`` of their own, and the address of the pool's pages."""

    def __init__(self, home: Path, web: str) -> None:
        self.home = home
        self.web = web

    def pool(self, *arguments: str) -> Finished:
        """Run ``ar-pool``."""
        return run_within("ar_client", *arguments, home=self.home)

    def publish(self, folder: Path) -> dict[str, Any]:
        """Publish a problem that is to be accepted; returns the document."""
        done = self.pool("publish", str(folder), "--json")
        assert done.code == 0, done
        return done.document

    def propose(self, problem: str, file: Path, *options: str) -> Finished:
        """Propose a file."""
        return self.pool("propose", problem, "--file", str(file), "--json", *options)

    def log(self, problem: str) -> list[dict[str, Any]]:
        """Return every experiment as ``ar-pool log --json`` does, newest first; none where the pool does not answer.

        From the pool's JSON API: a test that waits asks often, and a command takes a fifth of a second to start.
        """
        found: list[dict[str, Any]] = self._ask(f"{problem}/experiments?limit=1000").get("items", [])
        return found

    def card(self, problem: str) -> dict[str, Any]:
        """Return a problem as ``ar-pool show --json`` does; empty where the pool does not answer."""
        return self._ask(problem)

    def _ask(self, path: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self.web}/api/v1/problems/{path}", timeout=30) as page:
                answer: dict[str, Any] = json.load(page)
        except OSError:
            return {}
        return answer


@pytest.fixture(scope="session")
def problems() -> Path:
    """The problems that ship with the project."""
    return ROOT / "problems"


@pytest.fixture(scope="session")
def candidates() -> Path:
    """Files to propose, by problem."""
    return ROOT / "tests" / "problems" / "candidates"


@pytest.fixture(scope="module")
def start_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningPool]]:
    """Start pools that end with the module."""
    with ExitStack() as stack:

        def start(*options: str) -> RunningPool:
            running = RunningPool(tmp_path_factory.mktemp("pool") / "data", *options)
            stack.callback(running.stop)
            return running.start()

        yield start


@pytest.fixture
def pool_at() -> Iterator[Callable[[Path], RunningPool]]:
    """Start a pool in a given directory, which ends with the test."""
    with ExitStack() as stack:

        def start(directory: Path) -> RunningPool:
            running = RunningPool(directory)
            running.log = directory.parent.parent / "pool.log"
            stack.callback(running.stop)
            return running.start()

        yield start


@pytest.fixture
def command() -> Callable[..., Finished]:
    """Run a command of a package as a process of its own."""
    return run_command


@pytest.fixture
def told() -> Callable[..., Finished]:
    """Run a command of a package within this process, which is quicker where there are many."""
    return run_within
