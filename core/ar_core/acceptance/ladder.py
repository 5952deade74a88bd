"""The ladder: how finely numbers that were measured with hidden files leave the pool.

Not here: comparing, which keeps every digit; and what is told of which experiment (whoever releases it).

Hidden files are a finite set, and each exact score is an answer to a question about them: whoever asks often enough
learns them without having them. So the pool answers "no better than the best", or with the new best rounded to the
gain that counts, and what can be learnt goes with the number of accepts and not with that of questions. Source:
Blum & Hardt, "The Ladder: A Reliable Leaderboard for Machine Learning Competitions", ICML 2015.

Nothing is rounded without hidden files; where ``min_gain`` is 0, since then each gain counts, however small; and
where scores are times: they vary with the machine by more than single cases add to them, and their ``min_gain`` is a
ratio, which is no distance between numbers.
"""

import math
import sys
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ar_core.metric import Direction, MinGain
from ar_core.problem import Noise

_HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """What numbers of a problem are rounded to, all as they are where ``step`` is ``None``."""

    step: float | None = None
    low: float | None = None
    """The ends of the metric's range, which no released score leaves."""
    high: float | None = None

    def score(self, value: float) -> float:
        """Return a score as it is released."""
        return value if self.step is None else self._inside(rounded(value, self.step))

    def score_interval(self, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        """Return the interval of a score as it is released: never a narrower one."""
        if interval is None or self.step is None:
            return interval
        low, high = outwards(interval, self.step)
        return self._inside(low), self._inside(high)

    def gain(self, direction: Direction, new: float, old: float) -> float:
        """Return how much better a released score is than another, to the last decimal that both show."""
        gain = _exactly(new) - _exactly(old)
        return float(gain if direction is Direction.MAXIMIZE else -gain)

    def gain_interval(self, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        """Return the interval of a gain as it is released: never a narrower one."""
        return interval if interval is None or self.step is None else outwards(interval, self.step)

    def _inside(self, value: float) -> float:
        floor = -math.inf if self.low is None else self.low
        ceiling = math.inf if self.high is None else self.high
        return min(max(value, floor), ceiling)


def step_of(*, hidden: bool, noise: Noise, min_gain: MinGain, baseline: float) -> float | None:
    """Return the step of a problem from its measured ``baseline``, ``None`` where nothing is rounded.

    It is ``min_gain``, and fixed with the baseline where that is a share: the largest 1, 2 or 5 times a power of ten
    that is no more than the share of the baseline, so that the step itself does not tell the baseline's digits.
    """
    asked = min_gain.at(baseline)
    if not hidden or noise is Noise.TIMING or not 0 < asked < math.inf:
        return None
    return _round_number(asked) if min_gain.relative else asked


def rounded(value: float, step: float) -> float:
    """Return the nearest multiple of ``step``, a tie upwards, so that values a step apart never become the same.

    Both count as the decimal numbers that they are printed as, and so does the outcome: three times 0.05 is 0.15.
    """
    return _multiple(math.floor(_exactly(value) / _exactly(step) + _HALF), step)


def outwards(interval: tuple[float, float], step: float) -> tuple[float, float]:
    """Return the least interval between multiples of ``step`` that holds ``interval``."""
    low, high = (_exactly(end) / _exactly(step) for end in interval)
    return _multiple(math.floor(low), step), _multiple(math.ceil(high), step)


def _multiple(count: int, step: float) -> float:
    try:
        return float(count * _exactly(step))
    except OverflowError:
        return math.copysign(sys.float_info.max, count)


def _exactly(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def _round_number(value: float) -> float:
    shown = Decimal(repr(value))
    first = next(digit for digit in shown.as_tuple().digits if digit)
    return float(f"{5 if first >= 5 else 2 if first >= 2 else 1}e{shown.adjusted()}")
