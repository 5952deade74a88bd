"""Evaluating one candidate in the rooms of its problem's kind: the one place where strangers' code is scored.

Not here: how a room is made (``bwrap``, ``stage``) and watched (``supervisor``), and whether a score is a gain.

The kit, that is what a command finds in its room:

* It starts in the problem's folder, which is read-only; ``/tmp`` is its scratch space, new each time. There is no
  network, no home folder and no other variable than those below. ``python`` has the standard library.
* ``data``: one room. ``score`` finds the candidate's file at ``$AR_MUTABLE``, which is outside the problem's
  folder, so that no import can run it.
* ``artifact``: ``run`` finds the file in its place (also ``$AR_MUTABLE``) and writes plain files to ``$AR_OUT``.
  When that room is dead, ``score`` reads ``$AR_OUT`` in another. A scorer must not unpickle what it finds there:
  JSON, CSV, ``npy`` without pickle and safetensors are read without running code.
* Both: ``$AR_TIME_BUDGET`` (seconds) and ``$AR_RUN_SEED``. The scorer only: ``$AR_SEED``, and ``$AR_HIDDEN`` (the
  hidden folder) where there is one.
* ``score`` prints the metric as ``ar_core.metric.read_score`` reads it, and exits with 0.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from ar_core import text
from ar_core.errors import PoolError
from ar_core.metric import read_score
from ar_core.problem import Kind, Problem
from ar_sandbox import policy
from ar_sandbox.bwrap import Bind, find_tools
from ar_sandbox.crossing import refused
from ar_sandbox.environment import base_interpreter
from ar_sandbox.machine import Machine
from ar_sandbox.probe import Check, Grade, ProbeReport, probe
from ar_sandbox.result import Outcome, PreparedProblem, Result, RunSeeds
from ar_sandbox.stage import Stage
from ar_sandbox.supervisor import End, RoomRun

__all__ = [
    "Check", "Grade", "OpenProblem", "Outcome", "PreparedProblem", "ProbeReport", "Result", "RunSeeds", "Sandbox",
]  # fmt: skip

_CANDIDATE, _SCORER, _MUTABLE, _OUT = "candidate", "scorer", "mutable", "out"
_OUTCOMES = {
    End.TIMEOUT: Outcome.TIMEOUT,
    End.OUT_OF_MEMORY: Outcome.OUT_OF_MEMORY,
    End.LIMIT: Outcome.LIMIT,
    End.INFRASTRUCTURE: Outcome.INFRASTRUCTURE,
}
_NO_MEMORY = ("MemoryError", "std::bad_alloc", "Cannot allocate memory", "out of memory")


OnStart = Callable[[str], None]
"""Called with the name of a room, ``candidate`` or ``scorer``, when its command has started."""


class OpenProblem:
    """A problem on a stage, ready for many evaluations; a context manager, one evaluation at a time."""

    def __init__(self, machine: Machine, prepared: PreparedProblem) -> None:
        _check_kind(prepared.problem)
        self._machine, self._prepared = machine, prepared
        self._lock = threading.Lock()
        trees = [_SCORER]
        if prepared.problem.evaluation.kind is Kind.ARTIFACT:
            trees.append(_CANDIDATE)
        contents = {f"{tree}/{path}": data for tree in trees for path, data in prepared.files.items()}
        contents |= {f"{_SCORER}/{path}": data for path, data in prepared.hidden.items()}
        self._locked = {path: hashlib.sha256(data).digest() for path, data in contents.items()}
        self._stage = machine.stage(contents, room_for=2 * prepared.problem.files.max_bytes)
        try:
            for folder in (*trees, _MUTABLE):
                self._stage.folder(folder)
            for path, data in contents.items():
                self._stage.write(path, data)
        except BaseException:
            self._stage.close()
            raise

    def evaluate(
        self,
        candidate: bytes,
        seeds: RunSeeds,
        *,
        hash_seed: int | None = None,
        caps: policy.Caps | None = None,
        on_start: OnStart | None = None,
    ) -> Result:
        """Score the bytes of one candidate in fresh rooms.

        With ``hash_seed`` (0 to 2**32 - 1) Python's hashing is seeded and the problem's folder gets another name,
        so that a score which depends on either shows. Never raises for what a candidate does; an exception of
        ours, or one raised in this thread by a signal, leaves no process behind.
        """
        with self._lock:
            begun = time.monotonic()
            run = _Evaluation(self._machine, self._stage, self._prepared, seeds, hash_seed, caps, on_start)
            self._put(candidate)
            result = _INFRASTRUCTURE if self._changed() else run.result()
            if result.outcome is not Outcome.INFRASTRUCTURE and self._changed():
                result = _INFRASTRUCTURE
            return replace(result, total_seconds=time.monotonic() - begun)

    def _put(self, candidate: bytes) -> None:
        mutable = self._prepared.problem.files.mutable
        self._stage.write(f"{_MUTABLE}/{PurePosixPath(mutable).name}", candidate)
        if self._prepared.problem.evaluation.kind is Kind.ARTIFACT:
            self._stage.write(f"{_CANDIDATE}/{mutable}", candidate)

    def _changed(self) -> bool:
        """Tell whether a locked file is not what it was, by its content."""
        try:
            return any(
                hashlib.sha256(self._stage.read(path)).digest() != digest for path, digest in self._locked.items()
            )
        except OSError:
            return True

    def close(self) -> None:
        """Give the stage back."""
        self._stage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_INFRASTRUCTURE = Result(outcome=Outcome.INFRASTRUCTURE, score=None, feedback="a locked file changed")


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """What one evaluation is made of; ``result`` runs it."""

    machine: Machine
    stage: Stage
    prepared: PreparedProblem
    seeds: RunSeeds
    hash_seed: int | None
    caps: policy.Caps | None
    on_start: OnStart | None

    def result(self) -> Result:
        evaluation = self.prepared.problem.evaluation
        if evaluation.kind is Kind.DATA:
            seconds = min(evaluation.time_budget, evaluation.score_timeout)
            scorer = self._room(_SCORER, evaluation.score, seconds, self._scorer_variables(), self._scorer_binds())
            return self._read(scorer, scorer.seconds)
        disk = policy.limits(1, self.prepared.problem.resources, self.caps).disk
        with self.stage.out(_OUT, disk) as out:
            return self._artifact(out)

    def _artifact(self, out: str) -> Result:
        evaluation = self.prepared.problem.evaluation
        binds = [
            Bind(source=f"{self.stage.path}/{_CANDIDATE}", target=self._folder),
            Bind(source=out, target="/out", writable=True),
        ]
        variables = {"AR_MUTABLE": f"{self._folder}/{self.prepared.problem.files.mutable}", "AR_OUT": "/out"}
        made = self._room(_CANDIDATE, evaluation.run, evaluation.time_budget, variables, binds)
        failure = _failure(made, "the candidate")
        if failure is not None:
            return failure
        reason = refused(self.stage.root, _OUT)
        if reason is not None:
            return Result(outcome=Outcome.PROTOCOL, score=None, feedback=reason, seconds=made.seconds)
        binds = [*self._scorer_binds(), Bind(source=out, target="/out")]
        variables = {**self._scorer_variables(), "AR_OUT": "/out"}
        scorer = self._room(_SCORER, evaluation.score, evaluation.score_timeout, variables, binds)
        return self._read(scorer, made.seconds)

    @property
    def _folder(self) -> str:
        return "/problem" if self.hash_seed is None else f"/problem-{self.hash_seed:x}"

    def _scorer_binds(self) -> list[Bind]:
        return [
            Bind(source=f"{self.stage.path}/{_SCORER}", target=self._folder),
            Bind(source=f"{self.stage.path}/{_MUTABLE}", target="/candidate"),
        ]

    def _scorer_variables(self) -> dict[str, str]:
        files = self.prepared.problem.files
        variables = {
            "AR_MUTABLE": f"/candidate/{PurePosixPath(files.mutable).name}",
            "AR_SEED": str(self.seeds.scorer),
        }
        if self.prepared.hidden:
            variables["AR_HIDDEN"] = f"{self._folder}/{files.hidden[0].rstrip('/')}"
        return variables

    def _room(
        self,
        name: str,
        command: tuple[str, ...],
        seconds: float,
        variables: Mapping[str, str],
        binds: list[Bind],
    ) -> RoomRun:
        limits = policy.limits(seconds, self.prepared.problem.resources, self.caps)
        own = {
            **variables,
            "AR_TIME_BUDGET": f"{self.prepared.problem.evaluation.time_budget:g}",
            "AR_RUN_SEED": str(self.seeds.run),
        }
        if self.hash_seed is not None:
            own["PYTHONHASHSEED"] = str(self.hash_seed)
        notify = None if self.on_start is None else partial(self.on_start, name)
        return self.machine.run(
            self.stage,
            command,
            limits=limits,
            variables=own,
            binds=tuple(binds),
            folder=self._folder,
            on_start=notify,
        )

    def _read(self, scorer: RoomRun, seconds: float) -> Result:
        failure = _failure(scorer, "the scorer")
        metric = self.prepared.problem.metric
        if failure is None:
            reading = read_score(scorer.stdout.decode(errors="replace"), metric.name, metric.low, metric.high)
            if reading.score is not None:
                return Result(outcome=Outcome.OK, score=reading.score, secondary=reading.secondary, seconds=seconds)
            feedback = _feedback(scorer.stderr, reading.problem)
            failure = Result(outcome=Outcome.PROTOCOL, score=None, feedback=feedback)
        return Result(outcome=failure.outcome, score=None, feedback=failure.feedback, seconds=seconds)


def _failure(run: RoomRun, who: str) -> Result | None:
    """Return the result of a room that did not end well, or ``None``."""
    if run.end is End.EXIT and run.status == 0:
        return None
    if run.end is End.EXIT:
        outcome, sentence = Outcome.CRASH, f"{who} exited with status {run.status}"
        # The kernel's limit makes an allocation fail, which most programs report and then exit as they like.
        if any(sign in run.stderr[-2000:].decode(errors="replace") for sign in _NO_MEMORY):
            outcome = Outcome.OUT_OF_MEMORY
    else:
        outcome, sentence = _OUTCOMES[run.end], f"{who} was stopped: {run.detail}"
    return Result(outcome=outcome, score=None, feedback=_feedback(run.stderr, sentence), seconds=run.seconds)


def _feedback(stderr: bytes, sentence: str) -> str:
    return text.feedback(f"{stderr.decode(errors='replace').rstrip()}\n{sentence}".strip())


def _check_kind(problem: Problem) -> None:
    kind = problem.evaluation.kind
    if kind not in {Kind.DATA, Kind.ARTIFACT}:
        raise PoolError("AR-S501", f'kind = "{kind}" cannot be run yet', hint='use kind = "data" or "artifact"')


class Sandbox:
    """The way in which this machine runs strangers' code; make one with ``detect``."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @property
    def name(self) -> str:
        """What makes the rooms."""
        return "bubblewrap"

    @classmethod
    def detect(cls, search_path: str | None = None) -> "Sandbox":
        """Return this machine's sandbox after a first trial room; raises ``PoolError`` AR-S500 with the fix.

        ``search_path`` replaces PATH.
        """
        machine = Machine(find_tools(search_path), base_interpreter())
        machine.trial()
        return cls(machine)

    def open(self, prepared: PreparedProblem) -> OpenProblem:
        """Put a problem on a stage for several evaluations; raises ``PoolError`` AR-S501."""
        return OpenProblem(self.machine, prepared)

    def evaluate(
        self,
        prepared: PreparedProblem,
        candidate: bytes,
        seeds: RunSeeds,
        *,
        hash_seed: int | None = None,
        caps: policy.Caps | None = None,
        on_start: OnStart | None = None,
    ) -> Result:
        """Score one candidate on a stage of its own; see ``OpenProblem.evaluate``."""
        with self.open(prepared) as problem:
            return problem.evaluate(candidate, seeds, hash_seed=hash_seed, caps=caps, on_start=on_start)

    def probe(self) -> ProbeReport:
        """Run the probe in rooms of this machine and return what held, with the grade that it earns."""
        return probe(self.machine)
