"""What an operator is: how promising it is for a scene, and a random change of that scene.

Not here: any operator, and whether a change was good.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ar_search.scene import Change, Scene

_ANY_DISTANCE = 0.3
_SHORTEST_STEP = 3e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One kind of change."""

    name: str
    weight: Callable[[Scene], float]
    """How promising before anything was tried; 0 where there is nothing that it could change."""
    change: Callable[[Scene, Random], Change | None]
    """Draw one change; ``None`` where the draw hit nothing. The edits do not overlap."""


def log_uniform(rng: Random, low: float, high: float) -> float:
    """Draw from ``low`` to ``high``, each factor as likely as any other; both above 0."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def step_size(scene: Scene, rng: Random, widest: float) -> float:
    """Draw how far to go, at most ``widest``: mostly about as far as pays now, at times any distance."""
    if rng.random() < _ANY_DISTANCE:
        return widest * log_uniform(rng, _SHORTEST_STEP, 1.0)
    return widest * scene.step * log_uniform(rng, 0.1, 1.0)


def length_below(rng: Random, most: int) -> int:
    """Draw a length from 1 to ``most`` (at least 1), short ones as likely as long ones in factors."""
    return min(most, int(log_uniform(rng, 1.0, most + 1.0)))
