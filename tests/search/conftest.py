"""Searches for tests: a tuner that is run against a score function, and scores of the problems that ship."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ar_core.metric import Direction
from ar_search.agent import Observation, Proposal, Task
from ar_search.tuner import Tuner, make_tuner

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
Score = Callable[[bytes], float | None]


@dataclass
class Searched:
    """A finished search: what was proposed and scored, in order."""

    tuner: Tuner
    proposals: list[Proposal] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)

    @property
    def best(self) -> float:
        assert self.tuner.best.score is not None
        return self.tuner.best.score


def search(task: Task, score: Score, evaluations: int, seed: int = 1, tolerance: float = 0.0) -> Searched:
    """Run a tuner until it has had that many evaluations, or has nothing new."""
    run = Searched(make_tuner(task, seed, tolerance=tolerance))
    for _ in range(evaluations):
        proposal = run.tuner.propose()
        if proposal is None:
            break
        found = score(proposal.content)
        run.tuner.observe(proposal, Observation(score=found, reason=None if found is not None else "crash"))
        run.proposals.append(proposal)
        run.scores.append(found)
    return run


def task_of(parent: bytes, path: str = "solution.json", **changes: Any) -> Task:
    """Return a task that minimises, with a parent of unknown score."""
    values = {"parent_score": None, "direction": Direction.MINIMIZE, "max_bytes": 4096, **changes}
    return Task(mutable_path=path, parent=parent, **values)


@pytest.fixture(scope="session", name="search")
def search_fixture() -> Callable[..., Searched]:
    """Run a search."""
    return search


@pytest.fixture(scope="session", name="task_of")
def task_fixture() -> Callable[..., Task]:
    """Make a task."""
    return task_of


@pytest.fixture(scope="session")
def scorer() -> Callable[[str], ModuleType]:
    """Import the scorer of a problem that ships, by the problem's name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"score_{name}", PROBLEMS / name / "score.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            spec.loader.exec_module(module)
        finally:
            sys.dont_write_bytecode = written
        return module

    return load
