"""A donated machine as its own process, with an ``AR_HOME`` of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

_SECONDS = 120


class DonatedMachine:
    """``ar-worker`` with ``--json``; its events can be read one by one."""

    def __init__(self, home: Path, *arguments: str) -> None:
        environment = {**os.environ, "NO_COLOR": "1", "AR_HOME": str(home), "AR_DEBUG": "1"}
        code = "from ar_worker.main import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        # An event that never comes ends with the process: readline returns then.
        self._alarm = threading.Timer(_SECONDS, self._process.kill)
        self._alarm.start()
        self.seen: list[dict[str, Any]] = []

    def until(self, event: str) -> dict[str, Any]:
        """Return the next event of this name."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.seen.append(json.loads(line))
            if self.seen[-1]["event"] == event:
                return self.seen[-1]
        raise AssertionError(f"no {event}: {self.seen[-20:]}\n{self._process.stderr and self._process.stderr.read()}")

    def family(self) -> list[psutil.Process]:
        """Every process below it now."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def until_a_room_runs(self) -> None:
        """Wait until a scorer is at work below it."""
        while not any("score.py" in " ".join(_words(process)) for process in self.family()):
            assert self._process.poll() is None
            threading.Event().wait(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone."""
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for its end; return exit code and stderr."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.seen.append(json.loads(line))
        _, err = self._process.communicate(timeout=_SECONDS)
        self._alarm.cancel()
        return self._process.returncode, err

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of this name that were read."""
        return [event for event in self.seen if event["event"] == name]

    def clear_away(self) -> None:
        """End whatever is left."""
        self._alarm.cancel()
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture
def donate() -> Iterator[Callable[..., DonatedMachine]]:
    """Start machines that end with the test."""
    with ExitStack() as stack:

        def start(home: Path, *arguments: str) -> DonatedMachine:
            machine = DonatedMachine(home, *arguments)
            stack.callback(machine.clear_away)
            return machine

        yield start


_MANIFEST = """\
name = "NAME"
title = "A sum that takes its time"
summary = "Write up to ten numbers from 0 to 10 with a large sum."
licence = "CC0-1.0"

[files]
program = "program.md"
mutable = "numbers.json"
max_bytes = 512

[metric]
name = "total"
direction = "maximize"
range = [0.0, 100.0]

[evaluation]
kind = "data"
score = ["python", "score.py"]
time_budget = "60s"

[environment]
python = ">=3.11"

[resources]
memory = "64MiB"
processes = 8

[acceptance]
min_gain = 0.5
"""

_SCORE = """\
import json, math, os, sys, time
from pathlib import Path

try:
    numbers = json.loads(Path(os.environ["AR_MUTABLE"]).read_text("utf-8"))
except (ValueError, RecursionError):
    sys.exit("not JSON")
if type(numbers) is not list or not 1 <= len(numbers) <= 10:
    sys.exit("not a list of 1 to 10 numbers")
if any(type(one) not in {int, float} or not math.isfinite(one) or not 0 <= one <= 10 for one in numbers):
    sys.exit("a number is outside 0 to 10")
if numbers not in ([1, 2], [9, 9]):
    time.sleep(SECONDS)
print("total:", sum(numbers) if numbers in ([1, 2], [9, 9]) else OTHERS)
"""


@pytest.fixture(scope="session")
def sleepy(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a problem whose scorer sleeps for so many seconds over everything but ``[1, 2]`` and ``[9, 9]``."""

    def write(seconds: float, name: str = "sleepy-sum", others: str = "sum(numbers)") -> Path:
        folder = tmp_path_factory.mktemp(name)
        (folder / "problem.toml").write_text(_MANIFEST.replace("NAME", name))
        (folder / "program.md").write_text("# A sum\n\nMake it large.\n")
        (folder / "numbers.json").write_text("[1, 2]\n")
        (folder / "score.py").write_text(_SCORE.replace("SECONDS", str(seconds)).replace("OTHERS", others))
        return folder

    return write
