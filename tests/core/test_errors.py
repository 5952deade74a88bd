"""The error catalogue: complete, as the exit codes promise, and each code explained in docs/8-errors.md."""

import re
from pathlib import Path

import grpc
import pytest

from ar_core.errors import CATALOGUE, ErrorKind, Exit, PoolError

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "8-errors.md").read_text()
SECTIONS = {part.partition("\n")[0].strip(): part for part in PAGE.split("\n## ")[1:]}
rows = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=list(CATALOGUE))


@rows
def test_a_row_has_every_column(kind: ErrorKind) -> None:
    assert re.fullmatch(r"AR-[AIPXSCW][0-9]{3}", kind.code)
    assert kind.grpc in grpc.StatusCode.__members__
    assert kind.grpc not in {"OK", "UNKNOWN", "CANCELLED"}
    assert 400 <= kind.http <= 599
    assert kind.exit in set(Exit) - {Exit.DONE, Exit.INTERRUPTED_TWICE}
    assert kind.sentence.endswith(".")
    assert kind.sentence[0].isupper()
    assert "\n" not in kind.sentence


@rows
def test_a_hint_says_what_to_do_next(kind: ErrorKind) -> None:
    verb = re.match(r"(do not )?[a-z]+", kind.hint)
    assert verb is not None, "a hint starts with what to do"
    assert not kind.hint.endswith("."), "it is printed after a colon"
    # A command, or an action that a person takes.
    actions = {
        "ask", "check", "choose", "copy", "correct", "do not continue", "free", "install", "publish", "run", "see",
        "set", "sign", "start", "stop", "the", "try", "upgrade", "use", "wait", "write",
    }  # fmt: skip
    assert "`" in kind.hint or verb.group() in actions


@rows
def test_a_code_is_explained_on_the_page(kind: ErrorKind) -> None:
    section = SECTIONS[kind.code]
    assert f"**{kind.sentence}**" in section
    assert f"Exit code {int(kind.exit)}, gRPC `{kind.grpc}`, HTTP {kind.http}." in section
    assert re.search(r"\*Why:\* \S.{20,}", section)
    assert re.search(r"\*What to do:\* \S.{10,}", section)


def test_the_page_explains_nothing_else() -> None:
    assert set(SECTIONS) == set(CATALOGUE)


def test_codes_are_unique_and_in_order_within_their_letter() -> None:
    codes = re.findall(r"^## (AR-\w+)$", PAGE, re.MULTILINE)
    assert len(codes) == len(set(codes)) == len(CATALOGUE)
    for letter in {code[3] for code in codes}:
        own = [code for code in codes if code[3] == letter]
        assert own == sorted(own)


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("AR-A100", 1), ("AR-A101", 2), ("AR-A102", 8), ("AR-A104", 6), ("AR-A107", 2), ("AR-I200", 3),
        ("AR-I201", 4), ("AR-I202", 4), ("AR-I203", 4), ("AR-I204", 4), ("AR-I205", 4), ("AR-I206", 4),
        ("AR-I207", 4), ("AR-I208", 2), ("AR-I209", 5), ("AR-P300", 3), ("AR-P301", 9), ("AR-P304", 5),
        ("AR-X400", 3), ("AR-S500", 7), ("AR-C604", 8), ("AR-C609", 8),
    ],
)  # fmt: skip
def test_exit_codes_are_the_published_ones(code: str, exit_code: int) -> None:
    assert PoolError(code).exit_code == exit_code


def test_exit_codes_have_the_published_numbers() -> None:
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130]


def test_an_error_says_what_exactly_happened() -> None:
    error = PoolError("AR-P300", "no-such-thing")
    assert error.message == "There is no such problem: no-such-thing"
    assert str(error) == error.message
    assert error.hint == CATALOGUE["AR-P300"].hint
    assert PoolError("AR-P300").message == "There is no such problem."
    assert PoolError("AR-P300", hint="another").hint == "another"


def test_the_document_is_the_one_other_programs_rely_on() -> None:
    body = PoolError("AR-A103", "wait 3 s", retry_after=3.00049).document()["error"]
    assert body == {
        "code": "AR-A103",
        "message": "Too many requests: wait 3 s",
        "hint": "wait, then try again",
        "docs": "docs/8-errors.md#ar-a103",
        "retry_after": 3.0,
    }
    plain = PoolError("AR-A100").document()["error"]
    assert isinstance(plain, dict)
    assert set(plain) == {"code", "message", "hint", "docs"}


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        PoolError("AR-Z999")
