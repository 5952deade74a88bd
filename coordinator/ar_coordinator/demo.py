"""A whole pool on this machine for a minute: two problems, two volunteers, and what became of them.

Not here: anything that a real pool does otherwise. Every part is the real program, started as a person would.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ar_coordinator import output
from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.demo_model import State, begin, counted, looked, read_card
from ar_coordinator.demo_panel import Teller, teller
from ar_coordinator.demo_volunteers import Followed
from ar_core.errors import PoolError

PROBLEMS = ("zlib-dictionary", "bin-packing")
VOLUNTEERS = ("ada", "grace")
_READY_SECONDS, _PUBLISH_SECONDS, _END_SECONDS, _SETTLE_SECONDS = 60.0, 120.0, 15.0, 10.0
_LOOK_SECONDS, _FRAME_SECONDS = 1.0, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a demo keeps its state and finds its problems."""

    root: Path
    problems: Path

    @property
    def data(self) -> Path:
        """The pool's data directory."""
        return self.root / "pool"

    def home(self, name: str) -> Path:
        """The local state of one person."""
        return self.root / name

    def log(self, name: str) -> Path:
        """What one person's program says."""
        return self.root / f"{name}.log"


def find_problems() -> Path:
    """Return the folder of the problems that ship with the project; raises ``PoolError`` AR-A106."""
    for folder in (Path(__file__).resolve().parents[2] / "problems", Path.cwd() / "problems"):
        if all((folder / name / "problem.toml").is_file() for name in PROBLEMS):
            return folder
    raise PoolError("AR-A106", "the folder problems/ is not here", hint="run it in a clone of the project")


