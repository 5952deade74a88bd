"""How all three commands begin and end, as processes: what lingers, what nobody reads, what is full or no text."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ar_client.command_line import Interruption

PACKAGES = ("ar_client", "ar_worker", "ar_coordinator")
SECONDS = 120
LINGERING = "import threading; threading.Thread(target=threading.Event().wait).start(); "
"""A thread that Python's orderly end waits for, as it may for a call that gRPC has not ended."""

every_command = pytest.mark.parametrize("package", PACKAGES)


def command(package: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", f"{before}from {package}.main import main; main()"]


def ended(arguments: list[str | bytes], **options: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(arguments, stderr=subprocess.PIPE, timeout=SECONDS, check=False, **options)


@pytest.fixture(autouse=True)
def a_home(home: Path) -> None:
    """None of them finds or leaves anything on this machine."""


@every_command
@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("nonsense", 2)])
def test_nothing_that_lingers_keeps_the_process(package: str, argument: str, code: int) -> None:
    done = ended([*command(package, LINGERING), argument], stdout=subprocess.PIPE)
    assert done.returncode == code
    assert done.stdout.startswith(b"Usage: ") == (code == 0)
    assert (b"AR-A101" in done.stderr) == (code == 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_that_is_interrupted_ends_whatever_lingers(signed_in: Any, number: int) -> None:
    process = subprocess.Popen(
        [*command("ar_client", LINGERING), "watch"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith(b"Watching every problem")
    process.send_signal(number)
    try:
        process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0


def test_a_signal_that_is_told_twice_interrupts_once() -> None:
    now = 10.0
    interruption = Interruption(lambda: now)
    with pytest.raises(KeyboardInterrupt):
        interruption(signal.SIGINT, None)
    now = 10.01
    interruption(signal.SIGINT, None)
    now = 11.0
    with pytest.raises(KeyboardInterrupt):
        interruption(signal.SIGTERM, None)


def test_what_nobody_expected_shows_where_and_ends() -> None:
    before = LINGERING + "import click; click.Group.main = lambda *a, **k: 1 / 0; "
    done = ended([*command("ar_client", before), "whoami"], env={**os.environ, "AR_DEBUG": "1"})
    assert done.returncode == 1
    assert b"ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("ar_client", [b"show", b"\xff"]),
        ("ar_client", [b"propose", b"packing", b"--file", b"x", b"--note", b"a\xffb"]),
        ("ar_client", [b"pause", b"packing", b"--reason", b"\xff"]),
        ("ar_client", [b"login", b"127.0.0.1:1", b"--token", b"x", b"--name", b"\xe9"]),
        ("ar_worker", [b"join", b"127.0.0.1:1", b"--token", b"x", b"--name", b"\xe9"]),
        ("ar_coordinator", [b"tokens", b"new", b"--contributor", b"\xff"]),
        ("ar_coordinator", [b"workers", b"ban", b"\xff"]),
        ("ar_coordinator", [b"problems", b"pause", b"packing", b"--reason", b"\xff"]),
        ("ar_coordinator", [b"experiments", b"show", b"\xff", b"--json"]),
    ],
)
def test_an_argument_that_is_no_text_is_bad_usage(signed_in: Any, package: str, arguments: list[bytes]) -> None:
    asked = len(signed_in.script.asked)
    done = ended([*command(package), *arguments])
    number = next(n for n, argument in enumerate(arguments, start=1) if not argument.isascii())
    assert done.returncode == 2
    assert b"AR-A101" in done.stderr
    assert f"argument {number} is not UTF-8 text".encode() in done.stderr
    assert len(signed_in.script.asked) == asked


@every_command
def test_a_reader_that_has_gone_is_no_error(package: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = ended([*command(package), "--help"], stdout=gone)
    assert (done.returncode, done.stderr) == (0, b"")


def test_nor_is_it_for_what_the_operator_prints(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = ended([*command("ar_coordinator"), "init", str(tmp_path / "pool"), "--json"], stdout=gone)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(("where", "why"), [(">/dev/full", b"No space left"), (">&-", b"Bad file descriptor")])
@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("ar_client", ["problems"]),
        ("ar_client", ["show", "packing", "--json"]),
        ("ar_client", ["--help"]),
        ("ar_worker", ["--help"]),
        ("ar_coordinator", ["--help"]),
        ("ar_coordinator", ["init", "pool", "--json"]),
    ],
)
def test_data_that_cannot_be_written_is_one_clear_error(
    signed_in: Any, tmp_path: Path, package: str, arguments: list[str], where: str, why: bytes
) -> None:
    redirected = ["sh", "-c", f'exec "$@" {where}', "sh", *command(package), *arguments]
    done = ended(redirected, cwd=tmp_path)
    assert done.returncode == 2
    assert b"AR-A106" in done.stderr
    assert b"standard output cannot be written: " + why in done.stderr
    assert len(done.stderr.splitlines()) == (1 if "--json" in arguments else 2)


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", "<&- 2>&-"])
def test_talk_that_cannot_be_written_changes_nothing(signed_in: Any, where: str) -> None:
    for arguments, code, begins in ((["problems"], 0, b"NAME "), (["diff", "packing", "7"], 3, b"")):
        done = ended(
            ["sh", "-c", f'exec "$@" {where}', "sh", *command("ar_client"), *arguments], stdout=subprocess.PIPE
        )
        assert (done.returncode, done.stdout[:5]) == (code, begins)


def test_a_file_that_does_not_fit_is_told_of(signed_in: Any) -> None:
    signed_in.script.files = {"c" * 40: b"[1, 2]"}
    done = ended(["sh", "-c", 'exec "$@" >/dev/full', "sh", *command("ar_client"), "best", "packing"])
    assert (done.returncode, b"AR-A106" in done.stderr) == (2, True)
