"""However our own process ends or is interrupted, no room outlives it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from ar_sandbox.rooms import Outcome, RunSeeds

SEEDS = RunSeeds(run=1, scorer=1)
SLEEPER = "import os, time\nif os.fork() == 0:\n    os.setsid()\ntime.sleep(600)"


class JobTimeoutError(Exception):
    """What a job's time limit raises."""


@pytest.fixture
def alarm():
    def ring(_number, _frame):
        raise JobTimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_an_exception_from_a_signal_ends_the_room(sandbox, folder, alarm):
    prepared = folder(score=SLEEPER).prepared()

    def start_the_clock(_room: str) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    with pytest.raises(JobTimeoutError):
        sandbox.evaluate(prepared, b"", SEEDS, on_start=start_the_clock)


# An exception inside the standard library's Popen leaves an object that warns when it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.interrupted
@pytest.mark.parametrize("delay", [0.001 * n for n in range(1, 30, 2)])
def test_an_exception_at_any_moment_leaves_nothing(sandbox, folder, alarm, delay):
    prepared = folder(score=SLEEPER).prepared()
    others = psutil.Process().children(recursive=True)

    def evaluate_with_the_clock_running() -> None:
        signal.setitimer(signal.ITIMER_REAL, delay)
        sandbox.evaluate(prepared, b"", SEEDS)

    with pytest.raises(JobTimeoutError):
        evaluate_with_the_clock_running()
    # Interrupted at its very birth, a stage's keeper has no number to be waited for by; it is leaving.
    ours = [process for process in psutil.Process().children(recursive=True) if process not in others]
    assert psutil.wait_procs(ours, timeout=5)[1] == []


def test_an_exception_of_a_callback_ends_the_room(sandbox, folder):
    def fail(_room: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sandbox.evaluate(folder(score=SLEEPER).prepared(), b"", SEEDS, on_start=fail)


def test_a_stage_goes_on_after_a_timeout(sandbox, folder):
    source = "import os, time; time.sleep(float(open(os.environ['AR_MUTABLE']).read())); print('x: 1')"
    with sandbox.open(folder(score=source, budget="300ms").prepared()) as opened:
        outcomes = [opened.evaluate(c, SEEDS).outcome for c in (b"600", b"0", b"600", b"0")]
    assert outcomes == [Outcome.TIMEOUT, Outcome.OK, Outcome.TIMEOUT, Outcome.OK]


KILLED = """
import sys
from ar_sandbox.rooms import Sandbox, PreparedProblem, RunSeeds
from ar_core.manifest import read_manifest
files = {name: open(sys.argv[1] + "/" + name, "rb").read() for name in sys.argv[2:]}
prepared = PreparedProblem.of(read_manifest(files["problem.toml"]), files)
Sandbox.detect().evaluate(prepared, b"1", RunSeeds(run=1, scorer=1), on_start=lambda room: print(room, flush=True))
"""


def test_kill_9_of_us_ends_everything(tmp_path, folder):
    files = folder(score=SLEEPER).files()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = os.pathsep.join(str(Path(sys.modules[n].__file__).parents[1]) for n in ("ar_core", "ar_sandbox"))
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), *files],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths},
    ) as ours:  # fmt: skip
        assert ours.stdout is not None
        assert ours.stdout.readline().strip() == "scorer"
        below: list[psutil.Process] = []
        while len(below) < 5:  # the keeper, bubblewrap twice, the scorer and its child
            below = psutil.Process(ours.pid).children(recursive=True)
        ours.kill()
    _, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []


KILLED_AT_BIRTH = """
import os, signal, sys
from ar_sandbox import supervisor
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.rooms import Sandbox
machine = Sandbox.detect().machine
write = supervisor._write
def write_and_die(fd, data):
    write(fd, data)
    if b"--unshare-user" in data:
        os.kill(os.getpid(), signal.SIGKILL)
with machine.stage({}) as stage:
    supervisor._write = write_and_die
    machine.run(stage, ("sleep", "600"), limits=TRIAL_LIMITS, binds=())
"""


def test_kill_9_of_us_while_a_room_is_made_ends_it_too():
    """Bubblewrap has just been told what to make, and has nobody any more to report to."""
    others = psutil.Process().children(recursive=True)
    paths = os.pathsep.join(str(Path(sys.modules[n].__file__).parents[1]) for n in ("ar_core", "ar_sandbox"))
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", KILLED_AT_BIRTH], env={**os.environ, "PYTHONPATH": paths}, check=False, timeout=60
        )
        assert done.returncode == -signal.SIGKILL
    ours = [process for process in psutil.Process().children(recursive=True) if process not in others]
    assert psutil.wait_procs(ours, timeout=30)[1] == []


def test_many_rooms_from_threads_with_a_heart_beat(sandbox, folder):
    stop = threading.Event()
    beats = []

    def beat() -> None:
        while not stop.wait(0.005):
            beats.append(time.monotonic())

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        with sandbox.open(folder().prepared()) as opened:
            assert all(opened.evaluate(b"", SEEDS).score == 1 for _ in range(5))
    finally:
        stop.set()
        heart.join()
    assert beats


def test_a_program_that_does_not_exist(sandbox, folder):
    files = folder().files()
    files["problem.toml"] = files["problem.toml"].replace(b'["python", "score.py"]', b'["no-such-program"]')
    from ar_core.manifest import read_manifest
    from ar_sandbox.rooms import PreparedProblem

    prepared = PreparedProblem.of(read_manifest(files["problem.toml"]), files)
    result = sandbox.evaluate(prepared, b"", SEEDS)
    assert result.outcome is Outcome.CRASH
    assert "no-such-program" in result.feedback


def test_a_room_that_cannot_be_made_is_infrastructure(sandbox):
    from ar_sandbox.bwrap import Bind
    from ar_sandbox.machine import TRIAL_LIMITS
    from ar_sandbox.supervisor import End

    with sandbox.machine.stage({}) as stage:
        bind = Bind(source=f"{stage.path}/missing", target="/problem")
        run = sandbox.machine.run(stage, ("true",), limits=TRIAL_LIMITS, binds=(bind,))
    assert run.end is End.INFRASTRUCTURE
    assert b"missing" in run.stderr
