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
* What ``score`` writes to stderr helps the next attempt. Where the hidden files are there, only its last line that
  begins with ``invalid:`` is passed on, since anything else might quote them.
* ``score`` prints the metric as ``ar_core.metric.read_score`` reads it, and exits with 0.
"""

import hashlib
import threading
import time
from dataclasses import replace
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from ar_core.candidate import oversize
from ar_core.errors import PoolError
from ar_core.problem import Kind, Problem
from ar_sandbox.bwrap import find_tools
from ar_sandbox.environment import base_interpreter
from ar_sandbox.evaluation import CANDIDATE, MUTABLE, SCORER, Evaluation, OnStart
from ar_sandbox.machine import Machine
from ar_sandbox.policy import Caps
from ar_sandbox.probe import Check, Grade, ProbeReport, probe
from ar_sandbox.result import Outcome, PreparedProblem, Result, RunSeeds

__all__ = [
    "Caps", "Check", "Grade", "OpenProblem", "Outcome", "PreparedProblem", "ProbeReport", "Result", "RunSeeds",
    "Sandbox",
]  # fmt: skip

_INFRASTRUCTURE = Result(outcome=Outcome.INFRASTRUCTURE, score=None, feedback="a locked file changed")


class OpenProblem:
    """A problem on a stage, ready for many evaluations; a context manager, one evaluation at a time."""

    def __init__(self, machine: Machine, prepared: PreparedProblem) -> None:
        _check_kind(prepared.problem)
        self._machine, self._prepared = machine, prepared
        self._lock = threading.Lock()
        trees = [SCORER]
        if prepared.problem.evaluation.kind is Kind.ARTIFACT:
            trees.append(CANDIDATE)
        contents = {f"{tree}/{path}": data for tree in trees for path, data in prepared.files.items()}
        contents |= {f"{SCORER}/{path}": data for path, data in prepared.hidden.items()}
        self._locked = {path: hashlib.sha256(data).digest() for path, data in contents.items()}
        self._stage = machine.stage(contents, room_for=2 * prepared.problem.files.max_bytes)
        try:
            for folder in (*trees, MUTABLE):
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
        caps: Caps | None = None,
        on_start: OnStart | None = None,
    ) -> Result:
        """Score the bytes of one candidate in fresh rooms.

        With ``hash_seed`` (0 to 2**32 - 1) Python's hashing is seeded and the problem's folder gets another name,
        so that a score which depends on either shows. Never raises for what a candidate does; an exception of
        ours, or one raised in this thread by a signal, leaves no process behind.
        """
        most = self._prepared.problem.files.max_bytes
        if len(candidate) > most:
            return Result(outcome=Outcome.PROTOCOL, score=None, feedback=oversize(len(candidate), most).message)
        with self._lock:
            begun = time.monotonic()
            evaluation = Evaluation(
                machine=self._machine, stage=self._stage, prepared=self._prepared,
                seeds=seeds, hash_seed=hash_seed, caps=caps, on_start=on_start,
            )  # fmt: skip
            self._put(candidate)
            result = _INFRASTRUCTURE if self._changed() else evaluation.result()
            if result.outcome is not Outcome.INFRASTRUCTURE and self._changed():
                result = _INFRASTRUCTURE
            return replace(result, total_seconds=time.monotonic() - begun)

    def _put(self, candidate: bytes) -> None:
        mutable = self._prepared.problem.files.mutable
        self._stage.write(f"{MUTABLE}/{PurePosixPath(mutable).name}", candidate)
        if self._prepared.problem.evaluation.kind is Kind.ARTIFACT:
            self._stage.write(f"{CANDIDATE}/{mutable}", candidate)

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
        caps: Caps | None = None,
        on_start: OnStart | None = None,
    ) -> Result:
        """Score one candidate on a stage of its own; see ``OpenProblem.evaluate``."""
        with self.open(prepared) as problem:
            return problem.evaluate(candidate, seeds, hash_seed=hash_seed, caps=caps, on_start=on_start)

    def probe(self) -> ProbeReport:
        """Run the probe in rooms of this machine and return what held, with the grade that it earns."""
        return probe(self.machine)
