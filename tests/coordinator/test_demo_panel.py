"""The demo's panel: what cards and counts look like, that nothing breaks it, and how volunteers' logs are read."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ar_coordinator.demo import stop_signals
from ar_coordinator.demo_model import State, begin, counted, looked, read_card
from ar_coordinator.demo_view import view
from ar_coordinator.demo_volunteers import Followed
from ar_core.text import is_bidirectional, is_control, is_hidden


def card(name: str, best: float, accepted: int, tried: int, **more: Any) -> dict[str, Any]:
    return {
        "problem": name, "unit": "B", "decimals": 0, "baseline": 22981.0, "best": best, "accepted": accepted,
        "experiments": tried, **more,
    }  # fmt: skip


def history() -> State:
    state = begin("http://127.0.0.1:40001", ("zlib-dictionary", "bin-packing"), ("ada", "grace"), 100.0, 60.0)
    for second in range(30):
        now = 101.0 + second
        step = min(second // 5, 4)
        first = card("zlib-dictionary", 22981.0 - 4000 * step, step, 10 * second)
        state = looked(state, read_card(first), now)
        packing = card("bin-packing", 5.5752, 0, second, baseline=5.5752, unit="%", decimals=4)
        state = looked(state, read_card(packing), now)
        state = counted(state, "ada", 10 * second, "zlib-dictionary", now)
    return state


def drawn(state: State, columns: int, rows: int = 40, now: float = 130.0) -> str:
    return "\n".join(line.plain for line in view(state, columns, rows, now)) + "\n"


def test_the_demo_in_a_wide_window() -> None:
    assert drawn(history(), 101) == (
        """\
╭─ demo pool ────────────────────────────────────────────────────────────────────────── 0:30 left ─╮
│ zlib-dictionary                                                          4 accepted of 290 tried │
│   22981 → 6981 B  -69.6 %       ██████▆▆▆▆▆▅▅▅▅▅▅▃▃▃▃▃▁▁▁▁▁▁▁▁▁▁                                 │
│ bin-packing                                                               0 accepted of 29 tried │
│   5.5752 → 5.5752 %  +0.0 %     ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁                                 │
│                                                                                                  │
│ ada     290 tried, 10/s                                                          zlib-dictionary │
│ grace   0 tried                                                                                  │
│                                                                                                  │
│   6.0 s  zlib-dictionary: 22981 → 18981 B (-17.4 %), 1 accepted of 50 tried                      │
│  11.0 s  zlib-dictionary: 22981 → 14981 B (-34.8 %), 2 accepted of 100 tried                     │
│  16.0 s  zlib-dictionary: 22981 → 10981 B (-52.2 %), 3 accepted of 150 tried                     │
│  21.0 s  zlib-dictionary: 22981 → 6981 B (-69.6 %), 4 accepted of 200 tried                      │
╰───────────────────────────────────────────────────────────────────────── http://127.0.0.1:40001 ─╯
"""
    )


def test_the_demo_in_a_narrow_window() -> None:
    assert drawn(history(), 61) == (
        """\
╭─ demo pool ────────────────────────────────── 0:30 left ─╮
│ zlib-dictionary                  4 accepted of 290 tried │
│   22981 → 6981 B  -69.6 %       ██▆▆▅▅▃▃▁▁▁▁             │
│ bin-packing                       0 accepted of 29 tried │
│   5.5752 → 5.5752 %  +0.0 %     ▁▁▁▁▁▁▁▁▁▁▁▁             │
│                                                          │
│ ada     290 tried, 10/s                  zlib-dictionary │
│ grace   0 tried                                          │
│                                                          │
│   6.0 s  zlib-dictionary: 22981 → 18981 B (-17.4 %), 1 … │
│  11.0 s  zlib-dictionary: 22981 → 14981 B (-34.8 %), 2 … │
│  16.0 s  zlib-dictionary: 22981 → 10981 B (-52.2 %), 3 … │
│  21.0 s  zlib-dictionary: 22981 → 6981 B (-69.6 %), 4 a… │
╰───────────────────────────────── http://127.0.0.1:40001 ─╯
"""
    )


def test_a_low_window_keeps_the_problems() -> None:
    text = drawn(history(), 61, 11)
    assert len(text.splitlines()) == 10
    assert "zlib-dictionary" in text
    assert "bin-packing" in text
    assert view(history(), 61, 9, 130.0) == []


def test_a_card_is_a_line_when_its_best_was_accepted() -> None:
    state = begin("http://x", ("p",), (), 0.0, 60.0)
    state = looked(state, read_card(card("p", 22981.0, 0, 5)), 1.0)
    assert state.lines == ()
    state = looked(state, read_card(card("p", 11490.5, 1, 9)), 2.0)
    state = looked(state, read_card(card("p", 11490.5, 1, 12)), 3.0)
    assert state.lines == ("  2.0 s  p: 22981 → 11490 B (-50.0 %), 1 accepted of 9 tried",)
    assert state.problems[0].best_at([0.5, 2.0, 9.0]) == [22981.0, 11490.5, 11490.5]


TEXT = st.text(max_size=60) | st.sampled_from(["\x1b[2J", "\u202eabc", "a\nb", "字" * 70])
CARD = st.builds(
    card, st.sampled_from(["p", "q"]), st.floats(), st.integers(0, 9), st.integers(0, 10**9), unit=TEXT,
    baseline=st.floats(), decimals=st.integers(0, 12),
)  # fmt: skip


@given(st.lists(st.tuples(CARD, st.floats(0, 90)), max_size=20), TEXT, st.integers(1, 150), st.integers(1, 40))
def test_nothing_breaks_it_and_nothing_that_a_terminal_obeys_comes_out(
    cards: list[Any], problem: str, columns: int, rows: int
) -> None:
    state = begin("http://127.0.0.1:1", ("p", "q"), ("ada",), 0.0, 60.0)
    now = 0.0
    for one, seconds in cards:
        now += seconds
        state = looked(state, read_card(one), now)
        state = counted(state, "ada", int(now), problem, now)
    lines = view(state, columns, rows, now)
    assert not lines or len(lines) < rows
    assert {cell_len(line.plain) for line in lines} <= {min(columns - 1, 120)}
    for line in lines:
        assert not any(is_control(c) or is_bidirectional(c) or is_hidden(c) or c in "\t\r\n" for c in line.plain)


def test_a_log_is_followed_line_by_line(tmp_path: Path) -> None:
    log = tmp_path / "ada.log"
    followed = Followed(log)
    followed.look()
    assert followed.tried == 0, "it is not there yet"
    scored = json.dumps({"event": "scored", "problem": "p"}).encode() + b"\n"
    with log.open("ab", buffering=0) as file:
        file.write(b'{"event":"leased"}\nnot JSON\n[1]\n' + scored + scored[:9])
        followed.look()
        assert (followed.tried, followed.problem) == (1, "p")
        file.write(scored[9:] + scored)
        followed.look()
        followed.look()
    assert followed.tried == 3


def test_a_signal_that_comes_while_the_demo_looks_at_its_own_stop_is_heard() -> None:
    with stop_signals() as stop:
        with stop._cond:  # type: ignore[attr-defined]
            # As in the middle of `stop.wait`, whose lock the thread that the handler interrupts holds.
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(60)
