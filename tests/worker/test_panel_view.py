"""The panel's pure parts: what a history of events looks like, and that no history breaks it."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ar_core.panel.foot import Foot
from ar_core.text import is_bidirectional, is_control, is_hidden
from ar_worker.panel.model import LONGEST_LINE, Run, State, begin, noted, take, told
from ar_worker.panel.view import LEAST_COLUMNS, LEAST_ROWS, summary, view
from ar_worker.rules import Phase
from ar_worker.sentences import event_sentence

RUN = Run(pool="home pool", name="ada", slots=2, seconds=3600.0)


def leased(lease: str, problem: str, box: float = 120.0, score: float = 22981.0) -> tuple[str, dict[str, object]]:
    return "leased", {"lease": lease, "problem": problem, "box": box, "parent_score": score}


def scored(lease: str, score: float, parent: float, *, claim: bool = False) -> tuple[str, dict[str, object]]:
    fields = {
        "lease": lease,
        "problem": "p",
        "score": score,
        "parent_score": parent,
        "claim": claim,
        "note": "a note",
    }
    return "scored", fields


def verdict(status: str, verified: float | None = None, explanation: str = "") -> tuple[str, dict[str, object]]:
    return "verdict", {"problem": "p", "status": status, "verified": verified, "explanation": explanation}


def after(state: State, *events: tuple[str, Mapping[str, object]], now: float) -> State:
    """Take events in as the panel does, at one moment."""
    for name, fields in events:
        state = take(state, name, fields, now)
        sentence, colour = event_sentence(name, fields)
        if sentence:
            state = told(state, f"12:00:{now - 1000:02.0f}  {sentence}", colour)
    return state


def history() -> State:
    """A run after half a minute."""
    state = noted(begin(RUN, 1000.0), phase=Phase.RUNNING, online=True)
    state = after(state, leased("l-1", "zlib-dictionary"), leased("l-2", "bin-packing", 60.0, 5.5752), now=1000.0)
    state = after(state, scored("l-1", 23100.0, 22932.0), scored("l-1", 7073.0, 22932.0, claim=True), now=1010.0)
    reported = ("reported", {"experiments": 2, "claims": ["x-1"]})
    state = after(state, reported, verdict("accepted", 7068.0), scored("l-2", 6.0, 5.41719), now=1012.0)
    return after(state, verdict("rejected", 7100.0, "Worse by 32 than the current best."), now=1030.0)


def drawn(state: State, columns: int, rows: int = 40, now: float = 1030.0) -> str:
    return "\n".join(line.plain for line in view(state, columns, rows, now)) + "\n"


def test_a_run_in_a_wide_window() -> None:
    assert drawn(history(), 101) == (
        """\
╭─ home pool · ada ─────────────────────────────────────────────────────────────────── 59:30 left ─╮
│ working  in 2 of 2 slots                                                                         │
│                                                                                                  │
│ slot  problem                   lease                       left   tried   best here    parent's │
│ 1     zlib-dictionary           ━━━━━━━━━━━━━━━━━━━······   1:30       2        7073       22932 │
│ 2     bin-packing               ━━━━━━━━━━━━━············   0:30       1           –     5.41719 │
│                                                                                                  │
│ 3 evaluations, 6/min                                     1 claim: 1 accepted, 0 held, 1 rejected │
│                                                                                                  │
│ 12:00:00  leased    zlib-dictionary: 120 s on the version that scores 22981                      │
│ 12:00:00  leased    bin-packing: 60 s on the version that scores 5.5752                          │
│ 12:00:10  better    p: 7073, its parent 22932 here (a note)                                      │
│ 12:00:12  reported  2 experiments, one of them a claim; the pool has them                        │
│ 12:00:12  verdict   p: accepted, verified 7068                                                   │
│ 12:00:30  verdict   p: rejected, verified 7100: Worse by 32 than the current best.               │
╰────────────────────────────────────────────────────────────────── Ctrl-C gives the machine back ─╯
"""
    )


def test_a_run_in_a_narrow_window() -> None:
    assert drawn(history(), 61) == (
        """\
