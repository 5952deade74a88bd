"""When a candidate is worth a claim: better than its parent, by this machine's own runs of both.

Not here: whether the pool believes it, which depends on the pool's own runs only.
"""

import math
import statistics
from collections.abc import Sequence

from ar_core.metric import Direction, MinGain, improvement
from ar_core.problem import Noise

SEEDED_RUNS = 3
"""Runs of each side where scores depend on a seed; both sides get the same seeds."""


def runs_needed(noise: Noise) -> int:
    """Return how often parent and candidate are run each."""
    return 1 if noise is Noise.NONE else SEEDED_RUNS


def beats(
    new: Sequence[float], old: Sequence[float], *, direction: Direction, noise: Noise, min_gain: MinGain
) -> bool:
    """Tell whether the runs ``new`` are enough better than the runs ``old`` of the same seeds.

    Without noise the gain has to exceed ``min_gain``; with noise the mean of the paired differences has to be
    above 0, since a few runs cannot show more. Of times every pair has to exceed ``min_gain``, as most will have to
    in the pool: their mean is that of the outliers, and half of what changes nothing would be claimed.
    """
    gains = [improvement(direction, a, b) for a, b in zip(new, old, strict=True)]
    if noise is Noise.NONE:
        return gains[0] > min_gain.at(old[0])
    if noise is Noise.TIMING:
        return all(gain > min_gain.at(b) for gain, b in zip(gains, old, strict=True))
    return statistics.fmean(gains) > 0


class ClaimRule:
    """Judges one lease's candidates in the order in which they were run.

    After a claim the bar is that claim: its successor has to beat it as it had to beat the parent, because the
    pool will compare it with no less.
    """

    def __init__(self, parent: Sequence[float], *, direction: Direction, noise: Noise, min_gain: MinGain) -> None:
        """``parent``: its scores, one for each seed."""
        self._direction, self._noise, self._min_gain = direction, noise, min_gain
        self._parent = tuple(parent)
        self._bar = self._parent

    @property
    def parent_score(self) -> float:
        """The parent's mean score on this machine."""
        return statistics.fmean(self._parent)

    @property
    def spread(self) -> float:
        """What means of this many runs may differ by luck: the parent's standard error, 0 without noise."""
        if self._noise is Noise.NONE or len(self._parent) < 2:
            return 0.0
        return statistics.stdev(self._parent) / math.sqrt(len(self._parent))

    def judge(self, scores: Sequence[float]) -> bool:
        """Tell whether a candidate with these scores is a claim; if so it is the bar from now on."""
        if not self._beats(scores, self._parent) or not self._beats(scores, self._bar):
            return False
        self._bar = tuple(scores)
        return True

    def rebase(self, parent: Sequence[float]) -> bool:
        """Take somebody else's better version as the parent; tell whether the last claim still beats it."""
        stands = self._bar != self._parent and self._beats(self._bar, parent)
        self._parent = tuple(parent)
        if not stands:
            self._bar = self._parent
        return stands

    def _beats(self, new: Sequence[float], old: Sequence[float]) -> bool:
        return beats(new, old, direction=self._direction, noise=self._noise, min_gain=self._min_gain)
