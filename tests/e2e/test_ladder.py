"""Hidden files are behind the scores: whatever the pool serves is rounded, or says no more than "no better"."""

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.timeout(600)

STEP = Fraction(1, 2)
WEIGHTS = [1.03717, 0.96134, 1.01139, 0.98273]
SCORES = {
    "verified", "incumbent", "gain", "interval", "published", "score", "best", "baseline", "best_interval", "low",
    "high", "parent_score",
}  # fmt: skip
SENTENCES = {"explanation", "feedback", "state_reason"}
QUIET, LOUD = "quiet-weights", "loud-weights"
_SECONDS = 200


def exactly(*numbers: float) -> float:
    """What a file scores with the hidden weights."""
    return sum(number * weight for number, weight in zip(numbers, WEIGHTS, strict=False))


def released(value: float) -> float:
    """The documented rule, written anew: the nearest multiple of the step."""
    return float(round(value * 2) / 2)


def fine(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every score in a document that is no whole number of steps; claims are the contributors' own."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from fine(value, f"{path}.{key}")
    elif isinstance(document, list):
        for value in document:
            yield from fine(value, path)
    elif isinstance(document, float) and path.rpartition(".")[2] in SCORES and Fraction(str(document)) % STEP:
        yield path, document
    elif isinstance(document, str) and path.rpartition(".")[2] in SENTENCES:
        yield from ((path, document) for number in re.findall(r"\d+\.\d+", document) if Fraction(number) % STEP)


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool("--verifiers", "1")


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory, make_problem: Callable[..., Path]) -> Any:
    person = pool.person(tmp_path_factory.mktemp("ada"), "ada")
    quiet = person.publish(make_problem("weighed-sum", QUIET))
    assert quiet["baseline"] == released(exactly(1, 2)) == 3.0
    loud = person.publish(make_problem("weighed-sum", LOUD, noise='"seed"', max_plausible_gain='"1000%"'))
    assert not list(fine(loud)), loud
    return person


@pytest.fixture
def served(pool: Any, tmp_path: Path, until: Callable[..., Any]) -> Callable[[str], tuple[str, list[Any]]]:
    """Return all that a pool serves of a problem to whoever asks: as text, and what of it is JSON."""

    def collect(name: str) -> tuple[str, list[Any]]:
        def get(path: str) -> str:
            return httpx.get(f"{pool.web}{path}", timeout=60).raise_for_status().text

        api = f"/api/v1/problems/{name}"
        experiments = json.loads(get(f"{api}/experiments?limit=1000"))["items"]
        ids = [x["id"] for x in experiments]
        documents = [get(path) for path in (
            api, f"{api}/experiments?limit=1000", f"{api}/records", f"{api}/leaderboard",
            *(f"/api/v1/experiments/{one}" for one in ids),
        )]  # fmt: skip
        pages = [get(path) for path in (
            "/", f"/p/{name}", f"/p/{name}/experiments", f"/p/{name}/progress.svg", f"/p/{name}/atom.xml",
            *(f"/p/{name}/x/{one}" for one in ids),
        )]  # fmt: skip
        clone = tmp_path / name

        def git(*words: str) -> str:
            return subprocess.run(
                ["git", "-C", str(clone), *words], check=True, capture_output=True, text=True, timeout=60
            ).stdout

        subprocess.run(["git", "clone", "-q", f"{pool.web}/git/{name}.git", str(clone)], check=True, timeout=60)

        def ledger() -> list[str]:
            if subprocess.run(
                ["git", "-C", str(clone), "fetch", "-q", "origin", "+refs/ar/ledger:refs/ar/ledger"],
                check=False, capture_output=True, timeout=60,
            ).returncode:  # fmt: skip
                return []
            paths = git("ls-tree", "-r", "--name-only", "refs/ar/ledger").split()
            return [
                line
                for path in paths
                if path.endswith("jsonl")
                for line in git("show", f"refs/ar/ledger:{path}").splitlines()
            ]

        settled = {x["id"] for x in experiments}
        lines = until(lambda: (found := ledger()) and settled <= {json.loads(x)["id"] for x in found} and found, 90)
        messages = git("log", "--format=%B", "main")
        for trailer, value in re.findall(r"^(Score|Baseline|Gain): (.*)$", messages, re.MULTILINE):
            for number in re.findall(r"-?\d+(?:\.\d+)?", value.replace("[n=", "[")):
                assert Fraction(number) % STEP == 0, (trailer, value)
        return "\n".join([*documents, *pages, *lines, messages]), [json.loads(text) for text in (*documents, *lines)]

    return collect


