"""Hints for reviewers: what is flagged, and that any text is read, quickly and to an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.scan import MOST, Flag, scan


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("exec(text)", "runs text as code"),
        ("x = eval (input)", "runs text as code"),
        ("getattr(__builtins__, 'ex' + 'ec')", "imports by name"),
        ("import base64, os", "unpacks text"),
        ("from ctypes import CDLL", "calls into C or other machine code"),
        ("data = pickle.loads(data)", "reads objects that run code"),
        ("frame = sys._getframe(1)", "looks inside the interpreter"),
        ("if os.fork() == 0:", "starts other programs"),
        ("import socket", "asks for the network"),
        (f"blob = '{'Zm9v' * 60}'", "text that nobody can read"),
        ("key = '" + r"\x41" * 40 + "'", "text that nobody can read"),
        ("x = 1;" * 400, "a line too long to read"),
    ],
)
def test_flagged(line: str, what: str) -> None:
    assert Flag(line=2, what=what) in scan(f"# a solution\n{line}\n".encode())


@pytest.mark.parametrize(
    "line",
    ["def answer(numbers):", "pattern = re.compile('a+')", "evaluate(model)", "import math, json, random", "[1, 2.5]",
     "executor = None", "self.socketed = 1", f"digest = '{'9f86d081' * 8}'"],
)  # fmt: skip
def test_ordinary_code_is_not(line: str) -> None:
    assert scan(line.encode()) == ()


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_to_an_end(content: bytes) -> None:
    found = scan(content)
    assert len(found) <= MOST
    assert [flag.line for flag in found] == sorted(flag.line for flag in found)


def test_there_are_only_so_many() -> None:
    assert len(scan(b"exec(x)\n" * 1000)) == MOST
