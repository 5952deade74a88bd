"""The commands without a pool: what they refuse, and with which exit code and next step."""

import importlib
import json
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ar_core.tokens import JoinToken
from ar_worker.donation import read_donation
from ar_worker.main import COMMANDS, ar_worker, run
from ar_worker.place import Place, find_place

TOKEN = str(JoinToken(digest="a" * 64, secret="b" * 32))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def failure(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    out, err = capsys.readouterr()
    assert out == ""
    return json.loads(err)["error"]


def test_every_command_is_there_and_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        command = importlib.import_module(f"ar_worker.commands.{name}")
        assert isinstance(getattr(command, name), click.Command)
        assert run([name, "--help"]) == 0
        assert "Usage: ar-worker" in capsys.readouterr().out
    assert set(ar_worker.list_commands(click.Context(ar_worker))) == set(COMMANDS)


@pytest.mark.parametrize("command", ["start", "status", "whoami", "leave"])
def test_before_joining_each_says_how_to_join(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--json"]) == 3
    error = failure(capsys)
    assert (error["code"], "ar-worker join" in error["hint"]) == ("AR-I200", True)


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (["join"], "AR-A101", 2),
        (["join", "nowhere", "--token", TOKEN], "AR-A107", 2),
        (["join", "localhost:1", "--token", "ARJ1-x"], "AR-I202", 4),
        (["start", "--cpus", "0"], "AR-A101", 2),
        (["start", "--cpus", "100000"], "AR-A101", 2),
        (["start", "--cpus", "many"], "AR-A101", 2),
        (["start", "--memory", "1KiB"], "AR-A101", 2),
        (["start", "--memory", "x%"], "AR-A101", 2),
        (["start", "--slots", "0"], "AR-A101", 2),
        (["start", "--problems", "../up"], "AR-A101", 2),
        (["start", "--for", "soon"], "AR-A101", 2),
        (["start", "--for", "0s"], "AR-A101", 2),
        (["start", "--exit-when-idle", "-1"], "AR-A101", 2),
        (["start", "--max-experiments", "0"], "AR-A101", 2),
        (["start", "--agent", "oracle"], "AR-A101", 2),
        (["nothing"], "AR-A101", 2),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: list[str], code: str, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--json"]) == exit_code
    error = failure(capsys)
    assert error["code"] == code
    assert error["message"]
    assert error["hint"]


def test_where_nobody_listens_no_connection_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert run(["join", f"127.0.0.1:{port}", "--token", TOKEN, "--json"]) == 8
    assert failure(capsys)["code"] == "AR-A102"


def test_a_dry_run_shows_the_limits_and_touches_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["join", "pool.example.org:7443", "--token", TOKEN, "--dry-run", "--cpus", "1", "--memory", "256MiB"]
    assert run([*words, "--slots", "2", "--problems", "a-b-c, d-e-f", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["grade"] in {"A", "B"}
    assert plan["problems"] == ["a-b-c", "d-e-f"]
    assert plan["limits"] == {"cpus": 1, "memory": 128 * 1024**2, "network": False}
    assert run(words) == 0
    assert "no network" in capsys.readouterr().out
    assert not home.exists()


@pytest.mark.parametrize("words", [["doctor"], ["join", "pool.example.org:7443", "--token", TOKEN]])
def test_without_a_sandbox_nothing_is_donated(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert run([*words, "--json"]) == 7
    assert "install" in "".join(capsys.readouterr())


def test_the_doctor_shows_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert document["grade"] in {"A", "B"}
    assert {"files", "network", "memory limit"} <= {check["check"] for check in document["checks"]}
    assert all(check["ok"] and check["detail"] and not check["fix"] for check in document["checks"])
    assert "bubblewrap" in document["reason"]
    assert document["memory_cap"] in document["reason"]
    assert run(["doctor"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert len(lines) == 1 + len(document["checks"]) + 1  # a line of heads, and the grade
    assert all(line.startswith("ok ") for line in lines[1:])
    assert document["reason"] in shown.err


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that nobody may enter too, as rooms of root are made by."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_the_doctor_says_what_to_do_about_each_thing_that_is_missing(
    anybodys: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here bubblewrap says what it says on Ubuntu, where it is too old, and where a kernel forbids namespaces."""
    monkeypatch.setenv("PATH", str(anybodys))
    for said, fix in (
        ("setting up uid map: Permission denied", "AppArmor"),
        ("Unknown option --disable-userns", "newer"),
        ("No permissions to create new namespace", "max_user_namespaces"),
    ):
        (anybodys / "bwrap").write_text(f"#!/bin/sh\necho 'bwrap: {said}' >&2\nexit 1\n")
        (anybodys / "bwrap").chmod(0o755)
        assert run(["doctor", "--json"]) == 7
        document = json.loads(capsys.readouterr().out)
        assert (document["ok"], document["grade"]) == (False, "none")
        [check] = document["checks"]
        assert check["ok"] is False
        assert fix in check["fix"], check
        assert run(["doctor"]) == 7
        assert check["fix"] in capsys.readouterr().out


def test_an_owner_may_demand_a_grade(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AR_MIN_GRADE", "A")
    code = run(["doctor", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["least"], code) == (document["grade"] == "A", "A", 0 if document["ok"] else 7)
    assert run(["join", "pool.example.org:7443", "--token", TOKEN, "--dry-run", "--json"]) == code
    if code:
        assert document["better"]
        assert failure(capsys)["code"] == "AR-S500"
        assert run(["doctor"]) == 7
        shown = capsys.readouterr()
        assert document["better"] in shown.out
        assert "AR_MIN_GRADE" in shown.err
    monkeypatch.setenv("AR_MIN_GRADE", "best")
    assert run(["doctor", "--json"]) == 2


@pytest.mark.parametrize("command", ["stop", "finish"])
def test_there_may_be_nothing_to_stop(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command]) == 0
    assert "no worker was running" in capsys.readouterr().err


def test_one_worker_has_its_place_alone(home: Path) -> None:
    place = find_place()
    assert place.folder == home / "worker"
    assert place.running() is None
    with place.alone():
        child = os.fork()
        if child == 0:
            os._exit(_try_to_be_alone(place))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        assert place.running() == os.getpid()
    assert place.running() is None
    with place.alone():
        pass


def _try_to_be_alone(place: Place) -> int:
    signal.alarm(20)
    try:
        with place.alone():
            return 0
    except Exception:
        return 3


def test_an_owner_gives_half_by_default() -> None:
    given = read_donation(
        slots=None, cpus=None, memory=None, problems="any", agent="tuner", seconds=None, max_experiments=None,
        idle=None, seed=None,
    )  # fmt: skip
    cores = len(os.sched_getaffinity(0))
    assert given.cpus == max(1, cores // 2)
    assert given.slots == given.cpus
    assert given.problems == ()
    assert given.caps.cpus == 1
    assert given.caps.memory == given.memory // given.slots
