"""The bandit finds the arm that pays, forgets, and never draws what is not there."""

from collections import Counter
from random import Random

from ar_search.bandit import Bandit


def pull(bandit: Bandit, pays: dict[str, float], rounds: int, seed: int = 1) -> Counter[str]:
    rng, drawn = Random(seed), Counter[str]()
    for _ in range(rounds):
        arm = bandit.choose(dict.fromkeys(pays, 1.0), rng)
        assert arm is not None
        drawn[arm] += 1
        bandit.reward(arm, 1.0 if rng.random() < pays[arm] else 0.0)
    return drawn


def test_it_learns_which_arm_pays() -> None:
    bandit = Bandit()
    pays = {"good": 0.5, "bad": 0.05, "worse": 0.0}
    pull(bandit, pays, 150)
    assert pull(bandit, pays, 100)["good"] > 70
    assert bandit.pays("good") > bandit.pays("bad")


def test_it_notices_that_an_arm_stopped_paying() -> None:
    bandit = Bandit()
    pull(bandit, {"a": 0.8, "b": 0.1}, 200)
    pull(bandit, {"a": 0.0, "b": 0.4}, 200)
    assert pull(bandit, {"a": 0.0, "b": 0.4}, 100)["b"] > 70


def test_weights_come_first_and_zero_means_never() -> None:
    bandit, rng = Bandit(), Random(1)
    drawn = Counter(bandit.choose({"likely": 1.0, "unlikely": 0.1, "never": 0.0}, rng) for _ in range(300))
    assert drawn["likely"] > drawn["unlikely"]
    assert drawn["never"] == 0
    assert bandit.choose({"never": 0.0}, rng) is None
    assert bandit.choose({}, rng) is None
