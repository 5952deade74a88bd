"""A problem with noise: changes that change nothing are never believed, however often they are proposed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAME = "tiny-classifier"
NO_CHANGES = [f"noop_{number:02}.py" for number in range(1, 11)]
WAITING = {"queued", "verifying"}


@pytest.fixture(scope="module")
def ada(start_pool: Callable[..., Any], problems: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    person = start_pool("--verifiers", "2").person(tmp_path_factory.mktemp("ada"), "ada")
    document = person.publish(problems / NAME)
    assert (document["noise"], document["state"]) == ("seed", "open")
    return person


# Measured: half a minute on two cores that have nothing else to do.
@pytest.mark.timeout(400)
def test_ten_changes_that_change_nothing(ada: Any, candidates: Path, until: Callable[..., Any]) -> None:
    head = ada.pool("show", NAME, "--json").document["head"]
    for file in NO_CHANGES:
        done = ada.propose(NAME, candidates / NAME / file, "--no-wait", "--claimed", "0.5")
        assert done.code == 0, done
        assert done.document["status"] in WAITING
    log = until(lambda: (lines := ada.log(NAME)) and not WAITING & {x["status"] for x in lines} and lines, 300)
    assert len(log) == len(NO_CHANGES)
    for line in log:
        assert (line["status"], line["reason"], line["commit"]) in [
            ("rejected", "no_improvement", None),
            ("rejected", "inconclusive", None),
        ]
        assert 3 <= line["pairs"] <= 60
        assert line["claimed"] == 0.5
        # Hidden files were used: of what is not accepted no score is told.
        assert (line["verified"], line["incumbent"], line["gain"], line["evidence"]) == (None,) * 4
    shown = ada.pool("show", NAME, "--json").document
    assert (shown["accepted"], shown["experiments"], shown["head"]) == (0, 10, head)
    assert shown["best"] == shown["baseline"]


def test_a_version_that_scores_worse_on_average(ada: Any, candidates: Path) -> None:
    done = ada.propose(NAME, candidates / NAME / "worse.py")
    assert (done.code, done.document["status"], done.document["reason"]) == (9, "rejected", "no_improvement")
    assert (done.document["verified"], done.document["published"]) == (None, None)
