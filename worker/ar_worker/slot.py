"""One evaluation slot: a thread that lives as long as the worker, with the problem it works on open on a stage.

Not here: what it is told to do next (``session``). The thread has to be long-lived: rooms end with the thread that
made them. It is the only place from which candidates are run.
"""

import contextlib
import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

from ar_core.candidate import content_hash
from ar_core.errors import PoolError
from ar_sandbox.policy import Caps
from ar_sandbox.result import PreparedProblem, Result, RunSeeds
from ar_sandbox.rooms import OpenProblem, Sandbox
from ar_worker import events as on
from ar_worker.lease import LeaseWork, SandboxTroubleError
from ar_worker.material import Material, UnusableTaskError
from ar_worker.task import LeaseName

Post = Callable[[on.Event], None]


class _KilledError(BaseException):
    """Raised inside the thread, wherever it is, so that the room that runs there ends at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begin:
    lease: LeaseName
    material: Material
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    lease: LeaseName


@dataclass(frozen=True, slots=True, kw_only=True)
class _GoOnFrom:
    lease: LeaseName
    content: bytes


_Step = _Begin | _Try | _GoOnFrom


class Slot:
    """Does one step after the other and posts what came of it; ``post`` is called from the slot's thread."""

    def __init__(self, sandbox: Sandbox, caps: Caps, post: Post, name: str) -> None:
        self._sandbox, self._caps, self._post = sandbox, caps, post
        self._steps: SimpleQueue[_Step | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._inside: LeaseName | None = None
        self._in_room = False
        self._killed: set[LeaseName] = set()
        self._open: OpenProblem | None = None
        self._digest = ""
        self._work: LeaseWork | None = None
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    # --- Called from anywhere

    def begin(self, material: Material, seed: int) -> None:
        """Open a task's problem and run its parent; posts ``Prepared`` or ``Failed``."""
        self._steps.put(_Begin(lease=material.task.lease, material=material, seed=seed))

    def evaluate(self, lease: LeaseName) -> None:
        """Propose and evaluate one candidate; posts ``Proposed`` and ``Evaluated``, or ``Failed``."""
        self._steps.put(_Try(lease=lease))

    def go_on_from(self, lease: LeaseName, content: bytes) -> None:
        """Run somebody else's better version and go on from it; posts ``Rebased`` or ``Failed``."""
        self._steps.put(_GoOnFrom(lease=lease, content=content))

    def kill(self, lease: LeaseName) -> None:
        """Do nothing more for a lease; a room that runs for it is killed, and nothing is posted about it."""
        with self._lock:
            if lease in self._killed:
                return
            self._killed.add(lease)
            if self._inside == lease and self._in_room:
                _raise_in(self._thread)

    def close(self) -> None:
        """Let the thread end after its present step; see ``join``."""
        self._steps.put(None)

    def join(self, seconds: float) -> bool:
        """Wait until the thread has ended, and with it every process of it; tell whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # --- In the thread

    def _live(self) -> None:
        while True:
            try:
                step = self._steps.get()
                if step is None:
                    break
                self._attempt(step)
            except _KilledError:
                # Wherever it struck, the stage may be in the middle of something.
                self._clear()
        self._clear()

    def _attempt(self, step: _Step) -> None:
        try:
            with self._inside_of(step.lease) as wanted:
                if wanted:
                    self._do(step)
        except (UnusableTaskError, SandboxTroubleError) as error:
            self._post(on.Failed(lease=step.lease, why=str(error)))
        except PoolError as error:
            self._clear()
            self._post(on.Failed(lease=step.lease, why=error.message))
        except Exception as error:
            self._clear()
            self._post(on.Failed(lease=step.lease, why=f"an unexpected {type(error).__name__}"))

    @contextlib.contextmanager
    def _inside_of(self, lease: LeaseName) -> Iterator[bool]:
        """Say which lease is worked on, for ``kill``; give ``False`` for one that was killed before."""
        with self._lock:
            wanted = lease not in self._killed
            self._inside = lease if wanted else None
        try:
            yield wanted
        finally:
            with self._lock:
                self._inside = None

    def _do(self, step: _Step) -> None:
        if isinstance(step, _Begin):
            self._begin(step)
            return
        if self._work is None:
            raise SandboxTroubleError("the sandbox failed before")
        if isinstance(step, _Try):
            self._try(step, self._work)
        else:
            stands = self._work.rebase(step.content)
            self._post(on.Rebased(lease=step.lease, claim_stands=stands))

    def _begin(self, step: _Begin) -> None:
        self._work = None
        prepared = step.material.prepared
        begun = time.monotonic()
        if self._open is None or self._digest != prepared.digest:
            self._clear()
            self._open, self._digest = self._opened(prepared), prepared.digest
        opening = time.monotonic() - begun
        self._work = LeaseWork(step.material, self._run, step.seed)
        direction = step.material.problem.metric.direction
        score = self._work.parent_score
        self._post(on.Prepared(lease=step.lease, direction=direction, parent_score=score, opening=opening))

    def _opened(self, prepared: PreparedProblem) -> OpenProblem:
        """Open a problem, which may take long where packages have to be installed; ``kill`` ends that, too."""
        on_room = partial(self._room_started, "packages")
        try:
            return self._sandbox.open(prepared, going_on=self._go_on, on_room=on_room)
        finally:
            with self._lock:
                self._in_room = False

    def _go_on(self) -> None:
        """Notice a ``kill`` where no room runs."""
        with self._lock:
            self._in_room = False
            if self._inside in self._killed:
                raise _KilledError

    def _try(self, step: _Try, work: LeaseWork) -> None:
        proposal = work.propose()
        if proposal is None:
            self._post(on.Evaluated(lease=step.lease, trial=None))
            return
        hashed = content_hash(proposal.content)
        self._post(on.Proposed(lease=step.lease, content_hash=hashed, note=proposal.note))
        trial = work.try_out(proposal)
        self._post(on.Evaluated(lease=step.lease, trial=trial))

    def _run(self, content: bytes, seeds: RunSeeds, hash_seed: int) -> Result:
        if self._open is None:
            raise SandboxTroubleError("the problem is not open")
        try:
            return self._open.evaluate(
                content, seeds, hash_seed=hash_seed, caps=self._caps, on_start=self._room_started
            )
        finally:
            with self._lock:
                self._in_room = False

    def _room_started(self, _room: str) -> None:
        """From here on ``kill`` strikes; before, an exception might lose track of a process that is being made."""
        with self._lock:
            if self._inside in self._killed:
                raise _KilledError
            self._in_room = True

    def _clear(self) -> None:
        open_problem, self._open, self._digest, self._work = self._open, None, "", None
        if open_problem is not None:
            with contextlib.suppress(OSError, PoolError):
                open_problem.close()


def _raise_in(thread: threading.Thread) -> None:
    """Raise ``_KilledError`` in a thread; the sandbox cleans up after an exception wherever it comes."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_KilledError))
