"""A verifier: runs both sides of each pair of an order in rooms, and returns what was measured.

Not here: what the numbers mean, and where orders come from (``verifier_queue``, ``remote.loop``). It holds no key, no
git and no decision; it gets seeds and bytes, and gives scores.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

import msgspec
import structlog

from ar_coordinator.store.batches import LEASE_MS, Claim
from ar_coordinator.verifier_machine import VerifierMachine, needs_of, too_small
from ar_coordinator.work_order import (
    FindingResult,
    Order,
    OrderResult,
    PairOrder,
    PairResult,
    PairsOrder,
    PairsResult,
    RegistrationOrder,
    RegistrationResult,
    SideResult,
    decode_order,
    encode,
)
from ar_core.acceptance.student import mean_interval
from ar_core.errors import PoolError
from ar_core.manifest import read_manifest
from ar_core.problem import MANIFEST_NAME
from ar_sandbox import registration
from ar_sandbox.rooms import OpenProblem, Outcome, PreparedProblem, Result, RunSeeds, Sandbox

log = structlog.get_logger("verifier")

_FAILURES_TO_STOP = 2
_KEPT_OPEN = 2
_MOST_TRIES = 6
"""A batch that was begun more often and never finished ends whoever runs it: trouble, and no longer a batch."""


class OutOfTimeError(Exception):
    """A batch took longer than it may."""


class BlobSource(Protocol):
    """Where a verifier gets bytes from."""

    def get(self, name: str) -> bytes:
        """Return the bytes with this SHA-256, which were compared with it."""
        ...


@dataclass
class Verifier:
    """One verifier process: ``name`` is what evidence says measured it, in rooms of ``grade``."""

    name: str
    blobs: BlobSource
    sandbox: Sandbox
    machine: VerifierMachine
    grade: str = ""

    def __post_init__(self) -> None:
        self._open: dict[tuple[tuple[str, str], ...], OpenProblem] = {}

    def run(self, claim: Claim) -> str:
        """Run a batch, for as long as it may take, and return its result; what breaks here is in it as trouble."""
        order = decode_order(claim.spec)
        if claim.tries > _MOST_TRIES:
            result = self._troubled(order, f"it was begun {claim.tries - 1} times and never finished")
        else:
            result = self._run(order, claim.seconds)
        return encode(msgspec.structs.replace(result, grade=self.grade))

    def _run(self, order: Order, seconds: float) -> OrderResult:
        try:
            with _within(seconds):
                return self._register(order) if isinstance(order, RegistrationOrder) else self._measure(order)
        except OutOfTimeError:
            log.warning("order out of time", problem=order.problem, seconds=seconds)
            self.close()
            return self._troubled(order, f"it took longer than {seconds:.0f} s")
        except Exception as error:
            # Whatever broke here is trouble of ours, never evidence: it is reported, and tried again.
            log.exception("order failed", problem=order.problem)
            return self._troubled(order, error.message if isinstance(error, PoolError) else type(error).__name__)

    def _troubled(self, order: Order, trouble: str) -> OrderResult:
        if isinstance(order, RegistrationOrder):
            return _no_registration(self.name, trouble=trouble)
        return PairsResult(verifier=self.name, pairs=(), seconds=0.0, trouble=trouble)

    def _measure(self, order: PairsOrder) -> PairsResult:
        begun = time.monotonic()
        candidate = self.blobs.get(order.candidate)
        incumbent = self.blobs.get(order.incumbent)
        stage = self._stage(order)
        pairs: list[PairResult] = []
        trouble = ""
        for pair in order.pairs:
            measured = _measure_pair(stage, pair, candidate, incumbent)
            trouble = _trouble(measured)
            if trouble:
                break
            pairs.append(measured)
            if _settled_by_failure(pairs, deterministic=order.deterministic):
                break
        if trouble:
            self.close()  # a stage that failed is not used again
        return PairsResult(verifier=self.name, pairs=pairs, seconds=time.monotonic() - begun, trouble=trouble)

    def _register(self, order: RegistrationOrder) -> RegistrationResult:
        files = {path: self.blobs.get(blob) for path, blob in order.files.items()}
        missing = too_small(needs_of(read_manifest(files[MANIFEST_NAME])), self.machine)
        if missing:
            return _no_registration(self.name, _no_machine(missing))
        report = registration.register(
            files,
            sandbox=self.sandbox,
            runs=order.runs,
            seeds=lambda i: RunSeeds(
                run=order.seeds[i % len(order.seeds)][0], scorer=order.seeds[i % len(order.seeds)][1]
            ),
            clock=time.monotonic,
        )
        noise = report.noise
        return RegistrationResult(
            verifier=self.name,
            ok=report.ok,
            baseline=report.baseline,
            mean=noise.mean if noise else None,
            sd=noise.sd if noise else 0.0,
            n=noise.n if noise else 0,
            interval=mean_interval(noise.mean, noise.sd, noise.n) if noise else None,
            seconds=report.seconds,
            secondary=dict(report.baseline_secondary),
            findings=[
                FindingResult(check=f.check, severity=f.severity, message=f.message, fix=f.fix)
                for f in report.findings
            ],
        )

    def _stage(self, order: PairsOrder) -> OpenProblem:
        """Return the problem opened on a stage, kept for the next batch of the same files."""
        key = tuple(sorted(order.files.items()))
        found = self._open.pop(key, None)
        if found is None:
            files = {path: self.blobs.get(blob) for path, blob in order.files.items()}
            problem = read_manifest(files[MANIFEST_NAME])
            found = self.sandbox.open(PreparedProblem.of(problem, files))
        self._open[key] = found
        while len(self._open) > _KEPT_OPEN:
            self._open.pop(next(iter(self._open))).close()
        return found

    def close(self) -> None:
        """Give every stage back."""
        while self._open:
            self._open.popitem()[1].close()


def _measure_pair(stage: OpenProblem, pair: PairOrder, candidate: bytes, incumbent: bytes) -> PairResult:
    """Run both sides, one after the other in the order of the coin; a side that we failed runs once more."""
    sides = {"candidate": candidate, "incumbent": incumbent}
    names = list(sides) if pair.first == "candidate" else list(reversed(sides))
    seeds = RunSeeds(run=pair.run_seed, scorer=pair.scorer_seed)
    results: dict[str, SideResult] = {}
    for name in names:
        result = stage.evaluate(sides[name], seeds, hash_seed=pair.hash_seed)
        if result.outcome is Outcome.INFRASTRUCTURE:
            result = stage.evaluate(sides[name], seeds, hash_seed=pair.hash_seed)
        results[name] = _side(result)
    return PairResult(index=pair.index, candidate=results["candidate"], incumbent=results["incumbent"])


def _seeds(order: RegistrationOrder, index: int) -> RunSeeds:
    run, scorer = order.seeds[index % len(order.seeds)]
    return RunSeeds(run=run, scorer=scorer)


def _side(result: Result) -> SideResult:
    return SideResult(
        outcome=result.outcome.value,
        score=result.score,
        secondary=dict(result.secondary),
        feedback=result.feedback,
        seconds=result.seconds,
    )


def _trouble(pair: PairResult) -> str:
    """Return what of ours failed in a pair, if anything did."""
    for side in (pair.candidate, pair.incumbent):
        if side is not None and side.outcome == Outcome.INFRASTRUCTURE:
            return side.feedback or "the sandbox failed"
    return ""


def _settled_by_failure(pairs: list[PairResult], *, deterministic: bool) -> bool:
    """Tell whether further runs would only repeat a failure: it costs a whole time budget each."""
    needed = 1 if deterministic else _FAILURES_TO_STOP
    failures = [p for p in pairs if p.candidate is not None and p.candidate.score is None]
    return len(failures) == len(pairs) and len(pairs) >= needed


def _no_registration(name: str, *findings: FindingResult, trouble: str = "") -> RegistrationResult:
    return RegistrationResult(
        verifier=name, ok=False, baseline=None, mean=None, sd=0.0, n=0, interval=None, seconds=0.0, secondary={},
        findings=findings, trouble=trouble,
    )  # fmt: skip


def _no_machine(missing: str) -> FindingResult:
    return FindingResult(
        check="resources", severity="error", message=f"No verifier that is here now has {missing}.",
        fix="ask for less in [resources], or publish again when the pool has such a verifier",
    )  # fmt: skip


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise ``OutOfTimeError`` in the block when it takes longer; in the main thread only."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(1.0, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def held(renew: Callable[[Claim], bool], claim: Claim) -> Iterator[None]:
    """Renew a batch's lease from a thread of its own while the block runs."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(LEASE_MS / 3000):
            with contextlib.suppress(Exception):  # nobody answers for a moment; the fencing number protects
                if not renew(claim):
                    return

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
