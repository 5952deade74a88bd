"""Learns which kinds of change pay: Thompson sampling over discounted successes and failures.

Not here: what an arm does. See Russo and others, A Tutorial on Thompson Sampling, 2018, sections 3 and 6.3.
"""

from collections.abc import Mapping
from random import Random

_WINS, _LOSSES = 1.0, 3.0
_KEPT = 0.98


class Bandit:
    """One Beta distribution for each arm, over how often it pays.

    An arm's own counts fade with each of its rewards, as what pays early in a search need not pay late.
    """

    def __init__(self) -> None:
        self._counts: dict[str, tuple[float, float]] = {}

    def choose(self, weights: Mapping[str, float], rng: Random) -> str | None:
        """Draw an arm; ``weights`` says how promising each is beforehand. Arms at 0 are never drawn."""
        best, highest = None, 0.0
        for arm, weight in weights.items():
            wins, losses = self._counts.get(arm, (0.0, 0.0))
            drawn = weight * rng.betavariate(_WINS + wins, _LOSSES + losses)
            if drawn > highest:
                best, highest = arm, drawn
        return best

    def reward(self, arm: str, reward: float) -> None:
        """Take in that ``arm`` paid ``reward``, from 0 (not at all) to 1."""
        wins, losses = self._counts.get(arm, (0.0, 0.0))
        self._counts[arm] = (_KEPT * wins + reward, _KEPT * losses + 1.0 - reward)

    def pays(self, arm: str) -> float:
        """Return how often ``arm`` is thought to pay, from 0 to 1."""
        wins, losses = self._counts.get(arm, (0.0, 0.0))
        return (_WINS + wins) / (_WINS + wins + _LOSSES + losses)
