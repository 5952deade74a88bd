"""Whatever goes wrong between client and pool ends as one sentence, a hint, a code and its exit code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from ar_core.errors import CATALOGUE

Run = Callable[..., Any]
S = grpc.StatusCode


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
def test_every_code_of_the_catalogue_arrives(signed_in: Any, ar_pool: Run, row: Any) -> None:
    failing = signed_in.failing(S[row.grpc], row.code, "grün", "do this", "1.5")
    signed_in.script.failures["GetProblem"] = [failing, failing]
    ended = ar_pool("show", "packing", "--json")
    assert ended.code == row.exit
    assert ended.out == ""
    assert ended.error == {
        "code": row.code,
        "message": f"{row.sentence[:-1]}: grün",
        "hint": "do this",
        "docs": f"docs/8-errors.md#{row.code.lower()}",
        "retry_after": 1.5,
    }


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (S.UNAVAILABLE, "AR-A102", 8),
        (S.DEADLINE_EXCEEDED, "AR-A105", 8),
        (S.UNIMPLEMENTED, "AR-A104", 6),
        (S.UNAUTHENTICATED, "AR-I201", 4),
        (S.PERMISSION_DENIED, "AR-I206", 4),
        (S.RESOURCE_EXHAUSTED, "AR-A103", 1),
        (S.INVALID_ARGUMENT, "AR-A101", 2),
        (S.INTERNAL, "AR-A100", 1),
        (S.DATA_LOSS, "AR-A100", 1),
    ],
)
@pytest.mark.parametrize("said", ["", "AR-Z999"])
def test_without_a_known_code_the_status_decides(
    signed_in: Any, ar_pool: Run, status: S, code: str, exit_code: int, said: str
) -> None:
    signed_in.script.failures["GetProblem"] = [signed_in.failing(status, said)] * 2
    ended = ar_pool("show", "packing", "--json")
    assert (ended.code, ended.error["code"]) == (exit_code, code)
    assert "internal words" not in ended.err


@pytest.mark.parametrize("seconds", ["", "soon", "nan", "inf", "-1"])
def test_a_wait_that_is_no_number_is_left_out(signed_in: Any, ar_pool: Run, seconds: str) -> None:
    signed_in.script.failures["GetProblem"] = [signed_in.failing(S.NOT_FOUND, "AR-P300", retry_after=seconds)]
    assert "retry_after" not in ar_pool("show", "packing", "--json").error


@pytest.mark.parametrize(
    "command",
    [("whoami",), ("problems",), ("show", "x"), ("best", "x"), ("diff", "x"), ("log", "x"), ("watch",),
     ("leaderboard",), ("pause", "x"), ("resume", "x"), ("withdraw", "x")],
)  # fmt: skip
def test_before_login_every_command_says_so(ar_pool: Run, command: tuple[str, ...]) -> None:
    ended = ar_pool(*command)
    assert ended.code == 3
    assert ended.err.startswith("error: This machine has not signed in to a pool. (AR-I200)\nhint: ")
    assert ar_pool(*command, "--json").error["code"] == "AR-I200"


def test_before_login_publish_and_propose_say_so(ar_pool: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert ar_pool("publish", tmp_path).code == 3
    assert ar_pool("propose", "x", "--file", tmp_path / "file").code == 3


@pytest.mark.parametrize(
    "line",
    [("nonsense",), ("show",), ("show", "a", "b"), ("--nonsense",), ("login", "a:1"),
     ("log", "x", "--status", "good"),
     ("leaderboard", "--limit", "0"), ("diff", "x", "0"), ("diff", "x", "one"), ("init", "d", "--kind", "magic")],
)  # fmt: skip
def test_a_wrong_command_line(ar_pool: Run, line: tuple[str, ...]) -> None:
    ended = ar_pool(*line)
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert "--help`" in ended.err
    assert ar_pool(*line, "--json").error["code"] == "AR-A101"


def test_what_nobody_expected_has_no_traceback(signed_in: Any, ar_pool: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    signed_in.script.card = signed_in.card(direction="sideways")
    ended = ar_pool("show", "packing")
    assert ended.code == 1
    assert "AR-A100" in ended.err
    assert "Traceback" not in ended.err
    monkeypatch.setenv("AR_DEBUG", "1")
    with pytest.raises(ValueError, match="sideways"):
        ar_pool("show", "packing")
