"""Claimed, verified, published: three numbers of one experiment, the same wherever anybody looks, and never mixed."""

import json
import math
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from scipy import stats

from ar_coordinator.evidence import Evidence, parse_trailers
from ar_core.metric import format_number

pytestmark = pytest.mark.timeout(600)

NAME = "three-numbers"
GRADES = {"A", "B"}
_SECONDS = 150


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool("--verifiers", "1")


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory, make_problem: Callable[..., Path]) -> Any:
    person = pool.person(tmp_path_factory.mktemp("ada"), "ada")
    # A step is soon shown or given up: it is a large share of the window, and there are not many pairs.
    person.publish(make_problem("noisy-sum", NAME, max_pairs="60", window="[1.0, 7.0]"))
    return person


def settled(ada: Any) -> list[dict[str, Any]] | None:
    """Every experiment, once none waits for its verdict."""
    log: list[dict[str, Any]] = ada.log(NAME)
    return None if {"queued", "verifying"} & {x["status"] for x in log} else log


def test_one_accepted_experiment_everywhere(
    pool: Any, ada: Any, join: Callable[..., Any], until: Callable[..., Any], tmp_path: Path
) -> None:
    volunteer = join(pool, "eve", "--seed", "3")
    volunteer.until("verdict", lambda event: event["status"] == "accepted")
    assert volunteer.end(signal.SIGTERM) == 0, volunteer.errors()
    log = until(lambda: settled(ada), _SECONDS)
    machine = volunteer.all("joined")[0]
    accepted = [x for x in log if x["status"] == "accepted"]
    x = accepted[0]
    told = next(event for event in volunteer.all("verdict") if event["status"] == "accepted")
    of_told = next(one for one in accepted if one["id"] == told["id"])
    assert [told[key] for key in ("claimed", "verified", "published", "gain", "commit")] == [
        of_told[key] for key in ("claimed", "verified", "published", "gain", "commit")
    ]

    # Three measurements, each with what belongs to it.
    publication = x["publication"]
    assert len({x["claimed"], x["verified"], x["published"]}) == 3, "there is noise: no two of them are the same"
    # Scores above the window count as its end, so the gain that decided may be less than the difference.
    assert 0 < x["gain"] <= x["verified"] - x["incumbent"] + 1e-6
    assert x["interval"][0] < x["gain"] < x["interval"][1]
    # With the mean and the 95 % interval of n gains go their standard deviation, and so the effect size.
    n, half = x["pairs"], (x["interval"][1] - x["interval"][0]) / 2
    spread = half * math.sqrt(n) / float(stats.t.ppf(0.975, n - 1))
    assert x["effect_size"] == pytest.approx(x["gain"] / spread, rel=1e-6)
    assert x["evidence"] >= 200
    assert publication["gain"] == pytest.approx(x["published"] - publication["incumbent"])
    assert publication["interval"][0] < x["published"] < publication["interval"][1]
    assert 5 <= publication["pairs"] <= 20
    assert publication["pairs"] < x["pairs"]
    assert x["worker_grade"] == machine["grade"]
    assert {x["worker_grade"], x["verifier_grade"], publication["grade"]} <= GRADES
    assert x["verifier"] == publication["verifier"]

    # Over HTTP, in a list and by itself.
    assert httpx.get(f"{pool.web}/api/v1/experiments/{x['id']}").json() == x
    listed = httpx.get(f"{pool.web}/api/v1/problems/{NAME}/experiments?limit=1000").json()["items"]
    assert [one for one in listed if one["id"] == x["id"]] == [x]

    # In git: the commit states what is published, and on how many pairs and what evidence it was decided.
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", f"{pool.web}/git/{NAME}.git", str(clone)], check=True, timeout=60)

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(clone), *words], check=True, capture_output=True, text=True, timeout=60
        ).stdout

    stated = Evidence.from_trailers(parse_trailers(git("log", "-1", "--format=%B", x["commit"])))
    assert (stated.experiment, stated.claimed) == (x["id"], x["claimed"])
    assert (stated.score.value, stated.score.n) == (x["published"], publication["pairs"])
    assert list(stated.score.interval or ()) == publication["interval"]
    assert (stated.baseline, stated.gain) == (publication["incumbent"], publication["gain"])
    assert (stated.pairs, stated.evidence, stated.verifier) == (x["pairs"], x["evidence"], x["verifier"])
    assert len(stated.seeds) == publication["pairs"]

    # In the ledger beside it: all three.
    def recorded() -> dict[str, Any] | None:
        git("fetch", "-q", "origin", "+refs/ar/ledger:refs/ar/ledger")
        paths = git("ls-tree", "-r", "--name-only", "refs/ar/ledger").split()
        texts = (git("show", f"refs/ar/ledger:{path}") for path in paths if path.endswith("jsonl"))
        lines = (json.loads(line) for text in texts for line in text.splitlines())
        return next((line for line in lines if line["id"] == x["id"] and line["status"] == "accepted"), None)

    line = until(recorded, _SECONDS)
    assert {key: line[key] for key in x} == x

    # The problem: its best is what was published, its standings sum what was published.
    shown = ada.pool("show", NAME, "--json").document
    # What crosses the wire counts time in microseconds.
    over_http = httpx.get(f"{pool.web}/api/v1/problems/{NAME}").json()
    assert shown == over_http | {"evaluation_seconds": shown["evaluation_seconds"]}
    assert (shown["best"], shown["best_experiment"], shown["best_pairs"]) == (
        x["published"], x["id"], publication["pairs"],
    )  # fmt: skip
    assert shown["best_interval"] == publication["interval"]
    records = httpx.get(f"{pool.web}/api/v1/problems/{NAME}/records").json()["items"]
    assert (records[-1]["score"], records[-1]["gain"], records[-1]["n"], records[-1]["grade"]) == (
        x["published"], publication["gain"], publication["pairs"], publication["grade"],
    )  # fmt: skip
    assert (records[0]["verifier"], records[0]["grade"] in GRADES) == (x["verifier"], True), "the baseline, too"
    (row,) = ada.pool("leaderboard", NAME, "--json").document["rows"]
    assert row["gain"] == pytest.approx(sum(one["publication"]["gain"] for one in accepted))
    assert (row["contributor"], row["share"], row["accepted"]) == ("eve", 1.0, len(accepted))

    # For people: on the page of the experiment, that of the problem, and in the terminal.
    def number(value: float) -> str:
        return format_number(value, 3)

    words = httpx.get(f"{pool.web}/p/{NAME}/x/{x['id']}").text
    for heading, value in (
        ("Claimed", x["claimed"]), ("Verified", x["verified"]), ("To beat", x["incumbent"]),
        ("Verified gain", x["gain"]), ("Published", x["published"]), ("Published gain", publication["gain"]),
    ):  # fmt: skip
        assert f"<dt>{heading}</dt><dd>{number(value)}<" in words, heading
    assert f"effect size {x['effect_size']:.3g}<" in words
    assert f"in a room of grade {x['verifier_grade']} on {x['verifier']}" in words
    assert f"in a room of grade {x['worker_grade']} on {x['worker']}" in words
    page = httpx.get(f"{pool.web}/p/{NAME}/experiments?status=accepted").text
    assert f'{number(x["published"])}<span class="aside">published</span>' in page
    assert f"{number(x['verified'])} verified" in page
    table = ada.pool("log", NAME).out
    head, *rows = table.splitlines()
    mine = next(text for text in rows if x["id"] in text)
    positions = [head.index(word) for word in ("CLAIMED", "VERIFIED", "GAIN", "PUBLISHED")]
    assert positions == sorted(positions)
    shown_numbers = [number(x["claimed"]), number(x["verified"]), f"+{number(x['gain'])}", number(x["published"])]
    assert " ".join(shown_numbers) in " ".join(mine.split())
    assert number(publication["interval"][0]) in ada.pool("show", NAME).out


def test_without_noise_what_decided_is_what_is_published(
    ada: Any, make_problem: Callable[..., Path], write: Callable[..., Path]
) -> None:
    ada.publish(make_problem("small-sum", "no-noise"))
    done = ada.propose("no-noise", write("[5, 6]"), "--claimed", "11.5").document
    assert (done["status"], done["claimed"], done["verified"], done["published"]) == ("accepted", 11.5, 11.0, 11.0)
    assert (done["evidence"], done["pairs"], done["publication"]["pairs"]) == ("exact", 2, 2)
    (x,) = ada.log("no-noise")
    assert (x["interval"], x["effect_size"]) == ([8, 8], None), "nothing varies that a gain could be compared with"
    assert (x["worker_grade"], x["verifier_grade"] in GRADES) == (None, True)
    rejected = ada.propose("no-noise", write("[1, 6]"), "--claimed", "99").document
    assert (rejected["claimed"], rejected["verified"], rejected["published"]) == (99.0, 7.0, None)
    assert rejected["publication"] is None
