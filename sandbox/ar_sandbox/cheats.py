"""The canned attacks that a scorer has to withstand before anybody may trust its number.

Not here: running them and judging what they score (``registration``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ar_core.metric import Direction
from ar_core.problem import Kind, Problem
from ar_sandbox.servers import servers

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_IMPOSSIBLE = {
    "not a number": "NaN",
    "infinity": "Infinity",
    "minus infinity": "-Infinity",
    "huge values": "1e308",
    "huge negative values": "-1e308",
    "an integer beyond any float": "9" * 400,
}
_NESTED = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheat:
    """One attack: what it tries in a few words, and the bytes of the mutable file."""

    name: str
    content: bytes


def cheats(problem: Problem, baseline: bytes) -> Iterator[Cheat]:
    """Yield the attacks for the problem's kind, quick ones first."""
    limit = problem.files.max_bytes
    everything = [*_files(problem, baseline)]
    kind = problem.evaluation.kind
    if kind is not Kind.DATA and problem.files.mutable.endswith(".py"):
        everything += _programs(problem)
        if kind is Kind.ARTIFACT:
            everything += _results(problem)
        everything += _greedy()
        if kind is Kind.SERVICE:
            everything += [Cheat(name=name, content=content) for name, content in servers(fake_score(problem))]
    for cheat in everything:
        if len(cheat.content) <= limit and cheat.content != baseline:
            yield cheat


def fake_score(problem: Problem) -> str:
    """Return lines that claim an unbeatable score in every layout that is read."""
    metric = problem.metric
    best = metric.high if metric.direction is Direction.MAXIMIZE else metric.low
    if best is None:
        best = 1e12 if metric.direction is Direction.MAXIMIZE else -1e12
    name = metric.name
    return f'{name}: {best!r}\nMETRIC {name}={best!r}\nscore: {best!r}\n{{"{name}": {best!r}, "score": {best!r}}}\n'


def _files(problem: Problem, baseline: bytes) -> Iterator[Cheat]:
    deep = min(_NESTED, problem.files.max_bytes // 2)
    yield Cheat(name="an empty file", content=b"")
    yield Cheat(name="a fake score as the file", content=fake_score(problem).encode())
    yield Cheat(name="deeply nested brackets", content=b"[" * deep + b"]" * deep)
    yield Cheat(name="one letter up to the size limit", content=b"a" * problem.files.max_bytes)
    text = baseline.decode(errors="replace")
    for name, value in _IMPOSSIBLE.items():
        yield Cheat(name=f"{name} as the file", content=value.encode())
        if problem.evaluation.kind is Kind.DATA and _NUMBER.search(text):
            yield Cheat(name=f"{name} in place of every number", content=_NUMBER.sub(value, text).encode())


def _programs(problem: Problem) -> Iterator[Cheat]:
    score = fake_score(problem)
    say = "os.write(1, score)\nos.write(2, score)\nos._exit(0)\n"
    yield Cheat(
        name="a program that prints a fake score and exits",
        content=f"import os\nscore = {score.encode()!r}\n{say}".encode(),
    )
    yield Cheat(name="a program that does nothing", content=b"pass\n")


def _results(problem: Problem) -> Iterator[Cheat]:
    score = fake_score(problem)
    yield Cheat(
        name="a program that writes fake results",
        content=(
            "import os\n"
            f"score = {score!r}\n"
            "for name in ('score', 'score.txt', 'score.json', 'result.json', 'results.json', 'output.json',\n"
            "             'metrics.json', 'stdout', 'stdout.txt'):\n"
            "    with open(os.path.join(os.environ['AR_OUT'], name), 'w') as file:\n"
            "        file.write(score)\n"
        ).encode(),
    )
    yield Cheat(
        name="a program that links to the scorer's files",
        content=(
            b"import os\n"
            b"for name in ('hidden', 'score', 'result.json', 'output.json'):\n"
            b"    os.symlink('/problem/hidden', os.path.join(os.environ['AR_OUT'], name))\n"
        ),
    )


def _greedy() -> Iterator[Cheat]:
    yield Cheat(
        name="a flood of output",
        content=b"import os\nwhile True:\n    os.write(1, b'score: 1\\n' * 8192)\n",
    )
    yield Cheat(
        name="a fork bomb",
        content=(b"import os\ntry:\n    while True:\n        os.fork()\nexcept OSError:\n    os._exit(1)\n"),
    )
