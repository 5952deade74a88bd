"""A candidate that nobody runs: files that try to be more than data; each by the number of its row."""

import json
import pickle
from dataclasses import dataclass
from typing import Any

import pytest

KIND = "data"
ANSWERS = [[1, 2, 3], [4, 9], [2, 4, 6, 8]]
LARGEST = 262_144


@dataclass(frozen=True)
class File:
    """What an attack is to a trial."""

    row: int
    title: str
    content: bytes
    expect: str = "worse"
    outcomes: tuple[str, ...] = ()
    says: str = ""
    seconds: float | None = None


def answers(value: str) -> bytes:
    """The honest answers with the last number replaced by a text."""
    return json.dumps([*ANSWERS, [1, 3, 5, 7, 8, -1]]).replace("-1", value).encode()


FILES = {
    "row_01_fake_score": File(1, "Is a fake score in two layouts.", b'points: 999\n{"points": 999}\n'),
    "row_01_fake_score_as_json": File(1, "Is a fake score as JSON.", b'{"points": 999, "score": 999}'),
    "row_03_program": File(3, "Is a program.", b"import os\nprint('points: 999')\nos._exit(0)\n"),
    "row_04_objects": File(4, "Has objects where lists are expected.", b'[{"__eq__": true, "__len__": 6}, [4, 9]]'),
    "row_05_paths": File(5, "Has paths of the scorer's files as answers.", b'["/proc/self/environ", "../hidden", 1]'),
    "row_08_hidden": File(8, "Is the path of the hidden file.", b"hidden/weights.json"),
    "row_10_module": File(10, "Is a module that a scorer might import.", b"def load(*_): return 999\nloads = load\n"),
    "row_11_not_a_number": File(11, "Has NaN for a number.", answers("NaN"), "honest"),
    "row_11_infinity": File(11, "Has an infinity for a number.", answers("-Infinity"), "honest"),
    "row_11_beyond_float": File(11, "Has a number beyond any float.", answers("1e999"), "honest"),
    "row_11_many_digits": File(11, "Has a number of 100,000 digits.", answers("9" * 100_000)),
    "row_11_true": File(11, "Has true for the number one.", b"[[true, 2, 3], [4.0, 9], [2, 4, 6, 8]]"),
    "row_11_text": File(11, "Has text for numbers.", b'[["1", "2", "3"], "49", [2, 4, 6, 8]]'),
    "row_15_nothing": File(15, "Is empty.", b"", "refused"),
    "row_15_empty_list": File(15, "Is an empty list.", b"[]"),
    "row_15_zeros": File(15, "Answers zero to everything.", b"[[0], [0], [0], [0], [0], [0]]"),
    "row_15_identity": File(15, "Answers with the question.", b"[[3, 1, 2], [9, 4], [8, 2, 6, 4]]"),
    "row_18_too_large": File(18, "Is larger than a file may be.", b"[" * (LARGEST + 1), "refused", ("protocol",)),
    "row_18_deep": File(18, "Is 100,000 brackets deep.", b"[" * 100_000 + b"]" * 100_000, "refused"),
    "row_25_path": File(25, "Is a way out of the folder.", b"../../../../etc/passwd"),
    "row_26_pickle": File(26, "Is a pickle that would run a program.", pickle.dumps(print), "refused"),
    "row_40_bytes": File(40, "Is no text.", bytes(range(256)), "refused"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_file(name: str, trial: Any) -> None:
    trial.hold(FILES[name], KIND, FILES[name].content)


VALUES = {
    "nan": "NaN", "infinity": "Infinity", "minus-infinity": "-inf", "beyond": "1e999", "above-the-range": "1e3.5",
    "out-of-range": "1000.1", "below": "-1e300", "many-digits": "9" * 5000, "true": "True", "text": '"999"',
    "two": "999 1", "hexadecimal": "0x3e7", "underscore": "9_99", "arabic": "٩٩٩", "nothing": "", "complex": "999j",
    "fraction": "1998/2", "list": "[999]", "null": "null", "json": '{"points": NaN}\n{"points": true}',
    "last-line": '1\n{"points": [999]}',
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_row_11_a_scorer_that_repeats_what_it_is_told(
    name: str, remote: Any, record_attack: Any, victims: Any
) -> None:
    """Even then: only one finite number inside the range is a score."""
    assert not remote.open("believing", victims("believing"))
    result = remote.evaluate("believing", VALUES[name].encode())
    scored = result["outcome"] == "ok"
    record_attack(
        row=11, title=f"Writes {name.replace('-', ' ')} where a score is repeated.", kind=KIND,
        backend=remote.backend, verdict=result["outcome"], seconds=result["seconds"],
        forged=scored, left=len(result["left"]),
    )  # fmt: skip
    assert not scored, result
    assert not result["left"]


@pytest.mark.parametrize("remote", ["ordinary user"], indirect=True)
def test_repeating_bites(remote: Any, victims: Any) -> None:
    assert not remote.open("believing", victims("believing"))
    assert remote.evaluate("believing", b"999")["score"] == 999


@pytest.mark.parametrize("zero", ["-0", "-0.0", "1e-320", "0e999"])
def test_row_11_a_score_near_nothing_is_no_better_than_nothing(zero: str, remote: Any, victims: Any) -> None:
    assert not remote.open("believing", victims("believing"))
    result = remote.evaluate("believing", zero.encode())
    assert result["outcome"] == "ok"
    assert abs(result["score"]) < 1e-300
