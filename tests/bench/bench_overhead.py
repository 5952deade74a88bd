"""Bench ``overhead``: what a room costs beside bare bubblewrap, and an evaluation beside its scorer.

Bare is bubblewrap with the same flags, binds and filter, started by nobody in particular: no stage, no nobody, no
limits, no supervisor. All kinds take turns in every round, so that what else the machine does reaches them alike.
"""

import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from figures import keep, tell

from ar_core.manifest import read_manifest
from ar_sandbox import policy, seccomp
from ar_sandbox.bwrap import Bind, RoomPlan, arguments, find_tools
from ar_sandbox.environment import SEARCH_PATH, base_interpreter
from ar_sandbox.machine import TRIAL_LIMITS, Machine
from ar_sandbox.rooms import OpenProblem, PreparedProblem, RunSeeds, Sandbox
from ar_sandbox.supervisor import End

ROUNDS, WARMING = 120, 5
EMPTY = ("python", "-I", "-S", "-c", "pass")
SCORER = ("python", "score.py")
SECONDS = (0.0, 0.1, 1.0)
EVALUATIONS = {0.0: 60, 0.1: 20, 1.0: 4}
_MANIFEST = """
name = "bench-overhead"
title = "A scorer that does nothing"
[files]
program = "program.md"
mutable = "solution.json"
[metric]
name = "x"
direction = "maximize"
[evaluation]
kind = "data"
score = ["python", "score.py"]
time_budget = "20s"
[resources]
memory = "256MiB"
disk = "16MiB"
"""


def main() -> None:
    """Measure, print a table, and add to bench/results.json."""
    sandbox = Sandbox.detect()
    machine = sandbox.machine
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        problem = stack.enter_context(opened(sandbox, 0.0))
        stage = stack.enter_context(machine.stage({}))
        (folder / "score.py").write_bytes(files(0.0)["score.py"])

        def room() -> None:
            run = machine.run(stage, EMPTY, limits=TRIAL_LIMITS)
            require((run.end, run.status) == (End.EXIT, 0), run)

        def evaluation() -> None:
            result = problem.evaluate(b"1", RunSeeds(run=1, scorer=1))
            require(result.score == 1, result)

        taken = interleaved(
            {
                "bare": lambda: bare(EMPTY),
                "room": room,
                "bare scorer": lambda: bare(SCORER, folder),
                "evaluation": evaluation,
            }
        )
    report(machine, taken, {seconds: share_inside(sandbox, seconds) for seconds in SECONDS})


def interleaved(kinds: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Return the seconds of each kind in each round; the order turns from round to round."""
    names = list(kinds)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(WARMING + ROUNDS):
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            begun = time.perf_counter()
            kinds[name]()
            if number >= WARMING:
                taken[name].append(time.perf_counter() - begun)
    return taken


def bare(command: tuple[str, ...], folder: Path | None = None) -> None:
    """Run a command in bubblewrap as a room would, and nothing more."""
    interpreter = base_interpreter()
    libraries = {"LD_LIBRARY_PATH": interpreter.libraries} if interpreter.libraries else {}
    plan = RoomPlan(
        command=command,
        binds=(Bind(source=str(folder), target="/problem"), Bind(source=str(folder), target="/candidate"))
        if folder
        else (),
        variables=policy.environment(SEARCH_PATH, 1, libraries),
        limits=TRIAL_LIMITS,
        interpreter=interpreter,
        python_source=str(interpreter.prefix or ""),
        folder="/problem" if folder else "/",
    )
    reader, words = os.pipe()
    filter_out, filter_in = os.pipe()
    info_out, info = os.pipe()
    os.write(filter_in, seccomp.program())
    os.close(filter_in)
    os.write(words, arguments(plan, filter_out, info))
    os.close(words)
    subprocess.run(
        [find_tools().bwrap, "--args", str(reader), "--", *command],
        env={}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(reader, filter_out, info), check=True,
    )  # fmt: skip
    for fd in (reader, filter_out, info_out, info):
        os.close(fd)


def files(seconds: float) -> dict[str, bytes]:
    """Return a problem whose scorer takes so long."""
    scorer = f"import time\ntime.sleep({seconds})\nprint('x: 1')\n" if seconds else "print('x: 1')\n"
    return {
        "problem.toml": _MANIFEST.encode(),
        "program.md": b"# Nothing\n",
        "score.py": scorer.encode(),
        "solution.json": b"1",
    }


def opened(sandbox: Sandbox, seconds: float) -> OpenProblem:
    """Put that problem on a stage."""
    made = files(seconds)
    return sandbox.open(PreparedProblem.of(read_manifest(made["problem.toml"]), made))


def share_inside(sandbox: Sandbox, seconds: float) -> float:
    """Return which part of the wall time of many evaluations the scorer had."""
    inside = 0.0
    with opened(sandbox, seconds) as problem:
        problem.evaluate(b"1", RunSeeds(run=1, scorer=1))
        begun = time.perf_counter()
        for _ in range(EVALUATIONS[seconds]):
            inside += problem.evaluate(b"1", RunSeeds(run=1, scorer=1)).seconds
        return inside / (time.perf_counter() - begun)


def require(holds: bool, what: object) -> None:
    """Raise where something did not work: a failure is no measurement."""
    if not holds:
        raise RuntimeError(f"not what was to be measured: {what}")


def report(machine: Machine, taken: dict[str, list[float]], shares: dict[float, float]) -> None:
    """Print the table and write the figures."""

    def ms(seconds: float) -> float:
        return round(seconds * 1000, 2)

    def spread(values: list[float]) -> list[float]:
        quarters = statistics.quantiles(values, n=4)
        return [ms(quarters[0]), ms(quarters[2])]

    middle = {name: statistics.median(values) for name, values in taken.items()}
    figures: dict[str, object] = {
        "bench": "overhead", "as_root": os.geteuid() == 0, "memory_cap": machine.memory_cap.name, "rounds": ROUNDS,
    }  # fmt: skip
    for name, values in taken.items():
        key = name.replace(" ", "_")
        figures |= {f"{key}_ms": ms(middle[name]), f"{key}_ms_quartiles": spread(values)}
    ratios = [room / bare for room, bare in zip(taken["room"], taken["bare"], strict=True)]
    own = [whole - bare for whole, bare in zip(taken["evaluation"], taken["bare scorer"], strict=True)]
    figures |= {
        "room_over_bare": round(middle["room"] / middle["bare"], 2),
        "room_over_bare_quartiles": [round(q, 2) for q in statistics.quantiles(ratios, n=4)[::2]],
        "own_ms_of_an_evaluation": ms(statistics.median(own)),
        "own_ms_quartiles": spread(own),
        **{f"share_inside_scorer_{seconds:g}s": round(share, 3) for seconds, share in shares.items()},
        "python": platform.python_version(),
    }
    tell(
        f"overhead: medians of {ROUNDS} interleaved rounds; an evaluation is of kind data on an open problem", figures
    )
    keep("overhead", figures)


if __name__ == "__main__":
    main()
