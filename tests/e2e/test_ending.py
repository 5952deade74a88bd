"""How a pool ends and comes back: at once when asked to, without a process left, and with everything it had."""

import json
import secrets
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest


@pytest.fixture
def everything(told: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Read all that there is to read, without what changes by itself."""

    def read(pool: Any, person: Any, problem: str) -> dict[str, Any]:
        def said(package: str, *arguments: str) -> dict[str, Any]:
            where = ["--data", str(pool.directory)] if package == "ar_coordinator" else []
            document: dict[str, Any] = told(package, *arguments, *where, "--json", home=person.home).document
            document.pop("web", None)
            return document

        heads = ["git", "ls-remote", f"{pool.web}/git/{problem}.git", "refs/heads/*"]
        return {
            "problem": said("ar_client", "show", problem),
            "log": log(told, person, problem),
            "leaderboard": said("ar_client", "leaderboard"),
            "best": told("ar_client", "best", problem, home=person.home).out,
            "whoami": said("ar_client", "whoami"),
            "records": httpx.get(f"{pool.web}/api/v1/problems/{problem}/records").raise_for_status().json(),
            "signers": httpx.get(f"{pool.web}/allowed_signers").raise_for_status().text,
            "git": subprocess.run(heads, capture_output=True, check=True, text=True, timeout=30).stdout,
            "tokens": said("ar_coordinator", "tokens", "list"),
            "workers": said("ar_coordinator", "workers", "list"),
        }

    return read


def log(told: Callable[..., Any], person: Any, problem: str) -> list[dict[str, Any]]:
    """Every experiment, newest first."""
    return [
        json.loads(line) for line in told("ar_client", "log", problem, "--json", home=person.home).out.splitlines()
    ]


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool()


@pytest.fixture
def running(pool: Any, make_problem: Callable[..., Path], tmp_path: Path) -> tuple[Any, Any, str]:
    """Return the pool, somebody new there, and a problem that is hers."""
    name = secrets.token_hex(4)
    person = pool.person(tmp_path / "ada", f"ada-{name}")
    problem = f"sums-{name}"
    person.publish(make_problem("small-sum", problem))
    return pool, person, problem


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_ending_and_starting_again(
    running: tuple[Any, Any, str],
    until: Callable[..., Any],
    tmp_path: Path,
    how: signal.Signals,
    everything: Callable[..., Any],
    told: Callable[..., Any],
) -> None:
    pool, ada, problem = running
    path = tmp_path / "numbers.json"
    for content in ("[3, 3]", "[1, 1]", "what"):
        path.write_text(content)
        ada.propose(problem, path)
    before = everything(pool, ada, problem)
    assert [line["status"] for line in before["log"]] == ["rejected", "rejected", "accepted"]
    certificate = (pool.directory / "keys" / "tls.crt").read_bytes()

    # One more is being verified while it ends; it loses nothing but time.
    path.write_text("[5, 5]")
    waiting = ada.propose(problem, path, "--no-wait").document
    children = psutil.Process(pool.pid).children(recursive=True)
    assert len(children) >= 3  # Redis, a verifier, the referee
    psutil.Process(pool.pid).send_signal(how)
    assert pool.stop() == 0
    _nothing_left(pool, children)
    assert not (pool.directory / "run" / "admin.json").exists()
    done = ada.pool("problems", "--json")
    assert (done.code, done.error["code"]) == (8, "AR-A102")

    pool.start()
    assert (pool.directory / "keys" / "tls.crt").read_bytes() == certificate
    until(lambda: log(told, ada, problem)[0]["status"] == "accepted")
    after = everything(pool, ada, problem)
    settled, *earlier = after["log"]
    assert (settled["id"], settled["verified"], settled["incumbent"]) == (waiting["id"], 10.0, 6.0)
    assert earlier == before["log"]
    assert after["records"]["items"][:-1] == before["records"]["items"]
    assert after["problem"]["experiments"] == 4
    assert after["best"] == "[5, 5]"
    for part in ("whoami", "signers", "tokens", "workers"):
        assert after[part] == before[part], part
    assert "Traceback" not in pool.log.read_text()


def test_a_restart_changes_nothing(
    running: tuple[Any, Any, str], everything: Callable[..., Any], tmp_path: Path
) -> None:
    pool, ada, problem = running
    path = tmp_path / "numbers.json"
    for content in ("[3, 3]", "[3, 3]", "\x1b"):
        path.write_text(content)
        ada.propose(problem, path)
    before = everything(pool, ada, problem)
    assert [line["reason"] for line in before["log"]] == ["policy", "duplicate", None]
    assert pool.stop() == 0
    pool.start()
    assert everything(pool, ada, problem) == before


def test_ending_while_a_program_runs_for_long(
    pool: Any, make_problem: Callable[..., Path], until: Callable[..., Any], tmp_path: Path
) -> None:
    ada = pool.person(tmp_path / "ada", "ada")
    ada.publish(make_problem("written-number", "slow", time_budget='"10m"'))
    path = tmp_path / "write.py"
    path.write_text("import time\ntime.sleep(3600)\n")
    proposed = ada.propose("slow", path, "--no-wait").document
    serve = psutil.Process(pool.pid)
    until(lambda: any("write.py" in _words(p) for p in serve.children(recursive=True)))
    children = serve.children(recursive=True)
    assert pool.stop() == 0
    _nothing_left(pool, children)
    pool.start()
    (line,) = ada.log("slow")
    assert line["id"] == proposed["id"]
    assert line["status"] in {"queued", "verifying"}
    assert line["reason"] is None


def _nothing_left(pool: Any, children: list[psutil.Process]) -> None:
    """Check that every process has ended; whoever is told of an orphan's end may take a moment to look."""
    _gone, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    assert [p.pid for p in psutil.process_iter() if str(pool.directory) in _words(p)] == []


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""
