"""A problem whose score is a time, while somebody else uses the machine: only what is really faster is accepted."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ar_coordinator.evidence import Evidence, parse_trailers

pytestmark = pytest.mark.timeout(600)

NAME = "api-latency"
BURNER = """
import os, time
until, parent = time.monotonic() + 400, os.getppid()
while time.monotonic() < until and os.getppid() == parent:
    for _ in range(10**6):
        pass
"""
"""Keeps one core busy; ends with whoever started it, or by itself."""


@pytest.fixture(scope="module")
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's work on this machine."""
    burner = subprocess.Popen([sys.executable, "-c", BURNER])
    yield burner
    still_burning = burner.poll() is None
    burner.kill()
    burner.wait()
    assert still_burning


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool()


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("ada"), "ada")


def replaced(path: Path, **lines: str) -> None:
    """Replace whole lines ``key = …`` of a file."""
    text = path.read_text()
    for key, value in lines.items():
        text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert found == 1, key
    path.write_text(text)


@pytest.fixture(scope="module")
def published(ada: Any, problems: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The problem of the gallery, with fewer questions, and asking for a gain that shows on a busy machine too."""
    folder = tmp_path_factory.mktemp("timing") / NAME
    shutil.copytree(problems / NAME, folder)
    replaced(folder / "problem.toml", min_gain='"50%"', time_budget='"2s"')
    replaced(folder / "score.py", QUESTIONS="90", PREPARING="2.0")
    document: dict[str, Any] = ada.publish(folder)
    return document


def test_it_is_registered_with_its_price(pool: Any, published: dict[str, Any]) -> None:
    assert (published["state"], published["noise"], published["kind"]) == ("open", "timing", "service")
    assert published["baseline"] > 0
    assert not [finding for finding in published["findings"] if finding["severity"] == "error"]
    told = " ".join(finding["message"] for finding in published["findings"])
    assert "an accept takes at least 11 pairs, 4 to warm up and 5 to publish" in told
    assert "the smallest gain that 60 pairs (max_pairs) show is about" in told
    assert "the start against itself is no gain" in told
    page = " ".join(httpx.get(f"{pool.web}/p/{NAME}").raise_for_status().text.split())
    assert "an accept takes at least 11 pairs" in page
    assert "the start against itself is no gain" in page
    assert "the share of pairs that it is faster in" in page


def test_other_bytes_that_are_no_faster_are_not_accepted(
    ada: Any, problems: Path, published: dict[str, Any], busy: subprocess.Popen[bytes], write: Callable[..., Path]
) -> None:
    assert busy.poll() is None
    start = (problems / NAME / "handler.py").read_text()
    # Not only a comment: what differs in nothing but its layout is refused before it is measured.
    same = start.replace("found", "count") + "\n# The same again.\n"
    done = ada.propose(NAME, write(same), "--claimed", "0.0001")
    assert (done.code, done.document["status"]) == (9, "rejected"), done
    assert done.document["reason"] in {"no_improvement", "inconclusive"}
    assert done.document["evidence"] < 200
    assert 8 <= done.document["pairs"] <= 60
    assert ada.pool("show", NAME, "--json").document["best"] == published["baseline"]


def test_what_is_faster_is_accepted(
    pool: Any, ada: Any, candidates: Path, published: dict[str, Any], busy: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert busy.poll() is None
    done = ada.propose(NAME, candidates / NAME / "better.py", "--note", "prepared once")
    assert (done.code, done.document["status"]) == (0, "accepted"), done
    document = done.document
    assert document["pairs"] >= 11
    assert document["evidence"] >= 200
    assert 0 < document["verified"] < document["incumbent"] / 1.5
    assert document["gain"] == pytest.approx(document["incumbent"] - document["verified"])
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", f"{pool.web}/git/{NAME}.git", str(clone)], check=True, timeout=60)
    command = ["git", "-C", str(clone), "log", "--format=%B%x00"]
    log = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split("\0")
    accepted, baseline = (parse_trailers(message.strip()) for message in log[:2])
    evidence = Evidence.from_trailers(accepted)
    assert (evidence.contributor, evidence.pairs) == ("ada", document["pairs"])
    assert evidence.evidence == document["evidence"]
    assert evidence.gain == pytest.approx(evidence.baseline - evidence.score.value)
    assert 0 < evidence.score.value < evidence.baseline / 1.5
    assert evidence.score.n == len(evidence.seeds) >= 5
    assert baseline["Score"] == f"{published['baseline']!r} ms [n=5]"
    assert httpx.get(f"{pool.web}/api/v1/problems/{NAME}").json()["best"] == evidence.score.value
