"""The window that scores are clipped to, fixed before a candidate is seen, and the differences inside it.

Not here: betting on these differences (``betting``).
"""

import math
from dataclasses import dataclass

from ar_core.acceptance.pairs import Pair, failed
from ar_core.metric import Direction, MinGain, improvement

_SPREADS = 6.0
_MIN_GAINS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Ends, in the metric's unit, beyond which a score of either side counts as the end itself."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.high - self.low < math.inf:
            raise ValueError(f"a window has two finite ends, the lower first, not [{self.low}, {self.high}]")

    def bad_end(self, direction: Direction) -> float:
        """Return what a run without a score counts as."""
        return self.low if direction is Direction.MAXIMIZE else self.high

    def clip(self, score: float | None, direction: Direction) -> float:
        """Return the score as it counts: inside the window, the bad end for a failed run."""
        if score is None or failed(score):
            return self.bad_end(direction)
        return min(max(score, self.low), self.high)


def derive_window(
    *,
    mean: float,
    sd: float,
    min_gain: MinGain,
    explicit: tuple[float, float] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Window:
    """Return the window for the next candidates.

    ``explicit`` is the manifest's window and wins. Otherwise it is the incumbent's published ``mean`` ± the
    greater of 6 ``sd`` and 20 ``min_gain``, cut to the metric's range (``low``, ``high``; ``None`` is open).
    Where both are 0 there is no scale to go by: then it is the range or, where that is open, the mean ± its
    own size (± 1 around 0). Raises ``ValueError`` for a mean outside the range.
    """
    if explicit is not None:
        return Window(low=explicit[0], high=explicit[1])
    floor = -math.inf if low is None else low
    ceiling = math.inf if high is None else high
    if not floor <= mean <= ceiling:
        raise ValueError(f"the published mean {mean!r} is outside the range [{low}, {high}]")
    half = max(_SPREADS * sd, _MIN_GAINS * min_gain.at(mean))
    if mean - half < mean < mean + half:
        return Window(low=max(mean - half, floor), high=min(mean + half, ceiling))
    half = abs(mean) or 1.0
    return Window(
        low=mean - half if low is None else low,
        high=mean + half if high is None else high,
    )


def gain_and_difference(pair: Pair, window: Window, direction: Direction, min_gain: MinGain) -> tuple[float, float]:
    """Return a pair's gain between clipped scores, and d: the same less ``min_gain``.

    A relative ``min_gain`` is taken of the clipped incumbent of this very pair, so the claim that d tests is
    "the mean clipped gain is above the fraction of the mean size of the clipped incumbent".
    """
    incumbent = window.clip(pair.incumbent, direction)
    gain = improvement(direction, window.clip(pair.candidate, direction), incumbent)
    return gain, gain - min_gain.at(incumbent)


def worst_difference(window: Window, direction: Direction, min_gain: MinGain) -> float:
    """Return L, the least d that any pair can have; always below 0.

    With the candidate at the bad end, d is concave in the incumbent's score whatever the direction and the
    sign of the scores, so its least value is at an end of the window. For a ``min_gain`` in the metric's unit
    this is −(width) − min_gain.
    """
    candidate = window.bad_end(direction)
    return min(
        improvement(direction, candidate, incumbent) - min_gain.at(incumbent)
        for incumbent in (window.low, window.high)
    )
