"""Numbers as text: what is written is read back as what was meant."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_search.numerals import render, simpler

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, st.floats(min_value=1e-12, max_value=1e12))
def test_it_is_near_by_the_measure_of_the_step(value: float, step: float) -> None:
    value = min(max(value, -1e300), 1e300)
    back = float(render(value, whole=False, step=step))
    assert abs(back - value) <= max(0.1 * step, math.ulp(value))


@given(finite, st.booleans(), finite)
def test_it_is_json_and_keeps_its_kind(value: float, whole: bool, step: float) -> None:
    text = render(value, whole=whole, step=step)
    assert isinstance(json.loads(text), int if whole else float)


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.1234567, 0.01, "0.1235"),
        (3.0, 0.01, "3.0"),
        (1234.5678, 100.0, "1235.0"),
        (-0.0, 1.0, "0.0"),
        (0.3, 0.0, "0.3"),
    ],
)
def test_it_is_short(value: float, step: float, text: str) -> None:
    assert render(value, whole=False, step=step) == text


@pytest.mark.parametrize(("value", "digits", "simple"), [(0.0123, 1, 0.01), (0.0123, 2, 0.012), (987.0, 1, 1000.0)])
def test_simpler(value: float, digits: int, simple: float) -> None:
    assert simpler(value, digits) == simple
