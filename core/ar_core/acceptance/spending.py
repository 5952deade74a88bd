"""What a strict log spent of its one budget so far.

Not here: the level of each verification (``false_discovery``), which these figures are made from.
"""

import math
from functools import lru_cache

from ar_core.acceptance.false_discovery import strict_level
from ar_core.records import StrictBudget


def strict_budget(alpha: float, trials: int, accepted: int) -> StrictBudget:
    """Return the budget of a log in which ``trials`` verifications began, and ``accepted`` of them accepted.

    Spent is Σγ over those that began, whatever they were decided at: an accept raises later levels and gives
    nothing of it back. Of more accepts than trials, which cannot be, only as many as trials count.
    """
    accepted = min(accepted, trials)
    return StrictBudget(
        alpha=alpha, trials=trials, accepted=accepted, spent=_spent(trials),
        next_level=strict_level(alpha, trials + 1, accepted),
    )  # fmt: skip


@lru_cache(maxsize=256)
def _spent(trials: int) -> float:
    """Return Σγ of the first ``trials``: before any accept, verification t has the level α γ_t."""
    return math.fsum(strict_level(1.0, trial, 0) for trial in range(1, trials + 1))
