"""Credit: published gains only, every share of them, whatever the order in which they came."""

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ar_core.credit import Accept, across, ranked, standings
from ar_core.records import LeaderboardRow

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = st.sampled_from(["ada", "bob", "cy", "eve"])
GAINS = st.sampled_from([0.1, 0.2, 0.3, 1e-300, 1e300, 1.7e308, 5e-324, 0.0, -1.0]) | st.floats()
ACCEPTS = st.lists(
    st.builds(Accept, contributor=PEOPLE, gain=GAINS, when=st.integers(0, 9).map(lambda n: BEGIN + timedelta(days=n)))
)
TRIED = st.dictionaries(PEOPLE, st.integers(0, 10**9))
SECONDS = st.dictionaries(PEOPLE, st.floats(0, 1e9))


def accept(who: str, gain: float) -> Accept:
    return Accept(contributor=who, gain=gain, when=BEGIN)


@given(ACCEPTS, TRIED, SECONDS)
@example([accept("ada", 1.7e308), accept("ada", 1.7e308), accept("bob", 1.7e308)], {}, {})
@example([accept("ada", 5e-324)], {}, {})
def test_the_shares_are_the_whole_of_what_was_gained(accepts: Any, tried: Any, seconds: Any) -> None:
    rows = standings(accepts, tried, seconds)
    whole = math.fsum(row.share for row in rows)
    if any(one.credit > 0 for one in accepts):
        assert whole == pytest.approx(1.0, abs=1e-12)
    else:
        assert whole == 0.0
    for row in rows:
        own = [one for one in accepts if one.contributor == row.contributor]
        assert row.accepted == len(own)
        assert row.gain is not None
        assert math.isfinite(row.gain)
        assert 0 <= row.share <= 1
        assert (row.share > 0) <= any(one.credit > 0 for one in own)


@given(ACCEPTS, TRIED, SECONDS, st.randoms(use_true_random=False))
def test_no_order_changes_a_digit(accepts: Any, tried: Any, seconds: Any, rng: random.Random) -> None:
    before = standings(accepts, tried, seconds)
    rng.shuffle(accepts)
    assert standings(accepts, dict(reversed(tried.items())), seconds) == before


@given(ACCEPTS, TRIED, SECONDS)
def test_what_somebody_says_is_worth_nothing(accepts: Any, tried: Any, seconds: Any) -> None:
    """Claims are counted in ``tried``: they move neither a gain nor a share, however many they are."""
    without = {row.contributor: row for row in standings(accepts, {}, {})}
    for row in standings(accepts, tried, seconds):
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
    boards = [standings(accepts, tried, {}) for accepts, tried in problems]
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
