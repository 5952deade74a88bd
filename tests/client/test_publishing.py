import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from ar_core.lifecycle import ProblemState
from ar_core.records import Finding

Run = Callable[..., Any]
WRONG = Finding(check="baseline", severity="error", message="It crashed.", fix="Repair it.")


@pytest.fixture
def folder(tmp_path: Path, ar_pool: Run) -> Path:
    path = tmp_path / "packing"
    assert ar_pool("init", path).code == 0
    return path


def test_the_whole_folder_arrives_in_parts(signed_in: Any, ar_pool: Run, folder: Path) -> None:
    big = bytes(range(256)) * 10_000  # more than two messages
    (folder / "big.bin").write_bytes(big)
    (folder / "empty").write_bytes(b"")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "score.pyc").write_bytes(b"x")
    ended = ar_pool("publish", folder, "--json")
    assert ended.code == 0, ended.err
    expected = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert signed_in.script.published == expected
    document = ended.document
    assert {"problem", "revision", "state", "kind", "baseline", "noise", "web"} <= set(document)
    assert (document["problem"], document["state"], document["baseline"]) == ("packing", "open", 5.4)


@pytest.mark.parametrize(("noise", "told"), [("none", False), ("seed", True), ("timing", True)])
def test_the_price_of_a_gain_is_told_where_there_is_noise(
    signed_in: Any, ar_pool: Run, folder: Path, noise: str, told: bool
) -> None:
    checks = ("min_gain", "self-test", "cheat")
    findings = tuple(Finding(check=check, severity="info", message=f"About {check}.") for check in checks)
    signed_in.script.card = signed_in.card(noise=noise, findings=findings)
    said = ar_pool("publish", folder)
    assert said.code == 0, said.err
    assert [f"info: {check}: About {check}." in said.err for check in checks] == [told, told, False]


def test_waits_until_it_is_registered(signed_in: Any, ar_pool: Run, folder: Path) -> None:
    registering = signed_in.card(state=ProblemState.REGISTERING, baseline=None)
    signed_in.script.cards = [registering, registering]
    signed_in.script.failures["GetProblem"] = [signed_in.failing(grpc.StatusCode.UNAVAILABLE)]
    assert ar_pool("publish", folder, "--json").document["state"] == "open"
    assert len(signed_in.script.requests("GetProblem")) == 3


def test_does_not_wait_when_told(signed_in: Any, ar_pool: Run, folder: Path) -> None:
    signed_in.script.cards = [signed_in.card(state=ProblemState.REGISTERING, baseline=None)]
    ended = ar_pool("publish", folder, "--no-wait", "--json")
    assert (ended.code, ended.document["state"]) == (0, "registering")
    assert signed_in.script.requests("GetProblem") == []


def test_a_refusal_has_its_findings(signed_in: Any, ar_pool: Run, folder: Path) -> None:
    signed_in.script.card = signed_in.card(state=ProblemState.REFUSED, findings=(WRONG,))
    ended = ar_pool("publish", folder, "--json")
    assert ended.code == 9
    assert ended.document == {
        "schema": "ar.publication/1", "problem": "packing", "state": "refused",
        "findings": [{"check": "baseline", "severity": "error", "message": "It crashed.", "fix": "Repair it."}],
    }  # fmt: skip
    assert "error: baseline: It crashed.\n  fix: Repair it.\n" in ar_pool("publish", folder).err


def test_a_refused_further_revision_leaves_the_one_before(signed_in: Any, ar_pool: Run, folder: Path) -> None:
    second = signed_in.card(revision=2, state=ProblemState.REGISTERING)
    signed_in.script.cards = [second, signed_in.card(revision=1)]
    signed_in.script.card = signed_in.card(revision=1, findings=(WRONG,))
    ended = ar_pool("publish", folder, "--json")
    assert (ended.code, ended.document["state"]) == (9, "refused")


@pytest.mark.parametrize("state", [ProblemState.OPEN, ProblemState.PAUSED])
def test_a_folder_that_the_pool_has_already(signed_in: Any, ar_pool: Run, folder: Path, state: ProblemState) -> None:
    signed_in.script.cards = [signed_in.card(revision=3, state=state, findings=(WRONG,))]
    ended = ar_pool("publish", folder)
    assert ended.code == 0, ended.err
    assert "Nothing changed, revision 3 stays; for a better " in ended.err
    assert "It crashed" not in ended.err, "that was another folder, which was refused"
    assert signed_in.script.requests("GetProblem") == []


def test_a_broken_manifest_is_refused_before_anything_is_sent(signed_in: Any, ar_pool: Run, folder: Path) -> None:
    manifest = folder / "problem.toml"
    manifest.write_text(manifest.read_text().replace("maximize", "sideways") + "\n[nonsense]\n")
    for command in ("publish", "check"):
        ended = ar_pool(command, folder, "--json")
        assert ended.code == 9
        found = " ".join(finding["message"] for finding in ended.document["findings"])
        assert "metric.direction" in found
        assert "nonsense" in found
    assert signed_in.script.requests("Publish") == []


def test_a_missing_file_is_a_finding(signed_in: Any, ar_pool: Run, folder: Path) -> None:
    (folder / "points.json").unlink()
    ended = ar_pool("publish", folder, "--json")
    assert (ended.code, ended.document["problem"]) == (9, "packing")
    assert "points.json" in ended.document["findings"][0]["message"]


def test_what_is_no_problem_folder(signed_in: Any, ar_pool: Run, tmp_path: Path) -> None:
    (tmp_path / "odd" / "problem.toml").mkdir(parents=True)
    for path in (tmp_path / "missing", tmp_path, tmp_path / "odd"):
        for command in ("publish", "check"):
            ended = ar_pool(command, path, "--json")
            assert (ended.code, ended.error["code"]) == (2, "AR-P302")


def test_what_no_problem_may_have_is_a_finding(signed_in: Any, ar_pool: Run, folder: Path) -> None:
    (folder / "score.py").rename(folder / "real.py")
    (folder / "score.py").symlink_to("real.py")
    os.mkfifo(folder / "pipe")
    for command in ("publish", "check"):
        ended = ar_pool(command, folder, "--json")
        assert (ended.code, ended.err) == (9, "")
        assert ended.document["problem"] == "packing"
        assert [(f["check"], f["severity"], f["message"]) for f in ended.document["findings"]] == [
            ("files", "error", "pipe is not a regular file"),
            ("files", "error", "score.py is a link"),
        ]
    assert ended.document["ok"] is False
    assert signed_in.script.requests("Publish") == []
    (folder / "problem.toml").rename(folder / "real.toml")
    (folder / "problem.toml").symlink_to("real.toml")
    assert "problem.toml is a link" in ar_pool("check", folder).err
