"""Which places are found in which language, what they are called, and which come first."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_search.languages import language_of
from ar_search.sites import Sites, Tier, find_sites

PATHS = ("a.json", "a.py", "a.toml", "a.sql", "a.css", "a.js", "Dockerfile", "a.txt", "a")


def found_in(path: str, text: str, *hints: str) -> Sites:
    return find_sites(text, language_of(path), hints)


def literals(text: str, sites: Sites) -> dict[str, str]:
    return {text[n.start : n.end]: n.name for n in sites.numbers}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.json", '{"lr": 0.01, "net": {"n": -3}, "v": "1.2", "big": 1e999}', {"0.01": "lr", "-3": "n"}),
        ("a.json", '{"xs": [1, 2.5, -3e-4]}', {"1": "xs", "2.5": "xs", "-3e-4": "xs"}),
        ("a.py", "WIDTH: int = 64  # not 65\n", {"64": "WIDTH"}),
        ("a.py", 'x = y - 2\ns = "7"\n"""8"""\nh = 0x1f + 007 + v1\n', {"2": "x"}),
        ("a.py", "f(-1, lr=0.5)\ng(3)\n", {"-1": "", "0.5": "lr", "3": ""}),
        ("a.py", "if x == 4: y = 5\n", {"4": "", "5": "y"}),
        ("a.toml", "lr = 1e-3\nday = 2024-01-02T03:04:05\n[s]\nn = 4 # 5\n", {"1e-3": "lr", "4": "n"}),
        ("a.sql", "SELECT 'it''s 5' WHERE x > -6 LIMIT 10 -- 7\n/* 8 */", {"-6": "", "10": ""}),
        (
            "a.css",
            ".a1{margin:0 -5px 1.5em;color:#123456}:root{--gap-2:8px}",
            {"0": "margin", "-5": "margin", "1.5": "margin", "8": "--gap-2"},
        ),
        ("a.js", "const a2 = 3; // 4\nb = 'x5'", {"3": "a2"}),
        ("Dockerfile", "ENV N=5\n# 6\n", {"5": "N"}),
        ("a.txt", "In 2024-01-02 v1.2.3 cost 10. It's -4 now", {"10": "", "-4": ""}),
    ],
)
def test_numbers_and_their_names(path: str, text: str, expected: dict[str, str]) -> None:
    assert literals(text, found_in(path, text)) == expected


@pytest.mark.parametrize(
    ("path", "text", "count"),
    [
        ("a.json", '{"a": true, "b": "false", "c": false}', 2),
        ("a.py", "a = True\nb = true\nTrueish = 1\n# False\n", 1),
        ("a.toml", "a = true\n", 1),
        ("a.txt", "it is true", 0),
    ],
)
def test_booleans(path: str, text: str, count: int) -> None:
    assert len(found_in(path, text).booleans) == count


def test_lines_are_those_with_something_on_them() -> None:
    text = "a\r\n\n  \nb\x0bc\nd"
    assert [text[s.start : s.end] for s in found_in("a.txt", text).lines] == ["a\r\n", "b\x0bc\n", "d"]


@pytest.mark.parametrize(
    ("path", "text", "sizes"),
    [
        ("a.json", '{"a": [1, 2, 3], "b": 4}', [3, 1]),
        ("a.json", "[[1, 2], [3, 4], []]", [4]),
        ("a.json", '[[1, 2], ["x", 3, 4]]', [2, 1, 1]),
        ("a.py", "P = [\n (0.1, -0.2),  # first\n (0.3, 0.4),\n]\nf(1, 2)\nq = x[3]\n", [4, 1, 1, 1]),
        ("a.txt", "1 2.5 -3\n4;5\nhello 6\n", [5, 1]),
    ],
)
def test_groups(path: str, text: str, sizes: list[int]) -> None:
    assert [group.size for group in found_in(path, text).groups] == sizes


def test_only_flat_arrays_may_change_their_length() -> None:
    text = '{"a": [1, 2], "b": [[1, 2], [3, 4]], "c": 5}'
    assert [group.separators for group in found_in("a.json", text).groups] == [True, False, False]


def test_tiers_from_comment_to_rest() -> None:
    text = "a = 2  # tune: 1..64 int\nlr = 0.5\nDEPTH = 3\nxs = [4, 5]\nb = 6\nc = 1\nd = xs[7]\n"
    sites = found_in("a.py", text, "lr 1e-5..1 log")
    tiers = [n.tier for n in sites.numbers]
    assert tiers == [Tier.COMMENT, Tier.MANIFEST, Tier.CAPITALS, Tier.ARRAY, Tier.ARRAY, *[Tier.REST] * 3]
    by_number = {group.numbers: group.weight for group in sites.groups}
    order = [by_number[key] for key in ((0,), (1,), (3, 4), (2,), (5,), (6,), (7,))]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == len(order)
    assert sites.hinted
    assert not found_in("a.py", "a = 2\n").hinted


@pytest.mark.parametrize(
    "text",
    [
        "x = 2  # tune: 1..9",
        "# tune: 1..9\nx = 2\ny = 3",
        "# tune: 1..9\n\n# and\nx = 2\n",
        "xs = [  # tune: 1..9\n 2,\n 2]\ny = 3\n",
        "# tune: 1..9\nxs = [\n 2,\n [2]]\ny = 3\n",
        "a = '''\n\n''' ; x = 2 # tune: 1..9\n",
    ],
)
def test_a_comment_is_about_its_line_or_the_next_or_the_bracket_opened_there(text: str) -> None:
    numbers = found_in("a.py", text).numbers
    assert {n.value for n in numbers if n.bounds is not None} == {2.0}
    assert {n.value for n in numbers if n.bounds is None} <= {3.0}


def test_a_comment_before_code_on_its_line() -> None:
    sites = found_in("a.css", "b{/* tune: 1..9 */flex:3}\na{flex:4}")
    assert [n.tier for n in sites.numbers] == [Tier.COMMENT, Tier.REST]


def test_a_comment_goes_before_the_manifest() -> None:
    (number,) = found_in("a.py", "lr = 0.1  # tune: 0..2\n", "lr 0..1").numbers
    assert number.bounds is not None
    assert number.bounds.high == 2


@pytest.mark.parametrize(
    ("text", "hint", "whole"),
    [
        ("[4, 5]", "* -10..10", True),
        ("[4.0, 5]", "* 0..9 int", True),
        ("[4, 5]", "* 0.5..9", False),
        ("[4, 5]", "* 1..9 log", False),
        ("[4.0, 5.0]", "* 0..9", False),
    ],
)
def test_whole_numbers_stay_whole_unless_the_hint_says_otherwise(text: str, hint: str, whole: bool) -> None:
    assert found_in("a.json", text, hint).numbers[0].whole is whole


def test_the_gallerys_training_script(problems: Path) -> None:
    sites = found_in("train.py", (problems / "tiny-classifier" / "train.py").read_text())
    named = {n.name for n in sites.numbers if n.tier is Tier.COMMENT}
    assert named == {"LEARNING_RATE", "EPOCHS", "SPREAD"}


@given(
    st.sampled_from(PATHS),
    st.text(alphabet=st.sampled_from("a1.-e[](){},;:=\"'#/*\n\t -0x\u00b2\u0661é"), max_size=80),
)
def test_sites_lie_in_the_text_in_order_and_hold_their_value(path: str, text: str) -> None:
    sites = found_in(path, text)
    reached = 0
    for number in sites.numbers:
        assert reached <= number.start < number.end <= len(text)
        assert float(text[number.start : number.end]) == number.value
        reached = number.end
    assert sorted(i for group in sites.groups for i in group.numbers) == list(range(len(sites.numbers)))
    assert all(group.weight > 0 for group in sites.groups)


def test_deep_brackets_are_read_quickly() -> None:
    deep = "[" * 20_000 + ",".join("12" for _ in range(20_000)) + "]" * 20_000
    assert len(found_in("a.json", deep).numbers) == 20_000
