"""Evaluating one candidate in the rooms of its problem's kind: the one place where strangers' code is scored.

Not here: how a room is made (``bwrap``, ``stage``) and watched (``supervisor``), and whether a score is a gain.

The kit, that is what a command finds in its room:

* A command starts in the problem's folder, which is read-only; ``/tmp`` is its scratch space, new each time. There
  is no network, no home folder and no other variable than those below. ``python`` has the standard library, and the
  packages of ``environment.requirements``, if any.
* ``data``: one room. ``score`` finds the candidate's file at ``$AR_MUTABLE``, which is outside the problem's
  folder, so that no import can run it.
* ``artifact``: ``run`` finds the file in its place (also ``$AR_MUTABLE``) and writes plain files to ``$AR_OUT``.
  When that room is dead, ``score`` reads ``$AR_OUT`` in another. A scorer must not unpickle what it finds there:
  JSON, CSV, ``npy`` without pickle and safetensors are read without running code.
* ``service``: ``run`` finds the file in its place and listens on the unix socket ``$AR_SOCKET``. When that is there,
  ``score`` begins in the other room, connects, asks, and measures with its own clock; when it ends, the candidate
  is killed. Between ``bind`` and ``listen`` a connection is refused, so a scorer tries again for up to 5 seconds::

      def connect() -> socket.socket:
          until = time.monotonic() + 5
          while True:
              asking = socket.socket(socket.AF_UNIX)
              asking.settimeout(10)
              try:
                  asking.connect(os.environ["AR_SOCKET"])
                  return asking
              except OSError:
                  asking.close()
                  if time.monotonic() > until:
                      sys.exit("invalid: nobody answers at $AR_SOCKET")
                  time.sleep(0.01)

  The socket's folder is 64 KiB, the candidate's to write and the scorer's to read; what the candidate says may be
  anything, of any length, at any time, or nothing.
* All three: ``$AR_TIME_BUDGET`` (seconds) and ``$AR_RUN_SEED``. The scorer only: ``$AR_SEED``, and ``$AR_HIDDEN``
  (the hidden folder) where there is one.
* ``inprocess``: one room, in which ``score`` runs in a copy of the folder that it may change, with the candidate's
  file in its place. There is no secret in it: no ``$AR_SEED`` and no hidden files, only what ``run`` has elsewhere.
* What ``score`` writes to stderr helps the next attempt. Where the hidden files are there, only its last line that
  begins with ``invalid:`` is passed on, since anything else might quote them; nor is what a service says that was
  asked something by then.
* ``score`` prints the metric as ``ar_core.metric.read_score`` reads it, and exits with 0.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from ar_core.candidate import oversize
from ar_core.problem import Kind
from ar_sandbox.bwrap import find_tools
from ar_sandbox.environment import base_interpreter
from ar_sandbox.environment_build import GoingOn, build
from ar_sandbox.environment_cache import Environment, EnvironmentCache, default_folder
from ar_sandbox.evaluation import CANDIDATE, MUTABLE, SCORER, Evaluation, OnStart
from ar_sandbox.grade import Grade
from ar_sandbox.machine import Machine
from ar_sandbox.policy import Caps
from ar_sandbox.probe import Check, ProbeReport, probe
from ar_sandbox.result import Outcome, PreparedProblem, Result, RunSeeds

__all__ = [
    "Caps", "Check", "Grade", "OpenProblem", "Outcome", "PreparedProblem", "ProbeReport", "Result", "RunSeeds",
    "Sandbox",
]  # fmt: skip

_TREES: dict[Kind, tuple[str, ...]] = {
    Kind.DATA: (SCORER,),
    Kind.ARTIFACT: (SCORER, CANDIDATE),
    Kind.SERVICE: (SCORER, CANDIDATE),
    Kind.INPROCESS: (),
}
"""The read-only copies of the problem's folder; ``inprocess`` gets one that it may change, new each time."""
_INFRASTRUCTURE = Result(outcome=Outcome.INFRASTRUCTURE, score=None, feedback="a locked file changed")


