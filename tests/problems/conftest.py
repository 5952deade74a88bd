"""Rooms for the gallery's scorers: fresh folders with exactly the files and variables that the design promises."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from ar_core.manifest import read_manifest
from ar_core.problem import Problem
from ar_sandbox.folder import load_folder
from ar_sandbox.rooms import OpenProblem, PreparedProblem, Result, RunSeeds, Sandbox

GALLERY = Path(__file__).resolve().parents[2] / "problems"
CANDIDATES = Path(__file__).resolve().parent / "candidates"


@dataclass(frozen=True)
class Outcome:
    """What one process left behind."""

    status: int
    out: str
    err: str

    @property
    def score(self) -> dict[str, float]:
        """Return what was measured; fails the test where the scorer refused."""
        assert self.status == 0, self.err
        words = [line.removeprefix("METRIC ").split("=") for line in self.out.splitlines()]
        if self.out.startswith("METRIC "):
            return {name: float(number) for name, number in words}
        numbers = json.loads(self.out.splitlines()[-1])
        assert isinstance(numbers, dict)
        return numbers


class Room:
    """One problem of the gallery, its candidates, and a way to run its commands like a sandbox does."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.folder = GALLERY / name
        self.candidates = CANDIDATES / name
        self.scratch = scratch
        self.problem: Problem = read_manifest((self.folder / "problem.toml").read_bytes())
        self.start = self.folder / self.problem.files.mutable
        self._rooms = 0

    def candidate(self, content: bytes) -> Path:
        """Return a file that holds `content`."""
        self._rooms += 1
        path = self.scratch / f"candidate-{self._rooms}"
        path.write_bytes(content)
        return path

    def room(self, *, with_mutable: Path | None = None) -> Path:
        """Return a fresh folder that holds the locked files, and the mutable file where one is given."""
        self._rooms += 1
        room = self.scratch / f"room-{self._rooms}" / self.problem.name
        room.mkdir(parents=True)
        for entry in self.problem.files.locked:
            source = self.folder / entry
            if source.is_dir():
                shutil.copytree(source, room / entry)
            else:
                shutil.copyfile(source, room / entry)
        if with_mutable is not None:
            shutil.copyfile(with_mutable, room / self.problem.files.mutable)
        return room

    def score(self, mutable: Path, *, hidden: bool = False, hash_seed: str = "0", **variables: str) -> Outcome:
        """Run the scorer's command in a fresh room with `mutable` as data."""
        environment = {"AR_MUTABLE": str(mutable), "AR_SEED": "7", "AR_RUN_SEED": "7", **variables}
        if hidden:
            environment["AR_HIDDEN"] = str(self.folder / "hidden")
        return run(self.problem.evaluation.score, self.room(), {**environment, "PYTHONHASHSEED": hash_seed})

    def train(self, mutable: Path, run_seed: str) -> Path:
        """Run the candidate's command in a room of its own; return its `$AR_OUT`."""
        room = self.room(with_mutable=mutable)
        out = room.parent / "out"
        out.mkdir()
        environment = {"AR_OUT": str(out), "AR_RUN_SEED": run_seed, "AR_MUTABLE": self.problem.files.mutable}
        outcome = run(self.problem.evaluation.run, room, environment)
        assert outcome.status == 0, outcome.err
        return out


def run(command: tuple[str, ...], folder: Path, environment: dict[str, str]) -> Outcome:
    """Run `command` with nothing in its environment but `environment`."""
    assert command[0] == "python"
    done = subprocess.run(
        [sys.executable, "-B", *command[1:]],
        cwd=folder,
        env={**environment, **{key: os.environ[key] for key in ("SYSTEMROOT",) if key in os.environ}},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def open_room(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Room]:
    """Return a function that opens a problem of the gallery by its name."""
    return lambda name: Room(name, tmp_path_factory.mktemp(name))


@pytest.fixture(scope="module")
def open_problem() -> Iterator[Callable[..., OpenProblem]]:
    """Return a function that opens a problem in real rooms, once for each module that asks."""
    with ExitStack() as stack:

        @cache
        def open_one(name: str, *, hidden: bool = False) -> OpenProblem:
            files = load_folder(GALLERY / name)
            prepared = PreparedProblem.of(read_manifest(files["problem.toml"]), files, with_hidden=hidden)
            return stack.enter_context(Sandbox.detect().open(prepared))

        yield open_one


@pytest.fixture(params=[False, True], ids=["visible", "hidden"])
def evaluate(request: pytest.FixtureRequest, open_problem: Callable[..., OpenProblem]) -> Callable[..., Result]:
    """Score a candidate of the problem in the module's ``FOLDER``, with the visible data and with the hidden."""
    return _evaluation(open_problem(request.module.FOLDER.name, hidden=request.param))


@pytest.fixture
def visible(request: pytest.FixtureRequest, open_problem: Callable[..., OpenProblem]) -> Callable[..., Result]:
    """The same with the visible data only: for what is refused, other data change nothing."""
    return _evaluation(open_problem(request.module.FOLDER.name))


def _evaluation(opened: OpenProblem) -> Callable[..., Result]:
    def evaluate(content: bytes, seed: int = 1, hash_seed: int | None = None) -> Result:
        return opened.evaluate(content, RunSeeds(run=seed, scorer=seed), hash_seed=hash_seed)

    return evaluate


@pytest.fixture
def refused() -> Callable[[Outcome], None]:
    """Return a check that a scorer refused with one clear sentence, no score and no traceback."""

    def check(outcome: Outcome) -> None:
        assert outcome.status != 0
        assert outcome.out == ""
        assert outcome.err.startswith("invalid: ")
        assert len(outcome.err.splitlines()) == 1
        assert len(outcome.err) < 300

    return check
