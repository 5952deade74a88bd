"""The sorting service: what it scores, and that only questions asked and answered count."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ar_sandbox.rooms import Outcome, Result

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "problems" / "sorting-comparisons"
CANDIDATES = Path(__file__).resolve().parent / "candidates" / "sorting-comparisons"
START = (FOLDER / "sort.py").read_bytes()
Evaluate = Callable[..., Result]


def test_better_is_better_and_worse_is_worse(evaluate: Evaluate) -> None:
    start = evaluate(START).score
    better = evaluate((CANDIDATES / "better.py").read_bytes()).score
    worse = evaluate((CANDIDATES / "worse.py").read_bytes()).score
    assert start is not None
    assert better is not None
    assert worse is not None
    assert 205 < start < 215
    assert better < start - 50
    assert worse > start + 400


def test_the_number_that_is_marked_for_tuning_matters(evaluate: Evaluate) -> None:
    scores = [evaluate(START.replace(b"SHORT = 12", b"SHORT = %d" % short)).score for short in (3, 12, 48)]
    assert None not in scores
    assert scores == sorted(scores, key=lambda score: score or 0.0)
    assert len(set(scores)) == 3


def test_only_the_questions_decide(evaluate: Evaluate) -> None:
    results = [evaluate(START, seed, hash_seed) for seed, hash_seed in ((1, None), (2, 5), (3, 6))]
    assert {result.score for result in results} == {results[0].score}
    assert results[0].secondary["lists"] == 24


WRONG = {
    "return list(range(count))": "not in order",
    "return []": "neither a question nor a result",
    "return [0] * count": "not in order",
    "return list(range(count)) * 2": "not in order",
    "return ['1' * 2000]": "",
    "less(0, count)": "about something else",
    "less(-1, 0)": "neither a question nor a result",
    "[less(0, 1) for _ in range(5000)]": "more than 4000",
    "import time; time.sleep(30)": "nothing was said for 2 seconds",
    "raise ValueError": "",
    "import os; os._exit(0)": "closed",
}


@pytest.mark.parametrize("body", WRONG)
def test_what_is_no_sorting(visible: Evaluate, body: str) -> None:
    result = visible(f"def sort(count, less):\n    {body}\n    return list(range(count))\n".encode())
    assert (result.outcome, result.score) == (Outcome.CRASH, None), result.feedback
    assert WRONG[body] in result.feedback


RAW = """
import os, socket
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["AR_SOCKET"])
server.listen()
while True:
    connection, _ = server.accept()
    connection.recv(100)
    try:
        connection.sendall({words})
        connection.recv(1)
    except OSError:
        pass
    connection.close()
"""


@pytest.mark.parametrize(
    "words",
    [
        r"b'= ' + b'1 ' * 5000", r"b'\n' * 100000", r"b'0 1 2\n'", r"b'0 \xb2\n'", r"b'1e1 2\n'", r"b'=\n'",
        r"b'=' * 10**6", r"b'0 1'", r"bytes(256)", r"b'= ' + b'9' * 900 + b'\n'", r"b''",
    ],
)  # fmt: skip
def test_words_of_any_kind(visible: Evaluate, words: str) -> None:
    result = visible(RAW.format(words=words).encode())
    assert (result.outcome, result.score) == (Outcome.CRASH, None), result.feedback
    assert "invalid:" in result.feedback
