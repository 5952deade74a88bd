"""A last look at whole scores, where the bet saw them cut to the window: a gain must be one on average too.

Not here: the bet (``betting``). This only ever rejects, so that it cannot add a false accept.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from ar_core.acceptance.pairs import Pair, failed
from ar_core.acceptance.window import Window
from ar_core.metric import Direction, MinGain

_NOTHING = MinGain()


def better_on_average(
    pairs: Iterable[Pair], window: Window, direction: Direction, allowed: MinGain = _NOTHING
) -> bool:
    """Tell whether the candidate's mean score is above the incumbent's, less what it is ``allowed`` to lose.

    A window caps what one pair can cost, so that a candidate which is mostly a little better and now and then far
    worse may win the bet, which is about cut scores, and lose on average. Here bad scores count in full.

    Good ones do not: with both ends open the largest lucky hit would decide, and one would pay for any number of such
    losses. They are cut to the window's good end or, where a side is beyond that in most of its runs, to its median,
    so that a gain larger than the window is wide counts whole. One cut holds for both sides: equal versions differ by
    0 on average, whatever rare losses they share, and a candidate that is rid of the incumbent's gets the credit.

    A run without a score counts as the window's bad end, as in the bet, and a share that is ``allowed`` is taken of
    the incumbent's score inside the window, which its own rare losses do not make larger.
    """
    pairs = list(pairs)
    if not pairs:
        return False
    mine = [_whole(pair.candidate, window, direction) for pair in pairs]
    theirs = [_whole(pair.incumbent, window, direction) for pair in pairs]
    if direction is Direction.MAXIMIZE:
        cut = max(window.high, _worse_median(mine, direction), _worse_median(theirs, direction))
        gain = _sum(min(score, cut) for score in mine) - _sum(min(score, cut) for score in theirs)
    else:
        cut = min(window.low, _worse_median(mine, direction), _worse_median(theirs, direction))
        gain = _sum(max(score, cut) for score in theirs) - _sum(max(score, cut) for score in mine)
    return gain + _sum(allowed.at(window.clip(pair.incumbent, direction)) for pair in pairs) > 0


def _whole(score: float | None, window: Window, direction: Direction) -> float:
    return window.bad_end(direction) if score is None or failed(score) else score


def _worse_median(scores: Sequence[float], direction: Direction) -> float:
    """Return the worse one of the two in the middle: one of the scores, that at least half of them reach."""
    return sorted(scores, reverse=direction is Direction.MINIMIZE)[(len(scores) - 1) // 2]


def _sum(values: Iterable[float]) -> Fraction:
    """Add exactly: scores of any size must neither overflow nor depend on their order."""
    return sum(map(Fraction, values), Fraction(0))
