"""Who gets credit for what: of an accepted improvement the gain that it was published with, and nothing else.

Gains of two revisions have no sum, since a revision may change what the unit means: shares are taken within each. A
problem's standings are those of its current revision. In the pool's, each problem that anybody improved weighs the
same, and in it each revision that anybody improved: publishing a revision takes nobody's credit away by itself, and
gives a problem no more weight.

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
    """An accepted improvement that stands; ``gain`` is what it was published with, in its revision's unit."""

    contributor: str
    revision: int
    gain: float
    simpler: bool
    """Accepted for being shorter and as good: whatever gain was measured then is noise, or too little to count."""
    when: datetime

    @property
    def credit(self) -> float:
        """What it is worth: a shorter file that is as good counts as accepted, and brings no gain."""
        return self.gain if not self.simpler and math.isfinite(self.gain) and self.gain > 0 else 0.0


def standings(
    accepts: Iterable[Accept], tried: Mapping[str, int], seconds: Mapping[str, float], *, revision: int
) -> list[LeaderboardRow]:
    """Return one problem's row for everybody who tried or was accepted, by name; ranks are 0 until ``ranked``.

    ``tried`` and ``seconds`` are what contributors reported, by contributor: shown, and worth nothing. Gains and
    shares are those of ``revision``; shares sum to 1 where anybody has gained in it, and are 0 elsewhere. What was
    accepted is counted over all revisions, as is what was tried.
    """
    found = list(accepts)
    gains = _gains(found, revision)
    shares = _shares(gains)
    return [
        replace(row, gain=gains.get(row.contributor, 0.0), share=shares.get(row.contributor, 0.0))
        for row in _counts(found, tried, seconds)
    ]


def standings_throughout(
    accepts: Iterable[Accept], tried: Mapping[str, int], seconds: Mapping[str, float]
) -> list[LeaderboardRow]:
    """Return the same rows over all revisions of a problem, for ``across``.

    ``gain`` is ``None``; ``share`` is the mean over those revisions that anybody improved, and sums to 1 where there
    is one.
    """
    found = list(accepts)
    each = (_shares(_gains(found, revision)) for revision in {accept.revision for accept in found})
    improved = [shares for shares in each if shares]
    return [
        replace(row, share=math.fsum(shares.get(row.contributor, 0.0) for shares in improved) / max(len(improved), 1))
        for row in _counts(found, tried, seconds)
    ]


def _counts(
    accepts: Iterable[Accept], tried: Mapping[str, int], seconds: Mapping[str, float]
) -> list[LeaderboardRow]:
    """Return the rows without what the accepts were worth."""
    when: defaultdict[str, list[datetime]] = defaultdict(list)
    for accept in accepts:
        when[accept.contributor].append(accept.when)
    return [
        LeaderboardRow(
            rank=0, contributor=who, accepted=len(when.get(who, ())), gain=None, share=0.0,
            experiments=tried.get(who, 0), seconds=seconds.get(who, 0.0),
            last_accepted=max(when.get(who, ()), default=None),
        )
        for who in sorted({*tried, *when})
    ]  # fmt: skip


def _gains(accepts: Iterable[Accept], revision: int) -> dict[str, float]:
    """Return what everybody who was accepted in a revision gained in it."""
    own: defaultdict[str, list[float]] = defaultdict(list)
    for accept in accepts:
        if accept.revision == revision:
            own[accept.contributor].append(accept.credit)
    return {who: _sum(found) for who, found in own.items()}


def _shares(gains: Mapping[str, float]) -> dict[str, float]:
    """Return everybody's part of all gains; nothing where there is none."""
    largest = max(gains.values(), default=0.0)
    if largest <= 0:
        return {}
    # Beside the largest, so that the sum of very large gains is still a number.
    total = math.fsum(gain / largest for gain in gains.values())
    return {who: gain / largest / total for who, gain in gains.items()}


def _sum(gains: Iterable[float]) -> float:
    try:
        return math.fsum(gains)
    except OverflowError:
        return sys.float_info.max


def across(boards: Iterable[Iterable[LeaderboardRow]]) -> list[LeaderboardRow]:
    """Return one row for each contributor to several problems.

    ``boards`` are those of ``standings_throughout``. Gains of different metrics have no sum, so ``gain`` is
    ``None``; ``share`` is the mean over those problems that anybody improved, and sums to 1 where there is one.
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
