"""Problems of the kinds service and inprocess, from publishing to the commit, by hand and by a volunteer."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.timeout(600)

FOLDERS = Path(__file__).parent / "problems"
WORD = "kept-between-us-and-the-pool"
ANSWER = (FOLDERS / "asked-squares" / "answer.py").read_text()
CAVEAT = "the candidate prints its own score, so a number can be forged"


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool()


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("ada"), "ada")


@pytest.fixture(scope="module")
def squares(ada: Any, make_problem: Callable[..., Path]) -> dict[str, Any]:
    document: dict[str, Any] = ada.publish(make_problem("asked-squares", "squares"))
    return document


@pytest.fixture(scope="module")
def own(ada: Any, make_problem: Callable[..., Path]) -> dict[str, Any]:
    document: dict[str, Any] = ada.publish(make_problem("own-number", "own"))
    return document


def get(pool: Any, path: str) -> Any:
    return httpx.get(f"{pool.web}/api/v1{path}").raise_for_status().json()


def page(pool: Any, path: str) -> str:
    return " ".join(httpx.get(pool.web + path).raise_for_status().text.split())


def commit_message(pool: Any, name: str, folder: Path) -> str:
    subprocess.run(["git", "clone", "-q", f"{pool.web}/git/{name}.git", str(folder)], check=True, timeout=60)
    command = ["git", "-C", str(folder), "log", "-1", "--format=%B"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


# --- Service


def test_a_service_is_published(pool: Any, ada: Any, squares: dict[str, Any]) -> None:
    assert (squares["state"], squares["kind"], squares["integrity"]) == ("open", "service", "high")
    assert squares["baseline"] == 12
    assert [finding for finding in squares["findings"] if finding["severity"] != "info"] == []
    assert get(pool, "/problems/squares")["integrity"] == "high"
    shown = page(pool, "/p/squares")
    assert "service, integrity high" in shown
    assert re.search(r"for the candidate to start, [^<]* for the measurement", shown)
    assert "Low integrity" not in shown
    assert "integrity" not in ada.pool("show", "squares").out


def test_a_better_service_is_accepted(pool: Any, ada: Any, squares: dict[str, Any], write: Callable[..., Path],
                                      tmp_path: Path) -> None:  # fmt: skip
    better = ANSWER.replace("KNOWN = 12", "KNOWN = 20")
    done = ada.propose("squares", write(better), "--note", "eight more")
    assert done.code == 0, done
    document = done.document
    assert (document["status"], document["verified"], document["incumbent"]) == ("accepted", 20, 12)
    assert document["commit"]
    message = commit_message(pool, "squares", tmp_path / "clone")
    assert "Gain: 8.0" in message
    assert "Integrity" not in message


STOPPED = {
    "crash": "raise SystemExit('no')\n",
    "timeout": "import time\ntime.sleep(60)\n",
    "out_of_memory": "b = [bytearray(1 << 20) for _ in range(1024)]\n",
}


@pytest.mark.parametrize("reason", STOPPED)
def test_a_service_that_does_not_start_is_rejected(
    ada: Any, squares: dict[str, Any], write: Callable[..., Path], reason: str
) -> None:
    done = ada.propose("squares", write(STOPPED[reason]))
    assert (done.code, done.document["status"], done.document["reason"]) == (9, "rejected", reason), done


@pytest.mark.parametrize(
    ("instead", "reason", "said"),
    [
        ("connection.sendall(b'word' * 100)", "crash", "invalid: that is no answer"),
        ("import time; time.sleep(60)", "crash", ""),
        ("raise ValueError(number)", "crash", "while it was measured"),
        ("os.write(2, line); connection.sendall(b'1\\n')", "no_improvement", ""),
    ],
)
def test_a_service_that_answers_badly_is_rejected(
    ada: Any, squares: dict[str, Any], write: Callable[..., Path], instead: str, reason: str, said: str
) -> None:
    worse = re.sub(r"connection\.sendall\(.*", instead.replace("\\", r"\\"), ANSWER)
    assert worse != ANSWER
    done = ada.propose("squares", write(worse))
    assert (done.code, done.document["status"], done.document["reason"]) == (9, "rejected", reason), done
    assert said in (done.document["feedback"] or "")
    # The scorer prints the hidden word, and a candidate its questions; neither is passed on.
    line = ada.log("squares")[0]
    assert line["id"] == done.document["id"]
    assert WORD not in json.dumps(line)
    assert "Traceback" not in json.dumps(line)


def test_a_noisy_service_is_verified_in_pairs(
    ada: Any, make_problem: Callable[..., Path], write: Callable[..., Path]
) -> None:
    folder = make_problem("asked-squares", "noisy-squares", noise='"seed"', min_gain="2")
    score = (folder / "score.py").read_text()
    by_seed = re.sub(
        r"numbers = .*\n(random\..*)\.shuffle\(numbers\)", r"numbers = \1.choices(range(1, 61), k=60)", score
    )
    assert by_seed != score
    (folder / "score.py").write_text(by_seed)
    document = ada.publish(folder)
    assert (document["noise"], document["kind"]) == ("seed", "service")
    done = ada.propose("noisy-squares", write(ANSWER.replace("KNOWN = 12", "KNOWN = 40")))
    assert (done.code, done.document["status"]) == (0, "accepted"), done
    assert done.document["pairs"] >= 10
    assert done.document["evidence"] >= 200
    same = ada.propose("noisy-squares", write(ANSWER.replace("KNOWN = 12", "KNOWN = 41 - 1")))
    assert (same.code, same.document["status"]) == (9, "rejected"), same


def test_a_volunteer_works_on_a_service(
    pool: Any, ada: Any, squares: dict[str, Any], join: Callable[..., Any]
) -> None:
    machine = join(pool, "vera", "--problems", "squares", "--seed", "3")
    machine.until("verdict", lambda event: event["status"] == "accepted")
    shown = ada.pool("show", "squares", "--json").document
    assert shown["best"] > 12
    assert {line["contributor"] for line in ada.log("squares")} >= {"vera"}


# --- One room


def test_one_room_is_labelled_wherever_it_is_shown(pool: Any, ada: Any, own: dict[str, Any]) -> None:
    assert (own["state"], own["kind"], own["integrity"], own["baseline"]) == ("open", "inprocess", "low", 10)
    warnings = [finding for finding in own["findings"] if finding["severity"] == "warning"]
    assert {finding["check"] for finding in warnings} >= {"integrity", "cheat"}
    assert not [finding for finding in own["findings"] if finding["severity"] == "error"]
    assert ada.pool("show", "own", "--json").document["integrity"] == "low"
    assert CAVEAT in ada.pool("show", "own").out
    listed = ada.pool("problems", "--json").document["problems"]
    assert {card["problem"]: card["integrity"] for card in listed}["own"] == "low"
    assert "(low integrity)" in ada.pool("problems").out
    assert get(pool, "/problems/own")["integrity"] == "low"
    shown = page(pool, "/p/own")
    assert f"Low integrity: {CAVEAT}." in shown
    assert f"inprocess, integrity low: {CAVEAT}" in shown
    assert "Largest gain without a person" in shown
    assert CAVEAT in page(pool, "/")


def test_a_small_gain_is_accepted_and_says_so(
    pool: Any, ada: Any, own: dict[str, Any], write: Callable[..., Path], tmp_path: Path
) -> None:
    source = (FOLDERS / "own-number" / "train.py").read_text()
    done = ada.propose("own", write(source.replace("MORE = 0", "MORE = 4")))
    assert (done.code, done.document["status"], done.document["verified"]) == (0, "accepted", 14), done
    assert "Integrity: low" in commit_message(pool, "own", tmp_path / "clone")


def test_a_forged_number_waits_for_a_person(ada: Any, own: dict[str, Any], write: Callable[..., Path]) -> None:
    done = ada.propose("own", write("print('number: 999')\n"))
    assert (done.code, done.document["status"], done.document["reason"]) == (0, "held", "implausible"), done
    assert ada.pool("show", "own", "--json").document["best"] < 999


def test_without_a_plausible_gain_every_gain_waits(
    ada: Any, make_problem: Callable[..., Path], write: Callable[..., Path]
) -> None:
    folder = make_problem("own-number", "strict-own")
    manifest = (folder / "problem.toml").read_text()
    (folder / "problem.toml").write_text(manifest.replace("max_plausible_gain = 5\n", ""))
    document = ada.publish(folder)
    assert any("every gain waits for a person" in finding["message"] for finding in document["findings"])
    done = ada.propose("strict-own", write("print('number: 11')\n"))
    assert (done.document["status"], done.document["reason"]) == ("held", "implausible"), done
    assert "waits for a person" in done.document["explanation"]


def test_what_cannot_be_kept_from_its_candidate_is_refused(ada: Any, make_problem: Callable[..., Path]) -> None:
    folder = make_problem("own-number", "secretive")
    (folder / "secret").mkdir()
    (folder / "secret" / "truth.txt").write_text("x")
    manifest = (folder / "problem.toml").read_text()
    (folder / "problem.toml").write_text(manifest.replace("max_bytes", 'hidden = ["secret/"]\nmax_bytes'))
    done = ada.pool("publish", str(folder), "--json")
    assert done.code == 9, done
    assert any("files.hidden" in finding["message"] for finding in done.document["findings"])
