"""Real rooms for the tests of the sandbox, and a check after each test that no process of one is left."""

import ctypes
import json
import os
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from ar_core.manifest import read_manifest
from ar_sandbox.bwrap import Bind
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.policy import Caps, Limits
from ar_sandbox.rooms import PreparedProblem, Result, RunSeeds, Sandbox
from ar_sandbox.supervisor import RoomRun

_PR_SET_CHILD_SUBREAPER = 36
SEEDS = RunSeeds(run=11, scorer=22)


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox.detect()


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Whatever a room leaves behind becomes a child of this process, and fails the test."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    files = set(Path("/proc/self/fd").iterdir())
    before = set(psutil.Process().children(recursive=True))  # servers that other tests share, for example
    yield
    left = [process for process in psutil.Process().children(recursive=True) if process not in before]
    for process in left:
        # A dead orphan of a program that a test started waits for us, who adopted it.
        if process.status() == psutil.STATUS_ZOMBIE:
            os.waitpid(process.pid, 0)
    assert [process for process in left if process.is_running()] == []
    assert len(set(Path("/proc/self/fd").iterdir()) - files) <= 1, "a descriptor was left open"


MANIFEST = """
name = "under-test"
title = "A problem under test"
[files]
program = "program.md"
mutable = "{mutable}"
hidden = [{hidden}]
[metric]
name = "x"
direction = "maximize"
range = [-1000.0, 1000.0]
[evaluation]
kind = "{kind}"
score = ["python", "score.py"]
time_budget = "{budget}"
{evaluation}
[resources]
memory = "{memory}"
disk = "{disk}"
processes = {processes}
{more}
"""


@dataclass
class Folder:
    """A problem's folder in the making."""

    score: str = "print('x: 1')"
    kind: str = "data"
    mutable: str = "solution.json"
    baseline: bytes = b"1"
    budget: str = "20s"
    memory: str = "256MiB"
    disk: str = "16MiB"
    processes: int = 32
    more: str = ""
    hidden: dict[str, str] = field(default_factory=dict)
    others: dict[str, bytes] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        run = 'run = ["python", "train.py"]' if self.kind == "artifact" else ""
        manifest = MANIFEST.format(
            mutable=self.mutable, hidden='"hidden/"' if self.hidden else "", kind=self.kind, budget=self.budget,
            evaluation=run, memory=self.memory, disk=self.disk, processes=self.processes, more=self.more,
        )  # fmt: skip
        return {
            "problem.toml": manifest.encode(),
            "program.md": b"# A problem\n",
            "score.py": textwrap.dedent(self.score).encode(),
            self.mutable: self.baseline,
            **{f"hidden/{name}": text.encode() for name, text in self.hidden.items()},
            **self.others,
        }

    def prepared(self, *, with_hidden: bool = True) -> PreparedProblem:
        files = self.files()
        return PreparedProblem.of(read_manifest(files["problem.toml"]), files, with_hidden=with_hidden)


Score = Callable[..., Result]


@pytest.fixture
def score(sandbox: Sandbox) -> Score:
    """Run one ``data`` evaluation of a scorer's source."""

    def run(source: str, candidate: bytes = b"1", *, caps: Caps | None = None, **settings: Any) -> Result:
        return sandbox.evaluate(Folder(score=source, **settings).prepared(), candidate, SEEDS, caps=caps)

    return run


@pytest.fixture
def train(sandbox: Sandbox) -> Score:
    """Run one ``artifact`` evaluation of a candidate's source beside a scorer's."""

    def run(candidate: str, source: str = "print('x: 1')", **settings: Any) -> Result:
        folder = Folder(kind="artifact", mutable="train.py", score=source, **settings)
        return sandbox.evaluate(folder.prepared(), textwrap.dedent(candidate).encode(), SEEDS)

    return run


InRoom = Callable[..., RoomRun]


@pytest.fixture
def in_room(sandbox: Sandbox) -> InRoom:
    """Run Python source in a bare room of its own."""

    def run(source: str, *words: str, limits: Limits = TRIAL_LIMITS) -> RoomRun:
        command = ("python", "-I", "-S", "/problem/main.py", *words)
        with sandbox.machine.stage({}, room_for=65536) as stage:
            stage.write("main/main.py", textwrap.dedent(source).encode())
            bind = Bind(source=f"{stage.path}/main", target="/problem")
            return sandbox.machine.run(stage, command, limits=limits, binds=(bind,), folder="/problem")

    return run


@pytest.fixture
def seen(in_room: InRoom) -> Callable[..., Any]:
    """Run Python source in a room and return the JSON that it printed."""

    def run(source: str, *words: str, limits: Limits = TRIAL_LIMITS) -> Any:
        done = in_room(
            "import json, os, sys, errno, socket, ctypes\n" + textwrap.dedent(source), *words, limits=limits
        )
        assert done.status == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return run


@pytest.fixture
def folder() -> type[Folder]:
    return Folder
