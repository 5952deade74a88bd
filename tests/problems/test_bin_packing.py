"""The packing table: what it scores, how it packs, and what is no table."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

FOLDER = Path(__file__).resolve().parents[2] / "problems" / "bin-packing"
SCORER = runpy.run_path(str(FOLDER / "score.py"), run_name="imported")
CAPACITY = 150


@pytest.fixture(scope="module")
def room(open_room: Callable[[str], Any]) -> Any:
    return open_room("bin-packing")


@pytest.mark.parametrize("hidden", [False, True])
def test_better_is_better_and_worse_is_worse(room: Any, hidden: bool) -> None:
    start = room.score(room.start, hidden=hidden).score["excess_percent"]
    better = room.score(room.candidates / "better.json", hidden=hidden).score["excess_percent"]
    worse = room.score(room.candidates / "worse.json", hidden=hidden).score["excess_percent"]
    best_fit = room.candidate(json.dumps([-units for units in range(151)]).encode())
    assert 5.0 < start < 6.0
    assert 4.5 < room.score(best_fit, hidden=hidden).score["excess_percent"] < start
    assert better < 3.4
    assert 140 < worse < 160


def test_only_the_table_decides(room: Any) -> None:
    copy = room.candidate(room.start.read_bytes())
    assert room.score(room.start, AR_SEED="1") == room.score(copy, hash_seed="12345", AR_SEED="x", AR_RUN_SEED="y")
    assert room.score(room.start).score != room.score(room.start, hidden=True).score


def test_short_tables_and_scaled_tables_mean_the_same(room: Any) -> None:
    start = room.score(room.start)
    assert room.score(room.candidate(b"[0]")) == start
    assert room.score(room.candidate(b" [-0.0, 0e5] \n")) == start
    assert room.score(room.candidate(json.dumps([1000] * 151).encode())) == start


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[1, 2",
        b"[1,, 2]",
        b"[.5]",
        b"[01]",
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e400]",
        b"[1e10]",
        b"[" + b"9" * 400 + b"]",
        b"[" + b"9" * 10_000 + b"]",
        b"[" + b"9" * 10_000_000 + b"]",
        b"[true]",
        b"[null]",
        b'["1"]',
        b"[[1]]",
        b"[" * 8000 + b"]" * 8000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"priority": [1]}',
        b"1",
        b"[1] [2]",
        b"\xff\xfe[1]",
        b"\xef\xbb\xbf[1]",
        b"[1]\x00",
        "[１]".encode(),
        json.dumps([0.0] * 152).encode(),
    ],
    ids=lambda content: repr(content[:16]),
)
def test_what_is_no_table_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "priority.json"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        SCORER["read_priorities"](path)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("content", [b"", b"[NaN]", b"[" * 100_000, b"[" + b"9" * 10_000 + b"]", b"\xff"])
def test_a_refusal_is_one_sentence(room: Any, refused: Callable[[Any], None], content: bytes) -> None:
    refused(room.score(room.candidate(content)))


def test_a_missing_file_is_refused(room: Any, refused: Callable[[Any], None], tmp_path: Path) -> None:
    refused(room.score(tmp_path / "nothing"))


# Few sizes, so that exact fits and gaps of just the smallest size come up often.
SIZES = st.sampled_from([20, 30, 40, 50, 65, 100]) | st.integers(20, 100)


def pack_by_the_book(items: list[int], priorities: list[float]) -> int:
    """Pack as program.md says, without any shortcut, and count the bins."""
    free: list[int] = []
    for item in items:
        places = [*(index for index, units in enumerate(free) if units >= item), len(free)]
        units = [*free, CAPACITY]
        chosen = max(places, key=lambda place: (priorities[units[place] - item], -place))
        if chosen == len(free):
            free.append(CAPACITY)
        free[chosen] -= item
        assert free[chosen] >= 0
    return len(free)


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(SIZES, min_size=1, max_size=60),
    priorities=st.lists(st.integers(-3, 3).map(float), min_size=151, max_size=151),
)
@example(items=[100, 30, 20], priorities=[0.0] * 151)
def test_the_scorer_packs_by_the_book(items: list[int], priorities: list[float]) -> None:
    bins = SCORER["bins_used"](items, CAPACITY, priorities)
    assert bins == pack_by_the_book(items, priorities)
    assert -(-sum(items) // CAPACITY) <= bins <= len(items)


@given(content=st.binary(max_size=60) | st.text(alphabet="[]0123456789.,eE+- \n", max_size=60).map(str.encode))
def test_any_bytes_are_numbers_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "priority"
    path.write_bytes(content)
    try:
        numbers = SCORER["read_priorities"](path)
    except ValueError:
        return
    assert numbers == json.loads(content)
    assert all(type(number) is float and abs(number) <= 1e9 for number in numbers)
