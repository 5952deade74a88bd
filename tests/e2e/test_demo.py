"""The demo: a whole pool with volunteers, and every number it prints recomputed from git alone."""

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
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

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
IMPROVED = re.compile(
    r"[1-9]\d* accepted of \d+ tried.*[1-9]\d* accepted of \d+ tried.*ada +\d+ tried, [\d.]+/", re.DOTALL
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


def check(report: str, kept: Path) -> int:
    """Recompute every number of a demo's report from the pool's git; return how many accepts there were."""
    told = {match["name"]: match for match in map(LINE.match, report.splitlines()) if match}
    assert set(told) == set(DECIMALS), report
    accepted = 0
    for name, line in told.items():
        history = scores(kept / "pool" / "git" / f"{name}.git")
        assert line["first"] == format_number(history[0], DECIMALS[name])
        assert line["best"] == format_number(history[-1], DECIMALS[name])
        assert float(line["change"]) == pytest.approx((history[-1] / history[0] - 1) * 100, abs=0.051)
        assert int(line["accepted"]) == len(history) - 1
        assert history == sorted(history, reverse=True), "each commit is better than the one before"
        assert int(line["tried"]) >= int(line["accepted"])
        accepted += len(history) - 1
        newest = git(kept / "pool" / "git" / f"{name}.git", "log", "--oneline", "--max-count=1", "main").strip()
        assert newest in report.splitlines()
    table = [line.split() for line in report.splitlines() if re.match(r"^\d+ +\w+ +\d+ +\d+$", line)]
    assert sum(int(row[2]) for row in table) == accepted
    assert {row[1] for row in table} <= {"ada", "grace"}
    return accepted


def test_it_ends_by_itself_and_leaves_nothing_behind(command: Callable[..., Any], tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    kept = tmp_path / "kept"
    done = command("ar_coordinator", "demo", "--for", "2s", "--keep", str(kept))
    assert done.code == 0, done
    check(done.out, kept)
    left = [process for process in psutil.Process().children(recursive=True) if process not in before]
    assert left == []


@pytest.mark.timeout(400)
def test_volunteers_improve_both_problems_on_a_panel_until_one_ctrl_c(tmp_path: Path) -> None:
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    code = "from ar_coordinator.main import main; main()"
    environment = {**os.environ, "AR_HOME": str(tmp_path), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    environment.pop("NO_COLOR", None)
    kept = tmp_path / "kept"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "demo", "--for", "300s", "--keep", str(kept)], stdin=slave,
        stdout=subprocess.PIPE, stderr=slave, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    alarm = threading.Timer(360, process.kill)
    alarm.start()
    shown = b""
    asked = False
    try:
        while data := _read(master):
            shown += data
            # The panel says that something of both was accepted, and who tries how often.
            panel = ESCAPE.sub("", shown[shown.rfind("╭─".encode()) :].decode(errors="ignore"))
            if not asked and all(map(panel.__contains__, DECIMALS)) and IMPROVED.search(panel):
                asked = True
                process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        alarm.cancel()
        os.close(master)
        if process.poll() is None:
            process.kill()
            process.communicate()
    text = shown.decode()
    assert asked, text[-4000:]
    assert process.returncode == 0, text[-4000:]
    last = ESCAPE.sub("", text[text.rindex("╭─") :])
    assert re.search(r"│ zlib-dictionary +\d+ accepted of \d+ tried │", last)
    assert " over ─╮" in last.replace("\r\n", "\n").splitlines()[0]
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is there again"
    assert b"\x1b" not in out
    assert check(out.decode(), kept) >= 2, "the report is the one without a terminal"


def _read(descriptor: int) -> bytes:
    """Return what is there next, nothing where every program that had the terminal has ended."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
