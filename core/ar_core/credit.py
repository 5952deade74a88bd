"""Who gets credit for what: of an accepted improvement the gain that it was published with, and nothing else.

Not here: who tried what, and where that is kept. A claim is worth nothing, nor is an accept that was taken back;
callers leave those out. Sums are exact (``math.fsum``), so no order of arrival ever changes anybody's credit.
"""

import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from ar_core.records import LeaderboardRow

Order = Literal["gain", "accepted", "recent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """An accepted improvement that stands; ``gain`` is what it was published with, in the metric's unit."""

    contributor: str
    gain: float
    when: datetime

    @property
    def credit(self) -> float:
        """What it is worth: a shorter file that is as good counts as accepted, and brings no gain."""
        return self.gain if math.isfinite(self.gain) and self.gain > 0 else 0.0


def standings(
    accepts: Iterable[Accept], tried: Mapping[str, int], seconds: Mapping[str, float]
) -> list[LeaderboardRow]:
    """Return one problem's row for everybody who tried or was accepted, by name; ranks are 0 until ``ranked``.

    ``tried`` and ``seconds`` are what contributors reported, by contributor: shown, and worth nothing. Shares sum
    to 1 where anybody has gained, and are 0 elsewhere.
    """
    own: defaultdict[str, list[Accept]] = defaultdict(list)
    for accept in accepts:
        own[accept.contributor].append(accept)
    gains = {who: _sum(accept.credit for accept in found) for who, found in own.items()}
    largest = max(gains.values(), default=0.0)
    # Beside the largest, so that the sum of very large gains is still a number.
    total = math.fsum(gain / largest for gain in gains.values()) if largest > 0 else 0.0
    return [
        LeaderboardRow(
            rank=0, contributor=who, accepted=len(own.get(who, ())), gain=gains.get(who, 0.0),
            share=gains.get(who, 0.0) / largest / total if total else 0.0, experiments=tried.get(who, 0),
            seconds=seconds.get(who, 0.0),
            last_accepted=max((accept.when for accept in own.get(who, ())), default=None),
        )
        for who in sorted({*tried, *gains})
    ]  # fmt: skip


def _sum(gains: Iterable[float]) -> float:
    try:
        return math.fsum(gains)
    except OverflowError:
        return sys.float_info.max


def across(boards: Iterable[Iterable[LeaderboardRow]]) -> list[LeaderboardRow]:
    """Return one row for each contributor to several problems.

    Gains of different metrics have no sum, so ``gain`` is ``None``; ``share`` is the mean over those problems
    that anybody improved, and sums to 1 where there is one.
    """
    improved = 0
    rows: defaultdict[str, list[LeaderboardRow]] = defaultdict(list)
    for board in boards:
        found = list(board)
        improved += any(row.share > 0 for row in found)
        for row in found:
            rows[row.contributor].append(row)
    return [_summed(rows[who], max(improved, 1)) for who in sorted(rows)]


def _summed(rows: list[LeaderboardRow], improved: int) -> LeaderboardRow:
    return replace(
        rows[0], gain=None, accepted=sum(row.accepted for row in rows),
        share=math.fsum(row.share for row in rows) / improved, experiments=sum(row.experiments for row in rows),
        seconds=math.fsum(row.seconds for row in rows),
        last_accepted=max((row.last_accepted for row in rows if row.last_accepted), default=None),
    )  # fmt: skip


def ranked(rows: Iterable[LeaderboardRow], order: Order) -> list[LeaderboardRow]:
    """Return the rows, best first, with their ranks; who contributed the same shares a rank."""
    found: list[LeaderboardRow] = []
    for place, row in enumerate(sorted(rows, key=lambda r: (*(-m for m in _merit(r, order)), r.contributor)), 1):
        tied = found and _merit(found[-1], order) == _merit(row, order)
        found.append(replace(row, rank=found[-1].rank if tied else place))
    return found


def _merit(row: LeaderboardRow, order: Order) -> tuple[float, ...]:
    gain = row.share if row.gain is None else row.gain
    if order == "recent":
        return (row.last_accepted.timestamp() if row.last_accepted else 0.0, gain)
    return (row.accepted, gain) if order == "accepted" else (gain, row.accepted)
