"""One pair: candidate and incumbent measured side by side with the same seed.

Not here: what a pair is worth (``window`` turns it into a difference).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two scores of the pair number ``index`` (from 0, the order in which seeds were drawn).

    ``None``, or a number that is not finite, means that side failed: crash, time-out or invalid score.
    """

    index: int
    candidate: float | None
    incumbent: float | None


def failed(score: float | None) -> bool:
    """Tell whether a side of a pair gave no usable score."""
    return score is None or not math.isfinite(score)


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Return the pairs 0, 1, 2, … by index, up to the first that has not arrived.

    What lies behind a gap waits: otherwise a batch that happens to finish early could decide, and the
    answer would depend on the order of arrival. The same pair twice counts once; raises ``ValueError``
    when an index arrives with two different measurements.
    """
    by_index: dict[int, Pair] = {}
    for pair in pairs:
        if pair.index < 0:
            raise ValueError(f"a pair has the index {pair.index}; pairs count from 0")
        known = by_index.setdefault(pair.index, pair)
        if known is not pair and known != pair:
            raise ValueError(f"pair {pair.index} arrived with two different measurements")
    ordered: list[Pair] = []
    while len(ordered) in by_index:
        ordered.append(by_index[len(ordered)])
    return ordered
