"""Bench ``volunteers``: how fast two donated machines work while their pool runs on the same processors.

Each volunteer has one slot, and the pool one verifier. The trivial problem is a sum over ten numbers, whose scorer
does nothing that takes time: what is left is proposing, two rooms, and reporting.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from conftest import RunningPool  # noqa: E402
from figures import keep, tell  # noqa: E402

NAMES = ("ada", "grace")
TARGETS = {"zlib-dictionary": 6500.0, "bin-packing": 4.0}
ROUNDS = 3
_RATE_SECONDS = 20.0
_TARGET_SECONDS = 60.0
_FIRST_SECONDS = 60.0

_MANIFEST = """\
name = "distance"
title = "Ten numbers near ten others"
summary = "Move ten numbers towards ten others that the scorer knows."
licence = "CC0-1.0"

[files]
program = "program.md"
mutable = "numbers.json"
max_bytes = 4096

[metric]
name = "distance"
direction = "minimize"
range = [0.0, 100000.0]

[evaluation]
kind = "data"
score = ["python", "score.py"]
time_budget = "5s"

[resources]
memory = "64MiB"
processes = 8

[environment]
python = ">=3.11"

[acceptance]
noise = "none"
min_gain = "1%"
max_plausible_gain = "100%"

[search]
tune = ["* -100..100"]
"""
_SCORE = """\
import json, os
numbers = json.load(open(os.environ["AR_MUTABLE"]))
assert type(numbers) is list and len(numbers) == 10 and all(type(one) in (int, float) for one in numbers)
print("distance:", sum((one - 7.3 * place + 31.7) ** 2 for place, one in enumerate(numbers)))
"""


def main() -> None:
    """Measure, print a table, and add to bench/results.json."""
    rounds = [trivial() for _ in range(ROUNDS)]
    rates = [rate for measured in rounds for rate in measured["rates"]]
    figures: dict[str, object] = {
        "bench": "volunteers",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "evaluations_per_second_each": round(statistics.median(rates), 1),
        "evaluations_per_second_each_spread": [round(min(rates), 1), round(max(rates), 1)],
    }
    for name in ("first_claim_s", "first_claim_after_joined_s"):
        seconds = [value for measured in rounds for value in measured[name]]
        figures[name] = round(statistics.median(seconds), 2)
        figures[f"{name}_spread"] = [round(min(seconds), 2), round(max(seconds), 2)]
    for problem, target in TARGETS.items():
        found = [seconds_until(problem, target) for _ in range(ROUNDS)]
        # Null where even the median did not come in time.
        median = statistics.median(float("inf") if one is None else one for one in found)
        figures[f"{problem}_below_{target:g}_s"] = None if median == float("inf") else round(median, 1)
        figures[f"{problem}_below_{target:g}_s_rounds"] = [None if one is None else round(one, 1) for one in found]
    tell(f"volunteers: two with one slot each, pool on the same {os.cpu_count()} cores, {ROUNDS} rounds", figures)
    keep("volunteers", figures)


def trivial() -> dict[str, list[float]]:
    """Return each volunteer's evaluations a second, and how long its first claim took from its start."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pool = stack.enter_context(published(folder, write_trivial(folder)))
        volunteers = [stack.enter_context(volunteer(pool, folder, name)) for name in NAMES]
        for one in volunteers:
            one.await_first("scored")
        begun = time.perf_counter()
        threading.Event().wait(_RATE_SECONDS)
        end = time.perf_counter()
        for one in volunteers:
            one.await_first("claim")
        return {
            "rates": [sum(begun <= at < end for at in one.scored) / (end - begun) for one in volunteers],
            "first_claim_s": [one.first["claim"] for one in volunteers],
            "first_claim_after_joined_s": [one.first["claim"] - one.first["joined"] for one in volunteers],
        }


def seconds_until(problem: str, target: float) -> float | None:
    """Return how long after they were started two volunteers had a commit below ``target``; ``None`` for too long."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pool = stack.enter_context(published(folder, ROOT / "problems" / problem))
        begun = time.perf_counter()
        for name in NAMES:
            stack.enter_context(volunteer(pool, folder, name))
        while (seconds := time.perf_counter() - begun) < _TARGET_SECONDS:
            with urllib.request.urlopen(f"{pool.web}/api/v1/problems/{problem}", timeout=30) as answer:
                if json.load(answer)["best"] < target:
                    return seconds
            threading.Event().wait(0.1)
        return None


@contextmanager
def published(folder: Path, problem: Path) -> Iterator[RunningPool]:
    """Run a pool with one problem."""
    pool = RunningPool(folder / "data", "--verifiers", "1").start()
    try:
        pool.person(folder / "publisher", "publisher").publish(problem)
        yield pool
    finally:
        pool.stop()


def write_trivial(folder: Path) -> Path:
    """Write the problem whose scorer takes no time."""
    problem = folder / "distance"
    problem.mkdir()
    for name, text in {
        "problem.toml": _MANIFEST, "program.md": "# Ten numbers\n\nMake the distance small.\n",
        "numbers.json": json.dumps([0.0] * 10) + "\n", "score.py": _SCORE,
    }.items():  # fmt: skip
        (problem / name).write_text(text)
    return problem


@contextmanager
def volunteer(pool: RunningPool, folder: Path, name: str) -> Iterator["Volunteer"]:
    """Run a volunteer with one slot; the token is made before its time begins."""
    token = pool.token("worker")
    command = [str(Path(sys.executable).parent / "ar-worker"), "join", pool.grpc, "--token", token, "--name", name,
               "--slots", "1", "--json"]  # fmt: skip
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "AR_HOME": str(folder / name)}
    )
    one = Volunteer(process, lambda: time.perf_counter() - begun)
    try:
        yield one
    finally:
        process.terminate()
        one.reader.join()
        process.wait()


class Volunteer:
    """What one volunteer said, and when: seconds since it was started, and for evaluations on the common clock."""

    def __init__(self, process: "subprocess.Popen[bytes]", elapsed: Callable[[], float]) -> None:
        self.first: dict[str, float] = {}
        self.scored: list[float] = []
        self._process, self._elapsed = process, elapsed
        self._news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def await_first(self, event: str) -> None:
        """Wait for the first event of a name; ``claim`` is a report with one in it."""
        with self._news:
            if not self._news.wait_for(lambda: event in self.first, _FIRST_SECONDS):
                raise TimeoutError(f"no {event} within {_FIRST_SECONDS:g} s")

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._note(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        with self._news:
            name = event["event"]
            self.first.setdefault(name, self._elapsed())
            if name == "scored":
                self.scored.append(time.perf_counter())
            if name == "reported" and event["claims"]:
                self.first.setdefault("claim", self._elapsed())
            self._news.notify_all()


if __name__ == "__main__":
    main()
