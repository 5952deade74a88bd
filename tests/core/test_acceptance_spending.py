"""What a strict log spent: the sum of what its rule handed out, and what the rule hands out next."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ar_core.acceptance import strict_level
from ar_core.acceptance.spending import strict_budget
from ar_core.records import StrictBudget

ALPHA = 0.005


def test_nothing_is_spent_before_the_first() -> None:
    budget = strict_budget(ALPHA, 0, 0)
    assert budget == StrictBudget(alpha=ALPHA, trials=0, accepted=0, spent=0.0, next_level=strict_level(ALPHA, 1, 0))
    assert budget.next_evidence == 1 / strict_level(ALPHA, 1, 0)


@given(st.integers(1, 400), st.integers(0, 400))
def test_spent_are_the_levels_of_all_that_began_and_an_accept_raises_the_next(trials: int, accepted: int) -> None:
    budget, accepted = strict_budget(ALPHA, trials, accepted), min(accepted, trials)
    assert budget.spent * ALPHA == pytest.approx(sum(strict_level(ALPHA, t, 0) for t in range(1, trials + 1)))
    assert budget.next_level == strict_level(ALPHA, trials + 1, accepted)
    assert budget.next_level == pytest.approx((accepted + 1) * strict_budget(ALPHA, trials, 0).next_level)
    assert budget.spent == strict_budget(ALPHA, trials, 0).spent


@pytest.mark.parametrize("trials", [1, 10, 1000, 20_000])
def test_what_is_left_is_the_tail_of_the_series(trials: int) -> None:
    left = special.zeta(1.1, trials + 10) / special.zeta(1.1, 10)
    assert math.isclose(1 - strict_budget(ALPHA, trials, 0).spent, left, rel_tol=1e-9)


def test_it_reads_as_one_line() -> None:
    first = strict_budget(ALPHA, 1, 0)
    assert first.words == (
        "1 verification has spent 0.995 % of the α = 0.005 that all share; the next gets the level 4.48e-05 "
        "(no accept has earned anything back yet), which takes evidence e ≥ 22,324"
    )
    later = strict_budget(ALPHA, 1200, 2)
    assert later.words.startswith("1,200 verifications have spent 38.4 % of the α = 0.005")
    assert "(3 times its share, earned back by 2 accepts)" in later.words
    assert "(2 times its share, earned back by 1 accept)" in strict_budget(ALPHA, 9, 1).words
    for budget in (first, later):
        assert f"e ≥ {1 / strict_level(ALPHA, budget.trials + 1, budget.accepted):,.0f}" in budget.words
        assert "\n" not in budget.words
