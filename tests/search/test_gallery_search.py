"""The tuner on problems that ship: it has to get somewhere in a first minute's worth of evaluations."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ar_core.manifest import read_manifest
from ar_core.problem import Problem
from ar_search.agent import Task


def read(folder: Path) -> tuple[Problem, dict[str, bytes]]:
    files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return read_manifest(files["problem.toml"]), files


def task_for(folder: Path, score: Callable[[bytes], float | None]) -> Task:
    problem, files = read(folder)
    parent = files[problem.files.mutable]
    return Task(
        mutable_path=problem.files.mutable,
        parent=parent,
        parent_score=score(parent),
        direction=problem.metric.direction,
        max_bytes=problem.files.max_bytes,
        hints=problem.search.tune,
        corpus=tuple(problem.locked_files(files).values()),
        min_gain=problem.acceptance.min_gain,
        noise=problem.acceptance.noise,
    )


def test_a_dictionary_shrinks_the_messages(
    problems: Path, scorer: Callable[[str], ModuleType], search: Callable[..., Any]
) -> None:
    scoring, folder = scorer("zlib-dictionary"), problems / "zlib-dictionary"
    messages = (folder / "data" / "messages.txt").read_bytes().splitlines()

    def score(content: bytes) -> float | None:
        if not 0 < len(content) <= scoring.MAX_BYTES:
            return None
        return float(sum(scoring.deflated_size(message, content) for message in messages))

    finals = sorted(search(task_for(folder, score), score, 200, seed).best for seed in (1, 2, 3))
    assert finals[1] < 5500


def test_a_table_packs_better_than_first_fit(
    problems: Path, scorer: Callable[[str], ModuleType], search: Callable[..., Any]
) -> None:
    scoring, folder = scorer("bin-packing"), problems / "bin-packing"
    data = json.loads((folder / "data" / "instances.json").read_bytes())
    capacity, instances = data["capacity"], data["instances"][:6]

    def score(content: bytes) -> float | None:
        numbers = [float(value) for value in json.loads(content)]
        if not 1 <= len(numbers) <= scoring.MAX_NUMBERS:
            return None
        numbers += [0.0] * (capacity + 1 - len(numbers))
        return math.fsum(
            scoring.bins_used(items, capacity, numbers) * capacity / sum(items) - 1 for items in instances
        )

    task = task_for(folder, score)
    assert task.parent_score is not None
    run = search(task, score, 200)
    assert run.best < 0.9 * task.parent_score
