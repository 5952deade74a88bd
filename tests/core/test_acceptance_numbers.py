"""Distributions beside SciPy, and the strict rule's budget."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from ar_core.acceptance import deviation, interval, strict_level
from ar_core.acceptance.student import regularised_beta, t_quantile, t_tail


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 19, 99, 199, 5000])
@pytest.mark.parametrize("p", [0.001, 0.2, 0.5, 0.6, 0.95, 0.975, 0.9999])
def test_quantiles_of_students_t_agree_with_scipy(p: float, df: int) -> None:
    assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-12)


@given(st.floats(0, 50), st.integers(1, 400))
def test_tails_of_students_t_agree_with_scipy(t: float, df: int) -> None:
    assert t_tail(t, df) == pytest.approx(stats.t.sf(t, df), rel=1e-9, abs=1e-300)


@given(st.floats(0.5, 300), st.floats(0.5, 300), st.floats(0, 1))
def test_the_incomplete_beta_agrees_with_scipy(a: float, b: float, x: float) -> None:
    assert regularised_beta(a, b, x) == pytest.approx(float(special.betainc(a, b, x)), rel=1e-9, abs=1e-12)


def test_the_interval_is_scipys() -> None:
    values = [1.0, 2.5, 2.0, 4.0, 3.25]
    expected = stats.t.interval(0.95, 4, loc=2.55, scale=stats.sem(values))
    assert interval(values) == pytest.approx(expected, rel=1e-9)
    assert interval([1.0]) is None
    assert interval([2.0, 2.0]) == (2.0, 2.0)
    assert deviation(*expected, 5) == pytest.approx(stats.tstd(values), rel=1e-9)


def test_impossible_quantiles_are_refused() -> None:
    for p, df in ((0.0, 3.0), (1.0, 3.0), (0.9, 0.0)):
        with pytest.raises(ValueError, match="no quantile"):
            t_quantile(p, df)


def test_the_strict_levels_follow_the_formula_and_spend_one_budget() -> None:
    total = float(special.zeta(1.1, 10))
    assert strict_level(0.005, 7, 3) == pytest.approx(0.005 * 4 * 16**-1.1 / total, rel=1e-12)
    spent = math.fsum(strict_level(0.005, t, 0) for t in range(1, 2001))
    assert spent == pytest.approx(0.005 * (1 - float(special.zeta(1.1, 2010)) / total), rel=1e-9)
    assert strict_level(0.9, 1000, 999) <= 1.0
    with pytest.raises(ValueError, match="cannot be"):
        strict_level(0.005, 3, 3)
