"""A gain that is too good to be true waits for a person, who releases or refuses it; both are on record."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

WAITING = {"queued", "verifying"}


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool()


@pytest.fixture(scope="module")
def ada(pool: Any, make_problem: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    person = pool.person(tmp_path_factory.mktemp("ada"), "ada")
    person.publish(make_problem("small-sum", "modest", max_plausible_gain='"50%"'))
    return person


@pytest.fixture
def operator(pool: Any, told: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: told("ar_coordinator", "experiments", *arguments, "--data", str(pool.directory))


def hold(ada: Any, path: Path, *values: float) -> dict[str, Any]:
    """Propose something that nobody believes."""
    path.write_text(json.dumps(values))
    done = ada.propose("modest", path, "--note", "from nowhere")
    assert done.code == 0, done
    document: dict[str, Any] = done.document
    assert (document["status"], document["reason"], document["commit"]) == ("held", "implausible", None)
    assert document["verified"] == sum(values)
    return document


def best(ada: Any) -> tuple[float, int]:
    shown = ada.pool("show", "modest", "--json").document
    return shown["best"], shown["accepted"]


def test_a_small_step_is_believed(ada: Any, tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    path.write_text("[1, 2.75]")
    assert ada.propose("modest", path).document["status"] == "accepted"


def test_refused(pool: Any, ada: Any, operator: Callable[..., Any], tmp_path: Path) -> None:
    before = best(ada)
    held = hold(ada, tmp_path / "numbers.json", 9, 9)
    assert best(ada) == before
    listed = [json.loads(line) for line in operator("list", "modest", "--status", "held", "--json").out.splitlines()]
    assert [line["id"] for line in listed] == [held["id"]]
    # Nobody sees its bytes before a person has decided.
    assert "50%" in httpx.get(f"{pool.web}/p/modest/x/{held['id']}").raise_for_status().text
    decided = operator("release", held["id"], "--refuse", "--reason", "copied from a paper", "--json")
    assert (decided.code, decided.document["status"], decided.document["id"]) == (0, "rejected", held["id"])
    line = ada.log("modest")[0]
    assert (line["id"], line["status"], line["reason"]) == (held["id"], "rejected", "implausible")
    assert "copied from a paper" in line["explanation"]
    assert best(ada) == before
    # A decision is made once.
    again = operator("release", held["id"], "--json")
    assert (again.code, again.error["code"]) == (2, "AR-X404")
    missing = operator("release", "x-0000000000000000", "--json")
    assert (missing.code, missing.error["code"]) == (3, "AR-X400")
    assert operator("requeue", "--json").document["count"] == 0
    settled = operator("requeue", held["id"], "--json")
    assert (settled.code, settled.error["code"]) == (2, "AR-X405")
    assert "rejected" in settled.error["message"]


def test_released(
    pool: Any, ada: Any, operator: Callable[..., Any], until: Callable[..., Any], tmp_path: Path
) -> None:
    _score, accepted = best(ada)
    held = hold(ada, tmp_path / "numbers.json", 8, 8)
    # Meanwhile a smaller step is made by another: what is released is measured again, against that.
    path = tmp_path / "other.json"
    path.write_text("[2, 3]")
    assert ada.propose("modest", path).document["status"] == "accepted"
    assert operator("release", held["id"], "--reason", "I ran it myself").code == 0
    line = until(lambda: (found := json.loads(operator("show", held["id"]).out))["status"] == "accepted" and found)
    assert (line["reason"], line["verified"], line["incumbent"], line["gain"]) == (None, 16.0, 5.0, 11.0)
    assert best(ada) == (16.0, accepted + 2)
    heads = subprocess.run(
        ["git", "ls-remote", f"{pool.web}/git/modest.git", "refs/heads/main"], capture_output=True, text=True,
        check=True, timeout=30,
    )  # fmt: skip
    assert heads.stdout.split()[0] == line["commit"]


def test_released_but_beaten_meanwhile(
    ada: Any, operator: Callable[..., Any], until: Callable[..., Any], tmp_path: Path
) -> None:
    score, accepted = best(ada)
    first = hold(ada, tmp_path / "numbers.json", 10, 10, 9)
    second = hold(ada, tmp_path / "numbers.json", 10, 10, 10)
    for document in (second, first):
        assert operator("release", document["id"]).code == 0
    states = [
        until(lambda x=x: (found := json.loads(operator("show", x["id"]).out))["status"] not in WAITING and found)
        for x in (second, first)
    ]
    assert [(x["status"], x["reason"]) for x in states] == [("accepted", None), ("rejected", "no_improvement")]
    assert best(ada) == (30.0, accepted + 1)
    assert score < 30
