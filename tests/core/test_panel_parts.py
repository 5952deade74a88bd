"""The parts of a live panel: exact widths, frames, bars, curves, clocks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from ar_core.panel.frame import fit, framed, spread
from ar_core.panel.marks import bar, curve
from ar_core.panel.words import clean, clock, per_second

ANY_TEXT = st.text(max_size=60).map(clean)


def test_a_frame_has_words_in_its_edges() -> None:
    rows = framed(["one", Text("far too long for this")], title="pool", right="0:41 left", below="hint", width=24)
    assert [row.plain for row in rows] == [
        "╭─ pool ─── 0:41 left ─╮",
        "│ one                  │",
        "│ far too long for th… │",
        "╰─────────────── hint ─╯",
    ]


def test_words_that_do_not_fit_an_edge_are_cut_or_left_out() -> None:
    assert framed([], title="a long name", right="0:41 left", width=20)[0].plain == "╭─ a long name ────╮"
    assert framed([], title="a very long name indeed", width=20)[0].plain == "╭─ a very long na…─╮"


@given(ANY_TEXT, ANY_TEXT, st.integers(0, 80))
def test_a_line_has_its_width_whatever_it_says(left: str, right: str, width: int) -> None:
    assert cell_len(fit(left, width).plain) == width
    assert cell_len(fit(left, width, right=True).plain) == width
    assert cell_len(spread(left, right, width).plain) == width
    for row in framed([left], title=left, right=right, below=right, width=width + 4):
        assert cell_len(row.plain) == width + 4


def test_a_bar_shows_what_is_left() -> None:
    assert bar(1.0, 8) == ("━" * 8, "")
    assert bar(0.5, 8) == ("━" * 4, "·" * 4)
    assert bar(0.001, 8) == ("━", "·" * 7), "a little is not nothing"
    assert bar(0.0, 8) == ("", "·" * 8)
    assert bar(math.nan, 3) == bar(-1.0, 3) == ("", "···")
    assert bar(7.0, 3) == ("━━━", "")
    assert bar(0.5, 0) == bar(0.5, -4) == ("", "")


def test_a_curve_falls_as_the_values_do() -> None:
    assert curve([8, 7, 6, 5, 4, 3, 2, 1], 20) == "█▇▆▅▄▃▂▁"
    assert curve([1, 1, 1], 20) == "▁▁▁"
    assert curve([], 20) == curve([1, 2], 0) == curve([math.nan], 9) == ""
    assert curve([-1e308, 1e308, math.inf], 9) == "▁█"


@given(st.lists(st.floats(), max_size=200), st.integers(-2, 50))
def test_a_curve_never_exceeds_its_width(values: list[float], width: int) -> None:
    assert len(curve(values, width)) <= max(0, width)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0:00"), (-5, "0:00"), (0.2, "0:01"), (41, "0:41"), (711.5, "11:52"), (7390, "2:03:10"), (math.nan, "–")],
)
def test_a_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0, "0/h"), (12.34, "12.3/s"), (1, "1/s"), (0.5, "30/min"), (0.001, "3.6/h"), (4321.0, "4321/s")],
)
def test_a_rate(rate: float, words: str) -> None:
    assert per_second(rate) == words


def test_strangers_text_is_one_harmless_line() -> None:
    assert clean("a\x1b[31m\r\nb\tc  d\u202e\u200b\x9b") == "a[31m b c  d"
    assert clean("x" * 50, 10) == "x" * 9 + "…"
