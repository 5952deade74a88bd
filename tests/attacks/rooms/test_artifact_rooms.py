"""A candidate that writes results for a scorer in another room: each attack by the number of its row."""

from typing import Any

KIND = "artifact"


def test_attack(attack: Any, trial: Any) -> None:
    trial.attack(attack, KIND)
