"""Volunteers left to themselves: their pool is killed under them, and one goes on from what another found."""

import itertools
import json
import signal
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from ar_coordinator.store import Store, keys
from ar_core.lifecycle import SETTLED, ExperimentState, LeaseState

pytestmark = pytest.mark.timeout(600)

KILLS = 3
FINAL = {state.value for state in SETTLED} | {ExperimentState.HELD.value}
_SECONDS = 150

Records = Callable[[Any], AbstractContextManager[Store]]
Git = Callable[..., str]


def kill_everything(pool: Any) -> None:
    """``kill -9`` of ``serve``, Redis, verifiers with their rooms, and the referee: at once."""
    processes = psutil.Process(pool.pid).children(recursive=True)
    assert len(processes) >= 3, processes
    pool.kill()
    for process in processes:
        if process.is_running():
            process.kill()
    assert psutil.wait_procs(processes, timeout=60)[1] == []


def processes_of(pool: Any) -> list[int]:
    """Return every process that names the pool's data directory."""
    found = psutil.process_iter(["pid", "cmdline"])
    return [p.pid for p in found if str(pool.directory) in " ".join(p.info["cmdline"] or ())]


def clone(pool: Any, problem: str, folder: Path) -> Git:
    """Clone a problem with its ledger, as anybody may; return ``git`` in it."""
    subprocess.run(["git", "clone", "-q", f"{pool.web}/git/{problem}.git", str(folder)], check=True, timeout=60)

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    git("fetch", "-q", "origin", "refs/ar/ledger:refs/ar/ledger")
    return git


def accepts(git: Git) -> list[dict[str, str]]:
    """Return what the commits of accepts say of themselves, the oldest first."""
    names = ("Experiment", "Worker", "Parent-Experiment")
    trailers = "|".join(f"%(trailers:key={name},valueonly,separator=%x20)" for name in names)
    lines = git("log", "--reverse", f"--format=%H|{trailers}").splitlines()
    found = [dict(zip(("Commit", *names), map(str.strip, line.split("|")), strict=True)) for line in lines]
    return [one for one in found if one["Experiment"]]


def ledger(git: Git) -> list[dict[str, Any]]:
    """Return every record of the ledger, in its order."""
    paths = [path for path in git("ls-tree", "-r", "--name-only", "refs/ar/ledger").split() if path.endswith("jsonl")]
    lines = [line for path in paths for line in git("show", f"refs/ar/ledger:{path}").splitlines()]
    return sorted((json.loads(line) for line in lines), key=lambda record: int(record["sequence"]))


def nothing_waits(pool: Any, records: Records) -> bool:
    """Tell whether every claim has its verdict and the ledger in git is complete."""
    with records(pool) as store:
        text = store.connection.text
        tails = [text.zcard(keys.ledger_tail(name)) for name in store.problems.names()]
        return not (text.zcard(keys.QUEUE) or text.zcard(keys.VERIFYING) or any(tails))


