"""The installed command as a process: help, signals, pipes, and what it imports."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ar_client.main import COMMANDS
from ar_client.main import ar_pool as group
from ar_core.lifecycle import ExperimentState

Run = Callable[..., Any]
AR_POOL = (sys.executable, "-c", "from ar_client.main import main; main()")


def test_every_command_is_there_and_has_help() -> None:
    runner = CliRunner()
    whole = runner.invoke(group, ["--help"]).output
    for name in COMMANDS:
        assert f"  {name} " in whole
        shown = runner.invoke(group, [name, "--help"])
        assert shown.exit_code == 0
        assert f" {name} [OPTIONS]" in shown.output
        assert "--json" in shown.output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ar_client.main import run; run(['--help']);"
        "heavy = {'grpc', 'google.protobuf', 'cryptography', 'ar_sandbox', 'platformdirs', 'ssl'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Examples:" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_error(signed_in: Any) -> None:
    signed_in.script.experiments = [signed_in.experiment(id=f"x-{number}") for number in range(20)]
    process = subprocess.Popen(
        [*AR_POOL, "log", "packing", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, b"")


def test_nothing_but_the_error_is_on_stderr(signed_in: Any, home: Path, other_certificate: Any) -> None:
    """The libraries below have log lines of their own about a handshake that fails."""
    file = home / "pool.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"certificate": other_certificate.pem.decode()}))
    ended = subprocess.run([*AR_POOL, "problems", "--json"], capture_output=True, text=True, env=os.environ)
    assert ended.returncode == 8
    assert json.loads(ended.stderr)["error"]["code"] == "AR-A102"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_stops_cleanly(signed_in: Any, number: int) -> None:
    process = subprocess.Popen(
        [*AR_POOL, "watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Watching every problem")
    process.send_signal(number)
    out, errors = process.communicate()
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in errors


def test_an_interrupted_wait_says_that_the_proposal_is_safe(signed_in: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    process = subprocess.Popen(
        [*AR_POOL, "propose", "packing", "--file", str(tmp_path / "file"), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip

    class Waits(list[Any]):
        """The stream's first event tells us that the client is waiting."""

        def __iter__(self) -> Any:
            process.send_signal(signal.SIGINT)
            return iter([signed_in.experiment(state=ExperimentState.VERIFYING)])

    signed_in.script.watched = [Waits([1])]
    out, errors = process.communicate()
    assert process.returncode == 0
    assert "is safe; see ar-pool log packing" in errors
    assert json.loads(out)["status"] in {"queued", "verifying"}
