"""A candidate that answers its scorer over a socket: each attack by the number of its row."""

from typing import Any

KIND = "service"


def test_attack(attack: Any, trial: Any) -> None:
    trial.attack(attack, KIND)
