"""The preset dictionary: what it scores, and what is no dictionary."""

import re
import runpy
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

FOLDER = Path(__file__).resolve().parents[2] / "problems" / "zlib-dictionary"
SCORER = runpy.run_path(str(FOLDER / "score.py"), run_name="imported")


@pytest.fixture(scope="module")
def room(open_room: Callable[[str], Any]) -> Any:
    return open_room("zlib-dictionary")


@pytest.mark.parametrize("hidden", [False, True])
def test_better_is_better_and_worse_is_worse(room: Any, hidden: bool) -> None:
    start = room.score(room.start, hidden=hidden).score["bytes"]
    better = room.score(room.candidates / "better.txt", hidden=hidden).score["bytes"]
    worse = room.score(room.candidates / "worse.txt", hidden=hidden).score["bytes"]
    assert 20_000 < start < 25_500
    assert better < 5_600
    assert start + 5 < worse < 26_000


def test_the_hidden_messages_are_others(room: Any) -> None:
    assert room.score(room.start).score != room.score(room.start, hidden=True).score


def test_only_the_dictionary_decides(room: Any) -> None:
    copy = room.candidate(room.start.read_bytes())
    first = room.score(room.start, AR_SEED="1", AR_RUN_SEED="2")
    assert first == room.score(copy, hash_seed="12345", AR_SEED="x", AR_RUN_SEED="y")
    assert re.match(r"METRIC bytes=[0-9]+\n", first.out)


def test_the_bytes_are_those_of_streams_that_inflate_again(room: Any) -> None:
    dictionary = (room.candidates / "better.txt").read_bytes()
    message = (FOLDER / "data" / "messages.txt").read_bytes().splitlines()[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -12, 8, zdict=dictionary)
    packed = packer.compress(message) + packer.flush()
    assert zlib.decompressobj(-12, zdict=dictionary).decompress(packed) == message
    assert SCORER["deflated_size"](message, dictionary) == len(packed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a" * 2049,
        b"{" * 10_000_000,
        b"\xff\xfe\x00binary",
        b"text\x00text",
        b"\x1b[2Jtext",
        "text\x85text".encode(),
    ],
    ids=["empty", "one-too-many", "huge", "not-utf-8", "nul", "escape", "c1-control"],
)
def test_what_is_no_dictionary_is_refused(room: Any, refused: Callable[[Any], None], content: bytes) -> None:
    refused(room.score(room.candidate(content)))


def test_a_missing_file_is_refused(room: Any, refused: Callable[[Any], None], tmp_path: Path) -> None:
    refused(room.score(tmp_path / "nothing"))


def test_a_printed_score_is_only_text(room: Any) -> None:
    fake = room.candidate(b'{"bytes": 160}\nbytes: 160\nMETRIC bytes=160\n')
    assert room.score(fake).score["bytes"] > 20_000


def test_exactly_the_limit_is_allowed(room: Any) -> None:
    assert room.score(room.candidate("é".encode() * 1024)).score["dictionary_bytes"] == 2048


@given(content=st.binary(max_size=64) | st.text(max_size=64).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_taken_as_they_are_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "dictionary"
    path.write_bytes(content)
    try:
        taken = SCORER["read_dictionary"](path)
    except ValueError:
        return
    assert taken == content
    text = content.decode("utf-8")
    assert text.isprintable() or not set(text) & set(map(chr, (*range(9), *range(11, 32), *range(127, 160))))
