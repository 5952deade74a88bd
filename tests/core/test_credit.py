"""Credit: published gains only, every share of them, whatever the order in which they came."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ar_core.credit import Accept, across, ranked, standings, standings_throughout
from ar_core.records import LeaderboardRow

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = st.sampled_from(["ada", "bob", "cy", "eve"])
GAINS = st.sampled_from([0.1, 0.2, 0.3, 1e-300, 1e300, 1.7e308, 5e-324, 0.0, -1.0]) | st.floats()
REVISIONS = st.integers(1, 3)
TIMES = st.integers(0, 9).map(lambda n: BEGIN + timedelta(days=n))


def accepts_of(gains: Any) -> Any:
    one = st.builds(Accept, contributor=PEOPLE, revision=REVISIONS, gain=gains, simpler=st.booleans(), when=TIMES)
    return st.lists(one)


ACCEPTS = accepts_of(GAINS)
TRIED = st.dictionaries(PEOPLE, st.integers(0, 10**9))
SECONDS = st.dictionaries(PEOPLE, st.floats(0, 1e9))


def accept(who: str, gain: float, revision: int = 1, *, simpler: bool = False) -> Accept:
    return Accept(contributor=who, revision=revision, gain=gain, simpler=simpler, when=BEGIN)


@given(ACCEPTS, TRIED, SECONDS, REVISIONS)
@example([accept("ada", 1.7e308), accept("ada", 1.7e308), accept("bob", 1.7e308)], {}, {}, 1)
@example([accept("ada", 5e-324)], {}, {}, 1)
def test_the_shares_are_the_whole_of_what_was_gained(accepts: Any, tried: Any, seconds: Any, revision: int) -> None:
    rows = standings(accepts, tried, seconds, revision=revision)
    whole = math.fsum(row.share for row in rows)
    if any(one.credit > 0 for one in accepts if one.revision == revision):
        assert whole == pytest.approx(1.0, abs=1e-12)
    else:
        assert whole == 0.0
    for row in rows:
        own = [one for one in accepts if one.contributor == row.contributor]
        assert row.accepted == len(own)
        assert row.gain is not None
        assert math.isfinite(row.gain)
        assert 0 <= row.share <= 1
        assert (row.share > 0) <= any(one.credit > 0 for one in own if one.revision == revision)


@given(ACCEPTS, TRIED, SECONDS, st.randoms(use_true_random=False))
def test_no_order_changes_a_digit(accepts: Any, tried: Any, seconds: Any, rng: random.Random) -> None:
    before = standings(accepts, tried, seconds, revision=1), standings_throughout(accepts, tried, seconds)
    rng.shuffle(accepts)
    tried = dict(reversed(tried.items()))
    assert (standings(accepts, tried, seconds, revision=1), standings_throughout(accepts, tried, seconds)) == before


@given(accepts_of(st.integers(-3, 1000).map(float)), TRIED, REVISIONS, st.sampled_from([0.125, 8.0]))
def test_the_unit_of_a_revision_changes_no_share(accepts: Any, tried: Any, changed: int, factor: float) -> None:
    """Not of this revision, not of another one, and not of all together, which have no gain."""
    scaled = [replace(a, gain=a.gain * factor) if a.revision == changed else a for a in accepts]
    for revision in {1, 2, 3} - {changed}:
        assert standings(scaled, tried, {}, revision=revision) == standings(accepts, tried, {}, revision=revision)
    assert standings_throughout(scaled, tried, {}) == standings_throughout(accepts, tried, {})
    assert all(row.gain is None for row in standings_throughout(accepts, tried, {}))


def test_shares_are_taken_within_each_revision() -> None:
    accepts = [accept("eve", 5.0), accept("bob", 20.0, 2), accept("eve", 60.0, 2)]

    def shares(rows: list[LeaderboardRow]) -> dict[str, float]:
        return {row.contributor: row.share for row in rows}

    assert shares(standings(accepts, {}, {}, revision=1)) == {"bob": 0.0, "eve": 1.0}
    assert shares(standings(accepts, {}, {}, revision=2)) == {"bob": 0.25, "eve": 0.75}
    assert shares(standings(accepts, {}, {}, revision=3)) == {"bob": 0.0, "eve": 0.0}
    assert shares(standings_throughout(accepts, {}, {})) == {"bob": 0.125, "eve": 0.875}


@given(ACCEPTS)
def test_a_shorter_file_is_worth_nothing(accepts: Any) -> None:
    """Taking all of them out changes no gain and no share, however they were measured."""
    gainful = [one for one in accepts if not one.simpler]
    without = {row.contributor: row for row in standings(gainful, {}, {}, revision=1)}
    for row in standings(accepts, {}, {}, revision=1):
        said = without.get(row.contributor)
        assert (row.gain, row.share) == ((said.gain, said.share) if said else (0.0, 0.0))


@given(ACCEPTS, TRIED, SECONDS)
def test_what_somebody_says_is_worth_nothing(accepts: Any, tried: Any, seconds: Any) -> None:
    """Claims are counted in ``tried``: they move neither a gain nor a share, however many they are."""
    without = {row.contributor: row for row in standings(accepts, {}, {}, revision=1)}
    for row in standings(accepts, tried, seconds, revision=1):
        said = without.get(row.contributor)
        expected = (said.accepted, said.gain, said.share) if said else (0, 0.0, 0.0)
        assert (row.accepted, row.gain, row.share) == expected


def row(who: str, accepted: int, gain: float, share: float) -> LeaderboardRow:
    return LeaderboardRow(
        rank=0, contributor=who, accepted=accepted, gain=gain, share=share, experiments=accepted + 1
    )


def test_shares_of_the_pool_are_a_mean_over_problems_that_improved() -> None:
    boards = [[row("a", 1, 10.0, 1.0), row("b", 0, 0.0, 0.0)], [row("b", 2, 3.0, 0.75), row("a", 1, 1.0, 0.25)],
              [row("c", 0, 0.0, 0.0)]]  # fmt: skip
    rows = {r.contributor: r for r in across(boards)}
    assert rows["a"].share == pytest.approx(0.625)
    assert rows["b"].share == pytest.approx(0.375)
    assert (rows["a"].accepted, rows["a"].experiments, rows["a"].gain) == (2, 4, None)


@given(st.lists(st.tuples(ACCEPTS, TRIED), max_size=4))
def test_shares_of_the_pool_are_a_whole_too(problems: Any) -> None:
    boards = [standings_throughout(accepts, tried, {}) for accepts, tried in problems]
    rows = across(boards)
    improved = any(one.credit > 0 for accepts, _ in problems for one in accepts)
    assert math.fsum(r.share for r in rows) == pytest.approx(1.0 if improved else 0.0, abs=1e-12)
    assert across(reversed(boards)) == rows
    assert all(r.gain is None for r in rows), "gains of different metrics have no sum"


ROWS = st.lists(
    st.builds(row, st.text("abcdef", min_size=1), st.integers(0, 3), st.sampled_from([0.0, 1.0, 2.5]), st.just(0.0)),
    unique_by=lambda r: r.contributor,
)


@given(rows=ROWS, order=st.sampled_from(["gain", "accepted", "recent"]))
def test_ranks_never_put_less_before_more(rows: list[LeaderboardRow], order: Any) -> None:
    found = ranked(rows, order)
    assert sorted(r.contributor for r in found) == sorted(r.contributor for r in rows)
    assert [r.rank for r in found] == sorted(r.rank for r in found)
    for place, r in enumerate(found, start=1):
        assert r.rank <= place
    if order == "gain":
        assert [r.gain for r in found] == sorted((r.gain or 0.0 for r in rows), reverse=True)
    assert found == ranked(list(reversed(rows)), order)