╭─ home pool · ada ─────────────────────────── 59:30 left ─╮
│ working  in 2 of 2 slots                                 │
│                                                          │
│ problem           lease   left tried best here  parent's │
│ zlib-dictionary   ━━━━━·  1:30     2      7073     22932 │
│ bin-packing       ━━━···  0:30     1         –   5.41719 │
│                                                          │
│ 3 evaluations, 6/min      1 accepted, 0 held, 1 rejected │
│                                                          │
│ 12:00:00  leased    zlib-dictionary: 120 s on the versi… │
│ 12:00:00  leased    bin-packing: 60 s on the version th… │
│ 12:00:10  better    p: 7073, its parent 22932 here (a n… │
│ 12:00:12  reported  2 experiments, one of them a claim;… │
│ 12:00:12  verdict   p: accepted, verified 7068           │
│ 12:00:30  verdict   p: rejected, verified 7100: Worse b… │
╰────────────────────────── Ctrl-C gives the machine back ─╯
"""
    )


def test_where_rows_are_few_the_slots_remain() -> None:
    assert drawn(history(), 61, 8) == (
        """\
╭─ home pool · ada ─────────────────────────── 59:30 left ─╮
│ working  in 2 of 2 slots                                 │
│ problem           lease   left tried best here  parent's │
│ zlib-dictionary   ━━━━━·  1:30     2      7073     22932 │
│ bin-packing       ━━━···  0:30     1         –   5.41719 │
│ 3 evaluations, 6/min      1 accepted, 0 held, 1 rejected │
╰────────────────────────── Ctrl-C gives the machine back ─╯
"""
    )


def test_many_slots_are_counted_where_they_do_not_fit() -> None:
    state = noted(begin(Run(pool="p", name="n", slots=20), 0.0), phase=Phase.RUNNING, online=True)
    text = drawn(state, 61, 12, 0.0)
    assert len(text.splitlines()) == 11
    assert "… and 15 more slots" in text
    assert "left ─╮" not in text, "without an end no time is left"


def test_a_window_that_is_too_small_has_no_panel() -> None:
    assert view(history(), LEAST_COLUMNS, 40, 1030.0) == []
    assert view(history(), 80, LEAST_ROWS, 1030.0) == []
    assert view(history(), LEAST_COLUMNS + 1, LEAST_ROWS + 1, 1030.0) != []


@pytest.mark.parametrize(
    ("phase", "online", "events", "words"),
    [
        (Phase.RUNNING, False, [], "waiting  connecting to the pool"),
        (Phase.RUNNING, True, [], "waiting  asked the pool for work"),
        (Phase.RUNNING, True, [("waiting", {"reasons": ["paused"]})], "waiting  the problems that fit are paused"),
        (Phase.RUNNING, True, [("waiting", {"reasons": ["paused"]}), leased("l", "p")], "working  in 1 of 2 slots"),
        (
            Phase.RUNNING,
            False,
            [leased("l", "p"), ("waiting", {"reasons": ["no_connection"]})],
            "working  no connection to the pool; trying again",
        ),
        (Phase.FINISHING, True, [leased("l", "p")], "finishing  no new work; what runs is completed"),
        (Phase.SETTLING, True, [], "finishing  waits for receipts and verdicts"),
        (Phase.STOPPING, True, [], "stopping  rooms are killed, leases go back"),
    ],
)
def test_the_first_words_say_what_goes_on(phase: Phase, online: bool, events: list[Any], words: str) -> None:
    state = begin(RUN, 0.0)
    if online:
        state = noted(state, phase=Phase.RUNNING, online=True)
    state = noted(after(state, *events, now=0.0), phase=phase, online=online)
    assert f"│ {words}" in drawn(state, 100, now=0.0)


def test_a_pool_that_is_back_is_not_called_away() -> None:
    state = noted(begin(RUN, 0.0), phase=Phase.RUNNING, online=True)
    state = take(noted(state, phase=Phase.RUNNING, online=False), "waiting", {"reasons": ["no_connection"]}, 1.0)
    assert "no connection" in drawn(state, 100, now=1.0)
    assert "no connection" not in drawn(noted(state, phase=Phase.RUNNING, online=True), 100, now=1.0)


def test_a_lease_that_came_early_begins_when_a_slot_is_free() -> None:
    state = begin(Run(pool="p", name="n", slots=1), 0.0)
    state = after(state, leased("l-1", "first", 10.0), now=0.0)
    state = after(state, leased("l-2", "second", 10.0), now=7.0)
    assert [lease and lease.problem for lease in state.slots] == ["first"]
    state = after(state, ("released", {"lease": "l-1", "problem": "first", "reason": "the box is over"}), now=11.0)
    assert [(lease.problem, lease.begun) for lease in state.slots if lease] == [("second", 11.0)]
    assert state.next == ()


def test_the_best_is_what_was_claimed_and_what_a_better_version_leaves_of_it() -> None:
    def best(*events: tuple[str, Mapping[str, object]]) -> float | None:
        state = after(begin(RUN, 0.0), leased("l", "p"), *events, now=0.0)
        assert state.slots[0] is not None
        return state.slots[0].best

    assert best(scored("l", 4.0, 10.0)) is None, "whether less is better is not known before a claim"
    assert best(scored("l", 8.0, 10.0, claim=True), scored("l", 3.0, 10.0)) == 8.0
    assert best(scored("l", 8.0, 10.0, claim=True), scored("l", 9.5, 9.0)) == 8.0, "it beats the new parent too"
    assert best(scored("l", 8.0, 10.0, claim=True), scored("l", 9.5, 7.0)) is None
    assert best(scored("l", 12.0, 10.0, claim=True), scored("l", 9.5, 13.0)) is None


def test_the_rate_is_that_of_the_last_minute() -> None:
    state = begin(RUN, 0.0)
    for second in range(0, 240, 2):
        state = after(state, leased("l", "p"), scored("l", 1.0, 1.0), scored("l", 1.0, 1.0), now=float(second))
    assert state.experiments == 240
    assert state.rate(239.0) == pytest.approx(1.0, rel=0.05)
    assert state.rate(400.0) == 0.0
    assert len(state.recent) <= 61


def test_the_summary_counts() -> None:
    assert summary(history()) == "in all    3 evaluations, 1 claim: 1 accepted, 0 held, 1 rejected"


# --- Whatever comes

TEXT = st.text(max_size=80) | st.sampled_from(
    ["\x1b[2J\x1b]0;x\x07", "a\rb\nc\td", "\u202edesrever", "é" * 90, "字" * 90]
)
NUMBER = st.floats() | st.integers(-(10**18), 10**18)
NAMES = ("leased", "proposed", "scored", "reported", "verdict", "waiting", "released", "stopped", "joined", "unheard")
LEASE = st.sampled_from(["l-1", "l-2", "l-3"])


def _fields(
    value: st.SearchStrategy[object], number: st.SearchStrategy[object]
) -> st.SearchStrategy[dict[str, object]]:
    names = ("problem", "reason", "note", "explanation", "status")
    numbers = ("box", "score", "parent_score", "verified", "experiments")
    return st.fixed_dictionaries(
        {
            "lease": LEASE,
            **dict.fromkeys(names, value),
            **dict.fromkeys(numbers, number),
            "claim": st.booleans(),
            "claims": st.lists(TEXT, max_size=2),
            "reasons": st.lists(TEXT, max_size=2),
        }
    )


PROPER = st.tuples(st.sampled_from(NAMES), _fields(TEXT, NUMBER | st.none()))
JUNK = st.none() | NUMBER | st.booleans() | st.just(10**400) | TEXT | st.lists(TEXT, max_size=2)
STRANGE = st.tuples(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(["lease", "problem", "box", "score",
    "parent_score", "claim", "claims", "reasons", "status"]), JUNK))  # fmt: skip
STEPS = st.lists(st.tuples(PROPER, st.floats(0, 200), st.sampled_from(Phase), st.booleans()), max_size=30)


def assert_harmless(state: State, columns: int, rows: int, now: float) -> None:
    lines = view(state, columns, rows, now)
    assert not lines or len(lines) < rows
    assert {cell_len(line.plain) for line in lines} <= {min(columns - 1, 120)}
    for line in lines:
        assert not any(is_control(c) or is_bidirectional(c) or is_hidden(c) or c in "\t\r\n" for c in line.plain)
    assert Foot(colour=False).draw(lines, columns).count("\x1b") == (5 + len(lines) if lines else 0)


@given(TEXT, TEXT, st.integers(0, 8), STEPS, st.integers(1, 150), st.integers(1, 60))
def test_no_history_breaks_it_and_nothing_that_a_terminal_obeys_comes_out(
    pool: str, name: str, slots: int, steps: list[Any], columns: int, rows: int
) -> None:
    now = 1000.0
    state = begin(Run(pool=pool, name=name, slots=slots, seconds=60.0, max_experiments=9), now)
    for (event, fields), seconds, phase, online in steps:
        now += seconds
        state = noted(take(state, event, fields, now), phase=phase, online=online)
        state = told(state, "12:00:00  " + event_sentence(event, fields)[0])
        assert all(len(line.text) <= LONGEST_LINE for line in state.lines)
    assert_harmless(state, columns, rows, now)
    assert_harmless(state, 60, 24, now)
    assert "\x1b" not in summary(state)


@given(st.lists(STRANGE, max_size=20))
def test_events_without_their_fields_are_no_trouble_either(events: list[Any]) -> None:
    state = begin(RUN, 0.0)
    for event, fields in events:
        state = take(state, event, fields, 1.0)
    assert_harmless(state, 100, 30, 1.0)