class OpenProblem:
    """A problem on a stage, ready for many evaluations; a context manager, one evaluation at a time."""

    def __init__(self, machine: Machine, prepared: PreparedProblem, environment: Environment | None = None) -> None:
        """Take over ``environment``, which is given back by ``close``, and by a failure here."""
        self._machine, self._prepared, self._environment = machine, prepared, environment
        self._lock = threading.Lock()
        trees = _TREES[prepared.problem.evaluation.kind]
        contents = {f"{tree}/{path}": data for tree in trees for path, data in prepared.files.items()}
        if SCORER in trees:
            contents |= {f"{SCORER}/{path}": data for path, data in prepared.hidden.items()}
        self._locked = {path: hashlib.sha256(data).digest() for path, data in contents.items()}
        packages = environment.packages if environment is not None else None
        room_for = 2 * prepared.problem.files.max_bytes
        try:
            self._stage = machine.stage(contents, room_for=room_for, packages=packages)
        except BaseException:
            self._leave_environment()
            raise
        try:
            for folder in (*trees, MUTABLE):
                self._stage.folder(folder)
            for path, data in contents.items():
                self._stage.write(path, data)
        except BaseException:
            self.close()
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
                candidate=candidate, seeds=seeds, hash_seed=hash_seed, caps=caps, on_start=on_start,
            )  # fmt: skip
            self._put(candidate)
            result = _INFRASTRUCTURE if self._changed() else evaluation.result()
            if result.outcome is not Outcome.INFRASTRUCTURE and self._changed():
                result = _INFRASTRUCTURE
            return replace(result, total_seconds=time.monotonic() - begun)

    def _put(self, candidate: bytes) -> None:
        mutable = self._prepared.problem.files.mutable
        self._stage.write(f"{MUTABLE}/{PurePosixPath(mutable).name}", candidate)
        if CANDIDATE in _TREES[self._prepared.problem.evaluation.kind]:
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
        try:
            self._stage.close()
        finally:
            self._leave_environment()

    def _leave_environment(self) -> None:
        if self._environment is not None:
            self._environment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Sandbox:
    """The way in which this machine runs strangers' code; make one with ``detect``."""

    def __init__(self, machine: Machine, environments: Path | None = None) -> None:
        self.machine = machine
        self.environments = EnvironmentCache(environments or default_folder(), partial(build, machine))

    @property
    def name(self) -> str:
        """What makes the rooms."""
        return "bubblewrap"

    @classmethod
    def detect(cls, search_path: str | None = None, *, environments: Path | None = None) -> "Sandbox":
        """Return this machine's sandbox after a first trial room; raises ``PoolError`` AR-S500 with the fix.

        ``search_path`` replaces PATH. ``environments`` is the folder for the packages that problems require, by
        default one below ``AR_HOME``; it is made when the first problem needs it.
        """
        machine = Machine(find_tools(search_path), base_interpreter())
        machine.trial()
        return cls(machine, environments)

    def open(
        self,
        prepared: PreparedProblem,
        *,
        going_on: GoingOn = lambda: None,
        on_room: Callable[[], None] | None = None,
    ) -> OpenProblem:
        """Put a problem on a stage for several evaluations; raises ``PoolError`` AR-S501 where there is none.

        Where it requires packages that this machine has not yet, they are installed first, which may take minutes:
        ``going_on`` is called often meanwhile and may raise, ``on_room`` when a room has started that prepares them.
        Raises AR-S502 where they cannot be installed, AR-S503 where that may pass.
        """
        required = prepared.problem.environment.requirements
        if not required:
            return OpenProblem(self.machine, prepared)
        # A file that is not there is as good as an empty one, and refused with the same words.
        lines = prepared.files.get(required, b"")
        environment = self.environments.use(lines, going_on=going_on, on_room=on_room)
        return OpenProblem(self.machine, prepared, environment)

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
