"""A scorer's output becomes one number, or none: the layouts of the format page and everything that is not one."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ar_core.metric import (
    LARGEST,
    MAX_SECONDARY_METRICS,
    METRIC_NAME,
    Direction,
    MinGain,
    format_number,
    improvement,
    read_score,
)  # fmt: skip

finite = st.floats(allow_nan=False, allow_infinity=False)
NOISE = "epoch 1 of 3\nloss went down\n\n"


@pytest.mark.parametrize(("stdout", "score"), [
    ("sum_radii: 2.5412\n", 2.5412),
    ("METRIC sum_radii=2.5412\n", 2.5412),
    ("METRIC  sum_radii = 2.5412", 2.5412),
    ("  sum_radii: +2.5e0  \r\n", 2.5),
    ('{"sum_radii": 2.5412, "size_bytes": 811}', 2.5412),
    ('{"score": 1.5}', 1.5),
    ('{"combined_score": 1.5}', 1.5),
    ('{"combined_score": 1.5, "score": 2.5}', 2.5),
    ('{"score": 1.5, "sum_radii": 2.5}', 2.5),
    ('{"sum_radii": 3}', 3.0),
    ("sum_radii: .5", 0.5),
    ("sum_radii: 5.", 5.0),
    ("sum_radii: -0", 0.0),
    ("sum_radii: 1e-320", 1e-320),
    # The last match wins, whatever its layout.
    ("sum_radii: 1\nsum_radii: 2", 2.0),
    ("sum_radii: 1\nMETRIC sum_radii=3\n", 3.0),
    ('sum_radii: 1\n{"sum_radii": 2}', 2.0),
    ('sum_radii: 1\n{"score": 2}', 2.0),
    ('{"sum_radii": 2}\nsum_radii: 1', 1.0),
    ('{"sum_radii": 1, "sum_radii": 2}', 2.0),
    ("sum_radii: nan\nsum_radii: 2", 2.0),
    (NOISE + "sum_radii: 2\nall done, thank you\n", 2.0),
])  # fmt: skip
def test_the_layouts_of_the_format_page(stdout: str, score: float) -> None:
    assert read_score(stdout, "sum_radii").score == score


@pytest.mark.parametrize("stdout", [
    "", "\n\n", "2.5\n", "sum_radii 2.5", "radii: 2.5", "sum_radii: ", "sum_radii: two", "sum_radii: 1,5",
    "sum_radii: 1 2", "sum_radii: nan", "sum_radii: inf", "sum_radii: -Infinity",
    "sum_radii: 1e999", "sum_radii: 0x10", "sum_radii: 1e151", "sum_radii: -1.7e308",
    "sum_radii: 1_000", "sum_radii: True", 'sum_radii: "1"', "sum_radii: ٣", "score: 2.5", "METRIC score=2.5",
    "print sum_radii: 2.5", "sum_radii: 2\nsum_radii: nan",
    '{"sum_radii": NaN}', '{"sum_radii": Infinity}', '{"sum_radii": true}', '{"sum_radii": "2.5"}',
    '{"sum_radii": null}', '{"sum_radii": [2.5]}', '{"sum_radii": {"sum_radii": 2.5}}', '[{"sum_radii": 2.5}]',
    '{"nested": {"sum_radii": 2.5}}', '{"sum_radii": 1' + "0" * 400 + "}", '{"sum_radii": ' + "9" * 5000 + "}",
    '{"sum_radii": 2.5}\nbye', '{"sum_radii": null, "score": 2.5}', 'sum_radii: 1\n{"sum_radii": NaN}',
    "{" * 3000, '{"sum_radii": ' + "[" * 3000 + "]" * 3000 + "}", '{"a": 1, "sum_radii": 2' + " " * 70000 + "}",
])  # fmt: skip
def test_what_is_no_score(stdout: str) -> None:
    reading = read_score(stdout, "sum_radii")
    assert reading.score is None
    assert reading.problem
    assert reading.secondary == {}


def test_two_numbers_in_one_value_are_not_one_number() -> None:
    assert (
        read_score('{"sum_radii": [1, 2]}', "sum_radii").problem
        == "the scorer's 'sum_radii' is not one finite number, at most 1e+150"
    )


@pytest.mark.parametrize(("value", "inside"), [
    ("0", True), ("3", True), ("-0.0", True), ("3.0000000001", False), ("-1e-12", False), ("1e100", False),
])  # fmt: skip
def test_the_range_is_closed_and_outside_of_it_is_no_score(value: str, *, inside: bool) -> None:
    reading = read_score(f"x: {value}", "x", 0.0, 3.0)
    assert (reading.score is not None) is inside
    assert inside or "outside the range" in reading.problem
    assert read_score("x: 7", "x", low=8.0).score is None
    assert read_score("x: 7", "x", high=6.0).score is None


def test_extra_numbers_are_secondary_metrics() -> None:
    stdout = (
        'loss: 0.25\nname: nobody\nx: 9\n{"x": 1, "size_bytes": 811, "ok": true, "text": "a", "bad": NaN, "score": 5}'
    )
    assert read_score(stdout, "x").secondary == {"loss": 0.25, "size_bytes": 811.0}


def test_names_that_no_guard_can_ask_for_are_left_out() -> None:
    printed = json.dumps({"x": 1, "\ud800": 2, "a b": 3, "\x1b[31m": 4, "y" * 65: 5, "ok": 6})
    assert read_score(printed, "x").secondary == {"ok": 6.0}


def test_secondary_metrics_are_bounded() -> None:
    printed = json.dumps({"x": 1, **{f"m{i}": i for i in range(1000)}})
    assert len(read_score(printed, "x").secondary) == MAX_SECONDARY_METRICS


@given(st.floats(-LARGEST, LARGEST))
def test_a_number_printed_in_full_comes_back(value: float) -> None:
    for line in (f"x: {value!r}", f"METRIC x={value!r}", json.dumps({"x": value})):
        assert read_score(NOISE + line, "x").score == value


@given(
    st.text()
    | st.lists(st.sampled_from(["x", ":", "=", "1", "\n", " ", "{", "}", '"', "METRIC ", "nan"])).map("".join)
)
@example("x: 1\x0bx: 2")
def test_whatever_is_printed_is_one_finite_number_or_none(stdout: str) -> None:
    reading = read_score(stdout, "x", -10.0, 10.0)
    assert (reading.score is None) == bool(reading.problem)
    if reading.score is not None:
        assert math.isfinite(reading.score)
        assert -10.0 <= reading.score <= 10.0
    assert all(math.isfinite(value) and METRIC_NAME.fullmatch(name) for name, value in reading.secondary.items())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
)


@given(st.dictionaries(st.sampled_from(["x", "score", "combined_score", "y", "\ud800"]), values))
def test_whatever_json_is_printed_is_one_finite_number_or_none(value: dict[str, object]) -> None:
    reading = read_score(json.dumps(value), "x")
    key = next((key for key in ("x", "score", "combined_score") if key in value), None)
    wanted = value.get(key) if key else None
    if type(wanted) in {int, float} and abs(float(wanted)) <= LARGEST:  # type: ignore[arg-type]
        assert reading.score == float(wanted)  # type: ignore[arg-type]
    else:
        assert reading.score is None


@given(finite, finite)
def test_improvement_is_above_zero_exactly_for_the_better_score(new: float, old: float) -> None:
    assert (improvement(Direction.MAXIMIZE, new, old) > 0) == (new > old)
    assert (improvement(Direction.MINIMIZE, new, old) > 0) == (new < old)


@pytest.mark.parametrize(("value", "decimals", "shown"), [
    (2.50, 6, "2.5"), (2.0, 6, "2"), (-0.0, 3, "0"), (-0.0004, 3, "0"), (1234567.0, 0, "1234567"),
    (0.1 + 0.2, 9, "0.3"),
    (100.0, 0, "100"), (1e-7, 6, "0"), (-2.5, 1, "-2.5"),
    (999999999999999.0, 2, "999999999999999"), (1e15, 2, "1e+15"), (1e308, 6, "1e+308"), (-1.5e300, 17, "-1.5e+300"),
    (12345678901234567.0, 0, "1.23457e+16"), (5e-324, 17, "0"),
])  # fmt: skip
def test_numbers_are_shown_without_trailing_zeros(value: float, decimals: int, shown: str) -> None:
    assert format_number(value, decimals) == shown


@given(finite, st.integers(0, 17))
def test_a_shown_number_is_the_number_to_its_decimals(value: float, decimals: int) -> None:
    shown = format_number(value, decimals)
    assert shown != "-0"
    assert len(shown) <= 36
    if abs(value) < 1e15:
        assert "." not in shown or not shown.endswith(("0", "."))
        assert float(shown) == float(f"{value:.{decimals}f}")
    else:
        assert float(shown) == pytest.approx(value, rel=1e-5)


def test_a_gain_is_shown_as_it_was_written() -> None:
    assert str(MinGain(value=0.01, relative=True)) == "1%"
    assert str(MinGain(value=1e-6)) == "1e-06"


def test_unknown_directions_raise() -> None:
    with pytest.raises(ValueError, match="write maximize or minimize"):
        Direction.parse("sideways")
