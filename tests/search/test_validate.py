"""The cheapest parser of each language, and texts made to break one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_search.languages import language_of
from ar_search.validate import parses


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("a.json", '{"a": [1, 2]}', '{"a": [1, 2}'),
        ("a.toml", "a = 1\n", "a = \n"),
        ("a.py", "x = 1\n", "x = = 1\n"),
    ],
)
def test_good_and_bad(path: str, good: str, bad: str) -> None:
    assert parses(good, language_of(path))
    assert not parses(bad, language_of(path))


@pytest.mark.parametrize("path", ["a.txt", "a.sql", "a.css"])
def test_where_there_is_no_parser_nothing_parses(path: str) -> None:
    assert not parses("x", language_of(path))


@pytest.mark.parametrize("path", ["a.json", "a.toml", "a.py"])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a=" + "[" * 5000 + "]" * 5000,
        "-" * 100_000 + "1",
        "not " * 30_000 + "1",
        "9" * 10_000,
        "\0",
        "\ufeff",
        "x" + ".x" * 50_000,
        "a = " + "{a." * 3000,
        "lambda:" * 20_000 + "1",
        "1" + "+1" * 60_000,
        "1" + "**1" * 30_000,
        "x if y else " * 20_000 + "1",
        "#coding: no-such\nx=1",
        "if x:\n pass\n" + "elif x:\n pass\n" * 10_000,
    ],
)
def test_hostile_text_never_raises(path: str, text: str) -> None:
    parses(text, language_of(path))


def test_a_warning_of_the_parser_is_nobodys_concern() -> None:
    assert parses('x = "\\d"\ny = 1 is 1\n', language_of("a.py"))


@given(st.sampled_from(["a.json", "a.toml", "a.py"]), st.text(max_size=60))
def test_any_text(path: str, text: str) -> None:
    parses(text, language_of(path))
