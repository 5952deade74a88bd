"""That the attacks bite: a scorer that imports the candidate into its own process is fooled by each of them.

It runs in a room all the same, so that what bites it touches nothing else.
"""

from typing import Any

import pytest

KIND = "naive"
BEST = 24.0
"""What the honest solution earns with it."""


@pytest.fixture
def naive(remote: Any, trial: Any) -> Any:
    trial.open(KIND)
    honest = trial.honest(KIND)
    assert (honest["outcome"], honest["score"]) == ("ok", BEST), honest
    return remote


@pytest.mark.parametrize("remote", ["ordinary user"], indirect=True)
def test_bites(attack: Any, naive: Any, trial: Any) -> None:
    result = naive.evaluate(KIND, trial.source(attack, KIND))
    if attack.bites == "read":
        assert "canary-hidden-" in result["feedback"], result
    elif attack.bites == "cache":
        assert "found what an earlier run kept" in result["feedback"], result
    else:
        assert attack.bites == "naive"
        assert result["outcome"] == "ok", result
        assert result["score"] > BEST, result


def test_there_is_one_that_bites_in_each_row_about_forging(attacks_that_bite: set[int]) -> None:
    assert attacks_that_bite >= {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14}
