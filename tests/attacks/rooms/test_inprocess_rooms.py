"""A candidate in its scorer's own process, where it may forge a score and nothing else: each attack by its row."""

from typing import Any

KIND = "inprocess"


def test_attack(attack: Any, trial: Any) -> None:
    trial.attack(attack, KIND)
