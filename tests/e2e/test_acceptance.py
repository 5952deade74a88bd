"""What makes a version the best besides a plain gain: a stale change rebased, a shorter file, a stricter level."""

import json
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ar_core.acceptance import strict_level
from ar_core.candidate import sha256

WAITING = {"queued", "verifying"}


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool()


@pytest.fixture(scope="module")
def ada(pool: Any, make_problem: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    person = pool.person(tmp_path_factory.mktemp("ada"), "ada")
    person.publish(make_problem("small-sum", "stale"))
    simpler = make_problem("small-sum", "short", min_gain="0.5\nsimpler = true")
    (simpler / "numbers.json").write_text("[1, 2, 0.25, 0.25]\n")
    person.publish(simpler)
    person.publish(make_problem("noisy-sum", "strict", strict="true", window="[-2.0, 14.0]", max_pairs="80"))
    return person


@pytest.fixture
def propose_on(
    pool: Any, ada: Any, open_wire: Callable[..., Any], member_of: Callable[..., Any], until: Callable[..., Any]
) -> Callable[..., dict[str, Any]]:
    """Propose a file as built on some commit, and wait for its verdict."""
    wire = open_wire(pool)
    session = wire.session(member_of(ada.home))

    def propose(problem: str, content: str, parent: str) -> dict[str, Any]:
        data = content.encode()
        answer = wire.call(
            "Propose", session=session, problem=problem, content=data, sha256=sha256(data), size=len(data),
            parent=parent, idempotency_key=secrets.token_hex(16),
        )  # fmt: skip
        name = answer.value.experiment.id

        def settled() -> dict[str, Any] | None:
            line: dict[str, Any] = next(x for x in ada.log(problem) if x["id"] == name)
            return None if line["status"] in WAITING else line

        found: dict[str, Any] = until(settled, 120)
        return found

    return propose


def head(ada: Any, problem: str) -> str:
    return str(ada.pool("show", problem, "--json").document["head"])


def history(pool: Any, problem: str, folder: Path) -> tuple[str, str]:
    """Clone a problem; return the last commit's message and its file."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", f"{pool.web}/git/{problem}.git", clone], check=True, timeout=60)

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", clone, *words], check=True, timeout=60, capture_output=True, text=True
        ).stdout

    return git("log", "-1", "--format=%B"), git("show", "main:numbers.json")


def test_a_stale_change_is_made_again_on_todays_best(
    pool: Any, ada: Any, propose_on: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    root = head(ada, "stale")
    first = propose_on("stale", "[1, 5]\n", root)
    assert (first["status"], first["reason"]) == ("accepted", None)
    # 2.5 more on the version that it was built on, and still less than today's best.
    stale = propose_on("stale", "[3.5, 2]\n", root)
    assert (stale["status"], stale["reason"]) == ("accepted", "rebased")
    assert (stale["verified"], stale["incumbent"], stale["gain"]) == (8.5, 6, 2.5)
    assert stale["parent"] == first["commit"]
    message, content = history(pool, "stale", tmp_path)
    assert content == "[3.5, 5]\n"
    assert f"Experiment: {stale['id']}\n" in message
    assert f"Parent-Experiment: {first['id']}\n" in message
    assert "Reason: rebased\n" in message


def test_where_both_changed_the_same_there_is_nothing_to_rebase(
    ada: Any, propose_on: Callable[..., dict[str, Any]]
) -> None:
    before = head(ada, "stale")
    # More numbers than the best has: no step to add, and both changed the one line.
    old = ada.log("stale")[-1]["parent"]
    line = propose_on("stale", "[1, 2, 0.75]\n", old)
    assert (line["status"], line["reason"]) == ("rejected", "no_improvement")
    assert head(ada, "stale") == before


def test_a_rebased_change_that_breaks_a_rule_of_the_scorer_is_rejected_and_not_tried_again(
    ada: Any, propose_on: Callable[..., dict[str, Any]]
) -> None:
    before = ada.pool("show", "stale", "--json").document
    old = ada.log("stale")[-1]["parent"]
    # On the old version it is allowed; 5 more than today's 5 and 7 more than today's 3.5 are not.
    line = propose_on("stale", "[1, 7.25]\n", old)
    assert line["status"] == "rejected"
    after = ada.pool("show", "stale", "--json").document
    assert (after["head"], after["experiments"]) == (before["head"], before["experiments"] + 1)


def test_a_shorter_file_that_is_as_good_replaces_the_best(
    pool: Any, ada: Any, propose_on: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    gains = {row["contributor"]: row["gain"] for row in ada.pool("leaderboard", "short", "--json").document["rows"]}
    longer = propose_on("short", "[1.0, 2.0, 0.25, 0.25]\n", "")
    assert (longer["status"], longer["reason"]) == ("rejected", "no_improvement")
    shorter = propose_on("short", "[1, 2, 0.5]\n", "")
    assert (shorter["status"], shorter["reason"], shorter["gain"]) == ("accepted", "simpler", 0)
    worse = propose_on("short", "[1, 2.25]\n", "")
    assert (worse["status"], worse["reason"]) == ("rejected", "no_improvement")
    message, content = history(pool, "short", tmp_path)
    assert content == "[1, 2, 0.5]\n"
    assert "Reason: simpler\n" in message
    rows = ada.pool("leaderboard", "short", "--json").document["rows"]
    assert [(row["contributor"], row["accepted"], row["gain"]) for row in rows] == [("ada", 1, 0)]
    assert gains.get("ada", 0) == 0
    # Measured as better, but by less than counts: its page tells how it was measured, and the standings stay.
    luckier = propose_on("short", "[1, 2.75]\n", "")
    assert (luckier["status"], luckier["reason"], luckier["gain"]) == ("accepted", "simpler", 0.25)
    assert luckier["publication"]["gain"] == 0.25
    rows = ada.pool("leaderboard", "short", "--json").document["rows"]
    assert [(row["accepted"], row["gain"], row["share"]) for row in rows] == [(2, 0, 0)]


def test_the_strict_rule_asks_for_more_the_longer_nothing_was_found(
    pool: Any, ada: Any, propose_on: Callable[..., dict[str, Any]]
) -> None:
    small = propose_on("strict", "[1, 2.125]\n", "")
    assert small["status"] == "rejected"
    found = propose_on("strict", json.dumps([1, 9]) + "\n", "")
    assert found["status"] == "accepted"
    assert found["evidence"] >= 1 / strict_level(0.005, 2, 0) > 10_000
    # What was spent is told, and what the accept earned back.
    spent, level = strict_level(1.0, 1, 0) + strict_level(1.0, 2, 0), strict_level(0.005, 3, 1)
    budget = ada.pool("show", "strict", "--json").document["strict"]
    assert budget == {
        "alpha": 0.005, "verifications": 2, "accepted": 1, "spent": pytest.approx(spent), "next_level": level,
        "next_evidence": 1 / level,
    }  # fmt: skip
    assert httpx.get(f"{pool.web}/api/v1/problems/strict").json()["strict"] == budget
    words = f"2 verifications have spent {100 * spent:.3g} % of the α = 0.005 that all share"
    for text in (ada.pool("show", "strict").out, httpx.get(f"{pool.web}/p/strict").text):
        assert words in text
        assert "2 times its share, earned back by 1 accept" in text
        assert f"e ≥ {1 / level:,.0f}" in text
    assert ada.pool("show", "stale", "--json").document["strict"] is None
