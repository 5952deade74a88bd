"""Bench ``start``: how long somebody waits for help, a pool, the first experiment and the first accepted commit."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from conftest import RunningPool  # noqa: E402
from figures import keep, tell  # noqa: E402

PROBLEM = "zlib-dictionary"
ROUNDS = 5
_WAIT_SECONDS = 60


def main() -> None:
    """Measure, print a table, and add to bench/results.json."""
    helps = {name: [help_seconds(name) for _ in range(ROUNDS)] for name in ("ar-pool", "ar-coordinator", "ar-worker")}
    rounds = [one_round() for _ in range(ROUNDS)]
    figures: dict[str, object] = {"bench": "start", "python": platform.python_version()}
    for name, seconds in helps.items():
        figures[f"{name}_help_s"] = round(statistics.median(seconds), 3)
    for key in rounds[0]:
        values = [measured[key] for measured in rounds]
        figures[key] = round(statistics.median(values), 2)
        figures[f"{key}_spread"] = [round(min(values), 2), round(max(values), 2)]
    tell(f"start: seconds, medians of {ROUNDS}", figures)
    keep("start", figures)


def help_seconds(program: str) -> float:
    """Return how long ``--help`` takes."""
    begun = time.perf_counter()
    subprocess.run([str(Path(sys.executable).parent / program), "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def one_round() -> dict[str, float]:
    """Start a pool and a volunteer; seconds to each step, all but the first from the volunteer's start."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        begun = time.perf_counter()
        pool = RunningPool(folder / "data", "--verifiers", "1").start()
        stack.callback(pool.stop)
        ready = time.perf_counter() - begun
        alice = pool.person(folder / "alice", "alice")
        alice.publish(ROOT / "problems" / PROBLEM)
        token = pool.token("worker")
        begun = time.perf_counter()
        command = [str(Path(sys.executable).parent / "ar-worker"), "join", pool.grpc, "--token", token, "--json"]
        worker = stack.enter_context(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "AR_HOME": str(folder / "w")},
            )
        )
        stack.callback(worker.terminate)
        first: dict[str, float] = {}
        for line in worker.stdout or ():
            event = json.loads(line)
            name = event["event"]
            if name == "verdict" and event["status"] == "accepted":
                name = "accepted"
            first.setdefault(name, time.perf_counter() - begun)
            if name == "accepted" or time.perf_counter() - begun > _WAIT_SECONDS:
                break
        return {
            "pool_ready_s": ready,
            "joined_s": first["joined"],
            "first_experiment_s": first["scored"],
            "first_report_s": first["reported"],
            "first_accepted_s": first.get("accepted", float("inf")),
        }


if __name__ == "__main__":
    main()