def run(place: Place, seconds: float) -> None:
    """Run the demo; raises ``PoolError`` when a part of it does not start."""
    begun = time.monotonic()
    with ExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        pool = stack.enter_context(_serve(place))
        output.say(f"pool ready after {time.monotonic() - begun:.1f} s  {pool['web']}")
        for name in PROBLEMS:
            _publish(place, pool["grpc"], name)
        token = _token(place, "worker", uses=len(VOLUNTEERS))
        with ExitStack() as work:
            for name in VOLUNTEERS:
                work.enter_context(_volunteer(place, pool["grpc"], token, name))
            output.say(f"{len(VOLUNTEERS)} volunteers joined; {seconds:g} s of work, Ctrl-C ends it sooner\n")
            tell = stack.enter_context(teller())
            logs = {name: Followed(place.log(name)) for name in VOLUNTEERS}
            state = _look_on(pool["web"], seconds, logs, tell, stop)
        _wait_for_verdicts(pool["web"], stop)
        # What was accepted last shows in the panel, which stays.
        tell.show(replace(_look(pool["web"], state, logs), over=True))
        _tell(place, pool["web"])


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    # In a thread of its own, since the one that is interrupted may hold the event's lock.
    before = [signal.signal(number, lambda *_: threading.Thread(target=stop.set).start()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _serve(place: Place) -> Iterator[dict[str, str]]:
    """Start the pool and give its ready event; it ends with the block."""
    command = [_program("ar-coordinator"), "serve", "--data", str(place.data), "--grpc", "127.0.0.1:0", "--web",
               "127.0.0.1:0", "--name", "demo pool", "--verifiers", "1", "--json"]  # fmt: skip
    log = place.root / "pool.log"
    with _started(command, place.home("operator"), log, stdout=subprocess.PIPE) as process:
        alarm = threading.Timer(_READY_SECONDS, process.kill)
        alarm.start()
        line = process.stdout.readline() if process.stdout else b""
        alarm.cancel()
        if not line:
            raise PoolError("AR-C604", "the pool did not start", hint=f"see {log}")
        yield json.loads(line)


@contextmanager
def _volunteer(place: Place, address: str, token: str, name: str) -> Iterator[None]:
    command = [_program("ar-worker"), "join", address, "--token", token, "--name", name, "--slots", "1", "--json"]
    with _started(command, place.home(name), place.log(name)):
        yield


@contextmanager
def _started(
    command: list[str], home: Path, log: Path, stdout: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program that ends with the block: asked first, then by force."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout if stdout is not None else file, stderr=file,
            env={**os.environ, "AR_HOME": str(home)}, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _publish(place: Place, address: str, name: str) -> None:
    home = place.home("publisher")
    if not home.exists():
        token = _token(place, "publisher")
        _run([_program("ar-pool"), "login", address, "--token", token, "--name", "publisher"], home)
    done = _run([_program("ar-pool"), "publish", str(place.problems / name), "--json"], home)
    document = json.loads(done)
    output.say(f"published {name}: baseline {document['baseline']:g}")


def _token(place: Place, role: str, uses: int = 1) -> str:
    command = [_program("ar-coordinator"), "tokens", "new", "--role", role, "--uses", str(uses), "--json",
               "--data", str(place.data)]  # fmt: skip
    return str(json.loads(_run(command, place.home("operator")))["token"])


def _run(command: list[str], home: Path) -> str:
    environment = {**os.environ, "AR_HOME": str(home)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_PUBLISH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        what = f"{Path(command[0]).name} {command[1]} did not end in {_PUBLISH_SECONDS:g} s"
        raise PoolError("AR-A105", what, hint="see what `ar-coordinator doctor` says of this machine") from None
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise PoolError("AR-A100", f"{Path(command[0]).name} {command[1]} ended with {done.returncode}: {last[0]}")
    return done.stdout


def _program(name: str) -> str:
    """Return a command of this installation."""
    return str(Path(sys.executable).parent / name)


def _look_on(web: str, seconds: float, logs: Mapping[str, Followed], tell: Teller, stop: threading.Event) -> State:
    """Tell each new best as it is accepted, until the time is over; return what is known then."""
    state = begin(web, PROBLEMS, VOLUNTEERS, time.monotonic(), seconds)
    look_at = state.begun
    while time.monotonic() < state.ends and not stop.wait(_FRAME_SECONDS):
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + _LOOK_SECONDS
            state = _look(web, state, logs)
        tell.show(state)
    return state


def _look(web: str, state: State, logs: Mapping[str, Followed]) -> State:
    """Ask the pool for its problems, and the volunteers' logs for what they did."""
    for name in PROBLEMS:
        state = looked(state, read_card(_get(web, f"problems/{name}")), time.monotonic())
    for name, log in logs.items():
        log.look()
        state = counted(state, name, log.tried, log.problem, time.monotonic())
    return state


def _wait_for_verdicts(web: str, stop: threading.Event) -> None:
    """Wait until what the volunteers claimed is settled, so that what is told stays true."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        pool = _get(web, "pool")
        if not (pool["queued"] or pool["verifying"]):
            return
        stop.wait(0.1)


def _tell(place: Place, web: str) -> None:
    """Print what became of it: the problems, the leaderboard, and the last commits as git tells them."""
    output.say("")
    for name in PROBLEMS:
        output.line(read_card(_get(web, f"problems/{name}")).sentence)
    output.line("")
    board = _get(web, "leaderboard")
    rows = board["items"] if "items" in board else board["rows"]
    if isinstance(rows, list):
        table = [[str(r["rank"]), str(r["contributor"]), str(r["accepted"]), str(r["experiments"])] for r in rows]
        output.table(["#", "CONTRIBUTOR", "ACCEPTED", "TRIED"], table)
    for name in PROBLEMS:
        repository = DataDirectory(place.data).repository(name)
        output.line(f"\n$ git log --oneline  # {name}")
        command = ["git", "--git-dir", str(repository), "log", "--oneline", "--max-count=5", "main"]
        for line in _run(command, place.home("operator")).splitlines():
            output.line(line)


def _get(web: str, path: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{web}/api/v1/{path}", timeout=30) as response:  # noqa: S310 - our own address
        found: dict[str, object] = json.load(response)
    return found
