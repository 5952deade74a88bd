"""The one-file rule: which bytes may be a candidate (attack 40), and when two files are the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.candidate import check_policy, content_hash, sha256

LIMIT = 1000
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12)

FINE = [
    b"", b"x = 1\n", b"no newline at the end",
    b"tabs\tand\r\nWindows line ends\r\n", "ünïcödé 漢字 عربي 🎉\n".encode(),
    "עברית בלי תווי כיוון\n".encode(), b"~" * LIMIT, "é".encode() * (LIMIT // 2),
]  # fmt: skip
BROKEN = {
    "NUL": b"a\x00b", "escape": b"\x1b[31mred", "bell": b"\a", "backspace": b"good\b\b\b\bevil", "delete": b"\x7f",
    "vertical tab": b"a\x0bb", "form feed": b"a\x0cb", "C1": b"a\xc2\x9bb", "next line": "a\x85b".encode(),
    "lone carriage return": b"import evil\rprint(1)    \n", "carriage return at the end": b"a\r",
    "doubled carriage return": b"a\r\r\n", "line separator": "a\u2028b".encode(), "paragraph": "a\u2029b".encode(),
    "override": "x = '\u202e'".encode(), "isolate": "x = '\u2066'".encode(), "mark": "\u200f".encode(),
    "arabic mark": "\u061c".encode(), "zero width space": "a\u200bb".encode(), "joiner": "a\u200db".encode(),
    "byte order mark": b"\xef\xbb\xbfx = 1\n", "soft hyphen": "a\u00adb".encode(), "filler": "a\u3164b".encode(),
    "tag": "a\U000e0041".encode(), "variation selector": "a\ufe0f".encode(), "supplement": "a\U000e0100".encode(),
    "mongolian selector": "a\u180b".encode(), "word joiner": "a\u2060b".encode(), "deprecated": "a\u206ab".encode(),
    "annotation": "a\ufff9b".encode(), "musical": "a\U0001d173b".encode(), "shorthand": "a\U0001bca0b".encode(),
    "not UTF-8": b"caf\xe9", "UTF-16": "x = 1".encode("utf-16"), "overlong": b"\xc0\x80",
    "surrogate": b"\xed\xa0\x80",
    "one byte too many": b"~" * (LIMIT + 1), "many bytes": "é".encode() * LIMIT,
}  # fmt: skip


@pytest.mark.parametrize("data", FINE)
def test_ordinary_text_is_a_candidate(data: bytes) -> None:
    assert check_policy(data, LIMIT) is None


@pytest.mark.parametrize("data", BROKEN.values(), ids=list(BROKEN))
def test_what_hides_something_from_reviewers_is_not(data: bytes) -> None:
    finding = check_policy(data, LIMIT)
    assert finding is not None
    assert (finding.message + finding.hint).isprintable()
    assert finding.hint


def test_a_finding_names_the_line_and_the_character() -> None:
    finding = check_policy("one\r\ntwo\nthree \u202e\n".encode(), LIMIT)
    assert finding is not None
    assert "line 3" in finding.message
    assert "U+202E" in finding.message


@given(st.binary(max_size=40))
def test_whatever_the_bytes_are_there_is_an_answer(data: bytes) -> None:
    if check_policy(data, LIMIT) is None:
        text = data.decode()
        categories = {unicodedata.category(c) for c in text.replace("\r\n", "\n") if c not in "\t\n"}
        assert not categories & {"Cc", "Cs", "Zl", "Zp"}


@given(st.lists(lines), st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["", " ", "\t "]), st.integers(0, 3))
def test_line_ends_and_trailing_space_make_no_new_file(rows: list[str], end: str, space: str, empty: int) -> None:
    plain = "\n".join(row.rstrip(" \t") for row in rows).encode()
    other = end.join(row.rstrip(" \t") + space for row in rows) + (space + end) * empty
    assert content_hash(other.encode()) == content_hash(plain)


@given(st.lists(lines.map(str.rstrip).filter(bool)), st.lists(lines.map(str.rstrip).filter(bool)))
def test_other_text_is_another_file(one: list[str], two: list[str]) -> None:
    assert (content_hash("\n".join(one).encode()) == content_hash("\n".join(two).encode())) == (one == two)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_text_have_a_hash_as_well(data: bytes) -> None:
    assert content_hash(data) == content_hash(data + b"\n")
    assert content_hash(data) != content_hash(data + b"\nx")


def test_space_inside_or_before_a_line_counts() -> None:
    assert content_hash(b"a  b") != content_hash(b"a b")
    assert content_hash(b" a") != content_hash(b"a")
    assert content_hash(b"\na") != content_hash(b"a")


def test_a_blob_is_named_by_its_exact_bytes() -> None:
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256(b"a\r\n") != sha256(b"a\n")