def test_the_whole_pool_killed_three_times_while_volunteers_work(
    start_pool: Callable[..., Any],
    make_problem: Callable[..., Path],
    join: Callable[..., Any],
    records: Records,
    until: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Nobody touches the volunteers: they find the pool again, and nothing they were told it has is lost."""
    problem = "far-numbers"
    pool = start_pool("--verifiers", "1")
    ada = pool.person(tmp_path / "ada", "ada")
    ada.publish(make_problem(problem, problem))
    volunteers = [join(pool, name) for name in ("eve", "mallory")]
    for volunteer in volunteers:
        volunteer.until("reported", lambda event: event["claims"])
    for _ in range(KILLS):
        seen = [len(volunteer.events) for volunteer in volunteers]
        kill_everything(pool)
        cut = [
            volunteer.until("waiting", lambda event: event["reasons"] == ["no_connection"], after=before)
            for volunteer, before in zip(volunteers, seen, strict=True)
        ]
        pool.start()
        for volunteer, before in zip(volunteers, cut, strict=True):
            volunteer.until("reported", after=before)
    families = [process for volunteer in volunteers for process in volunteer.family()]
    for volunteer in volunteers:
        volunteer.process.send_signal(signal.SIGUSR1)
    assert [volunteer.end() for volunteer in volunteers] == [0, 0], [volunteer.errors() for volunteer in volunteers]
    assert psutil.wait_procs(families, timeout=60)[1] == []
    until(partial(nothing_waits, pool, records), _SECONDS)

    # What was acknowledged is counted, once each, and what was claimed has its verdict.
    reported = [event for volunteer in volunteers for event in volunteer.all("reported")]
    card = ada.pool("show", problem, "--json").document
    assert card["experiments"] == sum(event["experiments"] for event in reported)
    assert card["experiments"] == sum(len(volunteer.all("scored")) for volunteer in volunteers)
    assert [path for volunteer in volunteers for path in volunteer.home.rglob("*.report")] == []
    log = {line["id"]: line for line in ada.log(problem)}
    claims = {claim for event in reported for claim in event["claims"]}
    assert claims <= set(log)
    assert {log[claim]["status"] for claim in claims} <= FINAL
    verdicts = [event for volunteer in volunteers for event in volunteer.all("verdict")]
    assert {(v["id"], v["status"]) for v in verdicts} <= {(x["id"], x["status"]) for x in log.values()}

    # Git, its ledger, the log and the standings agree; what somebody was told is committed is in git.
    git = clone(pool, problem, tmp_path / "clone")
    in_git = {one["Experiment"]: one["Commit"] for one in accepts(git)}
    assert {x["id"]: x["commit"] for x in log.values() if x["status"] == "accepted"} == in_git
    assert {v["id"]: v["commit"] for v in verdicts if v["status"] == "accepted"}.items() <= in_git.items()
    assert card["head"] == git("rev-parse", "HEAD").strip()
    assert card["accepted"] == len(in_git) > 0
    rows = ada.pool("leaderboard", problem, "--json").document["rows"]
    assert sum(row["accepted"] for row in rows) == len(in_git)
    assert {x["id"]: x["status"] for x in ledger(git)} == {x["id"]: x["status"] for x in log.values()}

    # Every lease came back, and no process stays.
    leases = {event["lease"] for volunteer in volunteers for event in volunteer.all("leased")}
    with records(pool) as store:
        until(lambda: store.connection.text.zcard(keys.LEASES) == 0, _SECONDS)
        assert LeaseState.GRANTED not in {store.leases.state(lease) for lease in leases}
        assert store.connection.text.hlen(keys.in_flight(problem)) == 0
    children = psutil.Process(pool.pid).children(recursive=True)
    assert pool.stop() == 0
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert processes_of(pool) == []


def test_the_second_volunteer_builds_on_what_the_first_found(
    start_pool: Callable[..., Any],
    make_problem: Callable[..., Path],
    join: Callable[..., Any],
    records: Records,
    until: Callable[..., Any],
    tmp_path: Path,
) -> None:
    problem = "far-numbers"
    pool = start_pool("--verifiers", "1")
    pool.person(tmp_path / "ada", "ada").publish(make_problem(problem, problem))
    first = join(pool, "eve", "--max-experiments", "20", "--seed", "1")
    assert first.end() == 0, first.errors()
    until(partial(nothing_waits, pool, records), _SECONDS)
    of_first = accepts(clone(pool, problem, tmp_path / "before"))
    assert of_first, "twenty steps from where any step may be one forward"

    # Now and then a task begins at an older version; then it is somebody else who comes second.
    commits = {one["Commit"] for one in of_first}
    for number in itertools.count():
        second = join(pool, f"mallory-{number}", "--seed", str(number))
        leased = second.until("leased")
        if second.all("leased")[0]["parent"] in commits:
            break
        assert second.end(signal.SIGTERM) == 0, second.errors()
    second.until("verdict", lambda event: event["status"] == "accepted", after=leased)
    assert second.end(signal.SIGTERM) == 0, second.errors()
    until(partial(nothing_waits, pool, records), _SECONDS)

    eve, mallory = first.all("joined")[0]["machine"], second.all("joined")[0]["machine"]
    assert eve != mallory
    git = clone(pool, problem, tmp_path / "after")
    # In the log of git: the second's first commit stands on the first's last, and says so.
    kept = accepts(git)
    assert kept[: len(of_first)] == of_first
    assert {one["Worker"] for one in of_first} == {eve}
    next_one = kept[len(of_first)]
    assert (next_one["Worker"], next_one["Parent-Experiment"]) == (mallory, of_first[-1]["Experiment"])
    # In the ledger: what the second tried names the version of the first that it was made from.
    lines = ledger(git)
    found = {x["commit"]: x for x in lines if x["worker"] == eve and x["status"] == "accepted"}
    built = {x["id"]: x for x in lines if x["worker"] == mallory and x["parent"] in found}
    assert built[next_one["Experiment"]]["parent"] == of_first[-1]["Commit"]
    for x in built.values():
        before = found[x["parent"]]
        assert before["sequence"] < x["sequence"]
        assert x["status"] != "accepted" or x["verified"] < before["verified"]