def test_without_noise_everything_is_in_steps_and_what_lost_has_no_score(
    pool: Any, ada: Any, write: Callable[..., Path], served: Callable[..., Any], told: Callable[..., Any]
) -> None:
    tried = {
        "accepted": (2, 3), "worse": (1, 1), "a little better": (2, 3.3), "uneven": (2, 6),
        "uneven and worse": (0, 4), "outside": (10, 10, 10), "held": (10, 10),
    }  # fmt: skip
    done = {what: ada.propose(QUIET, write(json.dumps(numbers))).document for what, numbers in tried.items()}
    verdicts = {what: (x["status"], x["reason"]) for what, x in done.items()}
    assert verdicts == {
        "accepted": ("accepted", None), "worse": ("rejected", "no_improvement"),
        "a little better": ("rejected", "no_improvement"), "uneven": ("rejected", "guard_failed"),
        "uneven and worse": ("rejected", "guard_failed"),
        "outside": ("rejected", "invalid_score"), "held": ("held", "implausible"),
    }  # fmt: skip
    won = done.pop("accepted")
    mine, theirs = released(exactly(2, 3)), released(exactly(1, 2))
    assert (won["verified"], won["published"], won["incumbent"], won["gain"]) == (mine, mine, theirs, mine - theirs)
    assert won["publication"]["gain"] == mine - theirs
    assert (won["evidence"], won["pairs"]) == ("exact", 2)
    assert "rounded to 0.5" in won["explanation"]
    for x in done.values():
        assert {x["verified"], x["incumbent"], x["gain"], x["published"]} == {None}, x
        assert x["explanation"]
    # The two that lost are told the same, so that it cannot be seen by how much.
    assert done["worse"]["explanation"] == done["a little better"]["explanation"]
    # A guard is broken whatever the score: else a file that breaks it could ask without ever becoming the best.
    assert done["uneven"]["explanation"] == done["uneven and worse"]["explanation"]

    text, documents = served(QUIET)
    assert not [found for document in [*documents, won, *done.values()] for found in fine(document)]
    digits = [f"{exactly(*numbers):.4f}"[:-1] for numbers in [*tried.values(), (1, 2)]]
    assert "4.958" in digits, "this would find a score"
    assert not [found for found in digits if found in text]
    assert "Rounded-To: 0.5" in text
    assert ">Rounded<" in text

    # The operator, who decides about it, sees what was measured; nobody else does.
    held = done["held"]["id"]
    assert held not in {x["id"] for x in documents if x.get("verified") is not None}
    directory = ("--data", str(pool.directory))
    shown = json.loads(told("ar_coordinator", "experiments", "show", held, *directory).out)
    assert shown["verified"] == pytest.approx(exactly(10, 10))
    listed = told("ar_coordinator", "experiments", "list", QUIET, "--status", "held", "--json", *directory).out
    assert json.loads(listed)["gain"] == pytest.approx(exactly(10, 10) - exactly(2, 3))
    refused = told("ar_coordinator", "experiments", "release", held, "--refuse", "--json", *directory).document
    assert (refused["status"], refused["verified"]) == ("rejected", None)


def test_with_noise_too(ada: Any, write: Callable[..., Path], served: Callable[..., Any]) -> None:
    won = ada.propose(LOUD, write("[8, 8]")).document
    lost = ada.propose(LOUD, write("[4, 4]")).document
    assert (won["status"], lost["status"]) == ("accepted", "rejected"), (won, lost)
    assert abs(won["published"] - exactly(8, 8)) < 2
    assert won["published"] - won["publication"]["incumbent"] == won["publication"]["gain"]
    # Scores above the window count as its end, so the gain that decided is less than the difference.
    assert 5 < won["gain"] <= won["verified"] - won["incumbent"]
    assert won["evidence"] == 200.0, "enough, and not by how much"
    assert (lost["verified"], lost["gain"], lost["evidence"]) == (None, None, None)
    text, documents = served(LOUD)
    compared = [x for x in [*documents, won, lost] if "effect_size" in x]
    assert {x["id"] for x in compared} == {won["id"], lost["id"]}
    assert {x["effect_size"] for x in compared} == {None}, "with every digit it would tell the gain"
    assert "effect size" not in text
    shown = next(x for x in documents if x.get("id") == won["id"])
    assert shown["interval"][0] <= won["gain"] <= shown["interval"][1]
    assert shown["publication"]["interval"][0] <= won["published"] <= shown["publication"]["interval"][1]
    assert not [found for document in [*documents, won, lost] for found in fine(document)]
    assert re.findall(r"^Evidence: (.*)$", text, re.MULTILINE) == ["200.0"]


def test_a_volunteer_is_told_no_more(pool: Any, ada: Any, join: Callable[..., Any]) -> None:
    volunteer = join(pool, "eve", "--seed", "5", "--problems", QUIET)
    volunteer.until("verdict", lambda event: event["status"] == "accepted")
    assert volunteer.end(signal.SIGTERM) == 0, volunteer.errors()
    verdicts, leases = volunteer.all("verdict"), volunteer.all("leased")
    assert not [found for event in [*verdicts, *leases] for found in fine(event)]
    assert [event["verified"] for event in verdicts if event["status"] != "accepted"] == [
        None for event in verdicts if event["status"] != "accepted"
    ]
    assert not list(fine(ada.log(QUIET)))
