"""What becomes of a file that is proposed by hand: accepted and shown, or the one word that says why not."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

PROPOSAL = {"schema", "id", "status", "reason", "claimed", "verified", "incumbent", "commit"}
WRITE = 'import os\nopen(os.path.join(os.environ["AR_OUT"], "number.txt"), "w").write("{}")\n'
NO_TEXT = b"\xff\xfe\x00\x01"


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool()


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("ada"), "ada")


@pytest.fixture(scope="module")
def sums(ada: Any, make_problem: Callable[..., Path]) -> dict[str, Any]:
    document: dict[str, Any] = ada.publish(make_problem("small-sum", "sums"))
    return document


@pytest.fixture(scope="module")
def better(ada: Any, sums: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("better") / "numbers.json"
    path.write_text(numbers(2, 3))
    done = ada.propose(sums["problem"], path, "--note", "larger <numbers>", "--claimed", "5")
    assert done.code == 0, done
    document: dict[str, Any] = done.document
    return document


@pytest.fixture(scope="module")
def programs(ada: Any, make_problem: Callable[..., Path]) -> dict[str, Any]:
    document: dict[str, Any] = ada.publish(make_problem("written-number", "programs"))
    return document


@pytest.fixture
def propose(ada: Any, told: Callable[..., Any]) -> Callable[..., Any]:
    return lambda problem, path: told("ar_client", "propose", problem, "--file", str(path), "--json", home=ada.home)


def numbers(*values: float, spaces: str = "") -> str:
    return json.dumps(values) + spaces + "\n"


def get(pool: Any, path: str) -> httpx.Response:
    return httpx.get(pool.web + path).raise_for_status()


def test_publishing_says_what_was_measured(pool: Any, sums: dict[str, Any], programs: dict[str, Any]) -> None:
    expected = {"schema": "ar.publication/1", "problem": "sums", "revision": 1, "state": "open", "kind": "data",
                "baseline": 3.0, "noise": "none", "web": f"{pool.web}/p/sums"}  # fmt: skip
    assert {key: sums[key] for key in expected} == expected
    assert (programs["kind"], programs["baseline"]) == ("artifact", 1.0)
    assert httpx.get(sums["web"]).status_code == 200
    assert all(finding["severity"] != "error" for finding in sums["findings"])


def test_a_problem_that_registration_refuses(ada: Any, make_problem: Callable[..., Path]) -> None:
    folder = make_problem("small-sum", "broken")
    (folder / "numbers.json").write_text("[99]\n")
    done = ada.pool("publish", str(folder), "--json")
    assert done.code == 9, done
    document = done.document
    assert (document["problem"], document["state"]) == ("broken", "refused")
    errors = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert errors
    assert all({"check", "severity", "message", "fix"} <= set(finding) for finding in errors)
    assert "outside 0 to 10" in errors[0]["message"]


def test_a_better_file_is_verified_committed_and_shown(pool: Any, ada: Any, better: dict[str, Any]) -> None:
    document = better
    assert set(document) >= PROPOSAL
    assert (document["status"], document["reason"]) == ("accepted", None)
    assert (document["claimed"], document["verified"], document["incumbent"]) == (5.0, 5.0, 3.0)
    commit = document["commit"]

    listed = subprocess.run(
        ["git", "ls-remote", f"{pool.web}/git/sums.git"], capture_output=True, text=True, check=True, timeout=30
    )
    assert f"{commit}\trefs/heads/main" in listed.stdout.splitlines()
    shown = ada.pool("show", "sums", "--json").document
    assert (shown["best"], shown["baseline"], shown["accepted"], shown["head"]) == (5.0, 3.0, 1, commit)
    assert ada.pool("best", "sums").out == numbers(2, 3)

    page = get(pool, "/p/sums").text
    assert "larger &lt;numbers&gt;" in page
    assert commit[:7] in page
    assert get(pool, "/api/v1/problems/sums").json()["best"] == 5.0
    assert [r["commit"] for r in get(pool, "/api/v1/problems/sums/records").json()["items"]][-1] == commit
    assert get(pool, f"/api/v1/experiments/{document['id']}").json()["status"] == "accepted"
    rows = get(pool, "/api/v1/problems/sums/leaderboard").json()["rows"]
    assert [(row["rank"], row["contributor"], row["accepted"], row["gain"]) for row in rows] == [(1, "ada", 1, 2.0)]
    assert rows == ada.pool("leaderboard", "sums", "--json").document["rows"]
    assert get(pool, "/p/sums/progress.svg").text.startswith("<svg")
    assert "larger &lt;numbers&gt;" in get(pool, "/p/sums/atom.xml").text


@pytest.mark.parametrize(
    ("content", "reason", "part"),
    [
        pytest.param(numbers(1, 1), "no_improvement", "", id="worse"),
        pytest.param(numbers(2, 3.25), "no_improvement", "", id="better by less than min_gain"),
        pytest.param(numbers(2, 2, 2, 2), "guard_failed", "numbers", id="a guard"),
        pytest.param("[1, 2", "crash", "not JSON", id="the scorer refuses it"),
        pytest.param("[NaN]", "invalid_score", "", id="not a number"),
        pytest.param("[1" + "0" * 600 + "]", "policy", "limit of 512", id="over the limit"),
        pytest.param(NO_TEXT, "policy", "UTF-8", id="binary"),
        pytest.param("[4,\x1b 4]", "policy", "U+001B", id="a control character"),
        pytest.param("[4, 4]\u202e", "policy", "U+202E", id="a bidirectional character"),
        pytest.param("[4, 4]\u200b", "policy", "U+200B", id="an invisible character"),
    ],
)
@pytest.mark.usefixtures("better")
def test_a_file_that_is_no_improvement(
    propose: Callable[..., Any], write: Callable[..., Path], content: str | bytes, reason: str, part: str
) -> None:
    done = propose("sums", write(content))
    assert done.code == 9, done
    document = done.document
    assert (document["status"], document["reason"], document["commit"]) == ("rejected", reason, None)
    assert part in f"{document['explanation']} {document['feedback']}"


@pytest.mark.usefixtures("better")
def test_the_same_file_again_is_a_duplicate(propose: Callable[..., Any], write: Callable[..., Path]) -> None:
    same = [
        numbers(2, 3),
        numbers(2, 3, spaces=" \t"),
        numbers(2, 3).replace("\n", "\r\n") + "\n\n",
        numbers(1, 2),  # the published file
    ]
    for content in same:
        done = propose("sums", write(content))
        assert done.code == 9, done
        assert (done.document["status"], done.document["reason"]) == ("recorded", "duplicate")
        assert done.document["verified"] is None


@pytest.mark.usefixtures("sums")
def test_a_file_over_the_limit_is_kept_nowhere(pool: Any, ada: Any, write: Callable[..., Path]) -> None:
    small, large = "[1.00390625]", "[1.0078125" + " " * 600 + "]"
    assert ada.propose("sums", write(small)).document["reason"] == "no_improvement"
    assert ada.propose("sums", write(large)).document["reason"] == "policy"
    assert [line["reason"] for line in ada.log("sums")[:2]] == ["policy", "no_improvement"]
    kept = [path.read_bytes() for path in pool.directory.rglob("*") if path.is_file()]
    assert any(small.encode() in data for data in kept)
    assert not any(b"1.0078125" in data for data in kept)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        pytest.param("raise SystemExit(3)\n", {"crash"}, id="ends with an error"),
        pytest.param("def broken(:\n", {"crash"}, id="is no program"),
        pytest.param("pass\n", {"invalid_score"}, id="writes nothing"),
        pytest.param(WRITE.format("fail"), {"crash"}, id="makes the scorer fail"),
        pytest.param(WRITE.format("nan"), {"invalid_score"}, id="scores NaN"),
        pytest.param(WRITE.format("inf"), {"invalid_score"}, id="scores infinity"),
        pytest.param(WRITE.format("100.5"), {"invalid_score"}, id="scores outside the range"),
        pytest.param("import time\ntime.sleep(3600)\n", {"timeout"}, id="sleeps for ever"),
        pytest.param("while True:\n    pass\n", {"timeout"}, id="counts for ever"),
        pytest.param(
            "kept = []\nwhile True:\n    kept.append(bytearray(1 << 20))\n", {"out_of_memory"}, id="eats memory"
        ),
        pytest.param(
            "import os\nwhile True:\n    os.fork()\n", {"crash", "timeout", "out_of_memory"}, id="forks for ever"
        ),
        pytest.param(
            'import os\nos.symlink("/etc/passwd", os.environ["AR_OUT"] + "/number.txt")\n',
            {"crash", "invalid_score"},
            id="links",
        ),
    ],
)
@pytest.mark.usefixtures("programs")
def test_a_program_that_misbehaves(
    propose: Callable[..., Any], write: Callable[..., Path], program: str, reason: set[str]
) -> None:
    done = propose("programs", write(program))
    assert done.code == 9, done
    document = done.document
    assert (document["status"], document["commit"]) == ("rejected", None)
    assert document["reason"] in reason
    assert document["explanation"]


@pytest.mark.usefixtures("programs")
def test_after_all_of_this_a_good_program_is_accepted(pool: Any, ada: Any, write: Callable[..., Path]) -> None:
    before = ada.pool("show", "programs", "--json").document
    assert (before["state"], before["accepted"], before["best"]) == ("open", 0, 1.0)
    document = ada.propose("programs", write(WRITE.format("42.5"))).document
    assert (document["status"], document["verified"], document["incumbent"]) == ("accepted", 42.5, 1.0)
    after = ada.pool("show", "programs", "--json").document
    assert (after["accepted"], after["best"], after["experiments"]) == (1, 42.5, before["experiments"] + 1)
    assert after["experiments"] == len(ada.log("programs"))
    assert "Traceback" not in pool.log.read_text()
