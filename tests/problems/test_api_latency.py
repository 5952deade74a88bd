"""The service whose answers are timed: faster is faster, every answer is checked, and nothing else counts."""

import json
import random
import runpy
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from ar_sandbox.rooms import Outcome, Result

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "problems" / "api-latency"
CANDIDATES = Path(__file__).resolve().parent / "candidates" / "api-latency"
START = (FOLDER / "handler.py").read_bytes()
Evaluate = Callable[..., Result]


def test_faster_is_a_smaller_number(evaluate: Evaluate) -> None:
    files = (FOLDER / "handler.py", *(CANDIDATES / f"{name}.py" for name in ("slices", "better")))
    scores: dict[str, list[float]] = {path.stem: [] for path in files}
    for seed in range(5):  # in turns, so that a busy minute of this machine hits all of them
        for path in files:
            result = evaluate(path.read_bytes(), seed)
            assert result.score is not None, result
            assert result.secondary["p99_ms"] > 0
            scores[path.stem].append(result.score)
    middle = {name: median(found) for name, found in scores.items()}
    assert 0 < middle["better"] < middle["slices"] < middle["handler"]
    assert middle["better"] < middle["handler"] / 3


WRONG = {
    "total": ("return 0", "an answer is wrong"),
    "peak": ("return max(self.readings)", "an answer is wrong"),
    "above": ("return -1", "an answer is wrong"),
    "above ": ("raise ValueError", "closed"),
    "peak ": ("import time; time.sleep(30)", "no answer came in time"),
    "total ": ("import os; os._exit(0)", "closed"),
    "__init__": ("raise ValueError", "closed"),
    "__init__ ": ("self.readings = sorted(readings)", "an answer is wrong"),
}


@pytest.mark.parametrize("method", WRONG)
def test_what_is_no_answer(visible: Evaluate, method: str) -> None:
    body, words = WRONG[method]
    name = method.strip()
    arguments = {"above": "limit", "__init__": "readings"}.get(name, "start, end")
    content = START + f"\n\ndef wrong(self, {arguments}):\n    {body}\n\n\nHandler.{name} = wrong\n".encode()
    result = visible(content)
    assert (result.outcome, result.score) == (Outcome.CRASH, None), result
    assert words in result.feedback


RAW = """
import os, socket
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["AR_SOCKET"])
server.listen()
connection, _ = server.accept()
lines = connection.makefile("rb")
lines.readline()
connection.sendall({ready})
for line in lines:
    connection.sendall({words})
"""


@pytest.mark.parametrize(
    ("ready", "words"),
    [
        (r"b'ready\n'", r"b'1\n' * 50"), (r"b'ready\n1\n'", r"b'1\n'"), (r"b'yes\n'", r"b'1\n'"),
        (r"b'ready\n'", r"b'1' * 100000 + b'\n'"), (r"b'ready\n'", r"b'1e3\n'"), (r"b'ready\n'", r"b'\xb2\n'"),
        (r"b'ready\n'", r"b' 1\n'"), (r"b'ready\n'", r"bytes(256)"), (r"b'ready\n'", r"b'\n'"),
    ],
)  # fmt: skip
def test_words_of_any_kind(visible: Evaluate, ready: str, words: str) -> None:
    result = visible(RAW.format(ready=ready, words=words).encode())
    assert (result.outcome, result.score) == (Outcome.CRASH, None), result
    assert "invalid:" in result.feedback


def test_the_questions_are_the_seeds_secret_and_their_answers_right() -> None:
    scorer = runpy.run_path(str(FOLDER / "score.py"), run_name="imported")
    readings = [reading for day in json.loads((FOLDER / "data" / "readings.json").read_text()) for reading in day]
    asked = scorer["questions"](readings, random.Random(1))
    assert asked == scorer["questions"](readings, random.Random(1))
    others = scorer["questions"](readings, random.Random(2))
    assert len({line for line, _ in asked} & {line for line, _ in others}) < 20
    assert len(asked) == scorer["WARM_UP"] + scorer["QUESTIONS"]
    handler = runpy.run_path(str(FOLDER / "handler.py"))["Handler"](readings)
    for line, answer in asked:
        name, *numbers = line.decode().split()
        assert getattr(handler, name)(*map(int, numbers)) == answer
