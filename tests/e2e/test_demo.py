"""The demo: a whole pool with volunteers, and every number it prints recomputed from git alone."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ar_core.metric import format_number

DECIMALS = {"zlib-dictionary": 0, "bin-packing": 4}
LINE = re.compile(
    r"^(?P<name>[a-z-]+): (?P<first>\S+) → (?P<best>\S+) (?P<unit>\S+) \((?P<change>[+-][\d.]+) %\), "
    r"(?P<accepted>\d+) accepted of (?P<tried>\d+) tried$"
)


def git(repository: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "--git-dir", str(repository), *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def scores(repository: Path) -> list[float]:
    """The verified score of every commit on main, oldest first."""
    lines = git(repository, "log", "--reverse", "--format=%(trailers:key=Score,valueonly,separator=)", "main")
    return [float(line.split()[0]) for line in lines.splitlines() if line]


@pytest.mark.alone
def test_volunteers_improve_both_problems(command: Callable[..., Any], tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    kept = tmp_path / "kept"
    done = command("ar_coordinator", "demo", "--for", "20s", "--keep", str(kept), seconds=110)
    assert done.code == 0, done

    told = {match["name"]: match for match in map(LINE.match, done.out.splitlines()) if match}
    assert set(told) == set(DECIMALS), done
    accepted = 0
    for name, line in told.items():
        history = scores(kept / "pool" / "git" / f"{name}.git")
        assert line["first"] == format_number(history[0], DECIMALS[name])
        assert line["best"] == format_number(history[-1], DECIMALS[name])
        assert float(line["change"]) == pytest.approx((history[-1] / history[0] - 1) * 100, abs=0.051)
        assert int(line["accepted"]) == len(history) - 1 >= 1
        assert history == sorted(history, reverse=True), "each commit is better than the one before"
        assert int(line["tried"]) >= int(line["accepted"])
        accepted += len(history) - 1
        newest = git(kept / "pool" / "git" / f"{name}.git", "log", "--oneline", "--max-count=1", "main").strip()
        assert newest in done.out.splitlines()
    table = [line.split() for line in done.out.splitlines() if re.match(r"^\d+ +\w+ +\d+ +\d+$", line)]
    assert sum(int(row[2]) for row in table) == accepted
    assert {row[1] for row in table} == {"ada", "grace"}
    left = [process for process in psutil.Process().children(recursive=True) if process not in before]
    assert left == []
