"""A verifier: takes orders, runs both sides of each pair in rooms, and returns what was measured.

Not here: what the numbers mean. It holds no key, no git and no decision; it gets seeds and bytes, and gives scores.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from ar_coordinator.doorbell import RUN_ORDER, VERIFY_QUEUE, Doorbell, answer
from ar_coordinator.store import Store
from ar_coordinator.store.batches import LEASE_MS, Batches, Claim
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
from ar_sandbox.grade import demanded, refuse_below
from ar_sandbox.rooms import OpenProblem, Outcome, PreparedProblem, Result, RunSeeds, Sandbox

log = structlog.get_logger("verifier")

_FAILURES_TO_STOP = 2
_KEPT_OPEN = 2


@dataclass
class Verifier:
    """One verifier process: ``name`` is what evidence says measured it."""

    name: str
    store: Store
    sandbox: Sandbox
    doorbell: Doorbell

    def __post_init__(self) -> None:
        self._open: dict[tuple[tuple[str, str], ...], OpenProblem] = {}

    def run_order(self, batch: str) -> None:
        """Run one batch unless it is done or somebody else runs it, and ring the referee."""
        claim = self.store.batches.claim(batch, self.name)
        if claim is None:
            return
        order = decode_order(claim.spec)
        with _held(self.store.batches, claim):
            result = self._run(order)
        if self.store.batches.finish(claim, encode(result)):
            if isinstance(order, RegistrationOrder):
                self.doorbell.look_at_problem(order.problem)
            else:
                self.doorbell.look_at_experiment(order.experiment)

    def _run(self, order: Order) -> OrderResult:
        try:
            if isinstance(order, RegistrationOrder):
                return self._register(order)
            return self._measure(order)
        except Exception as error:
            # Whatever broke here is trouble of ours, never evidence: it is reported, and tried again.
            log.exception("order failed", problem=order.problem)
            trouble = error.message if isinstance(error, PoolError) else type(error).__name__
            if isinstance(order, RegistrationOrder):
                return _no_registration(self.name, trouble)
            return PairsResult(verifier=self.name, pairs=(), seconds=0.0, trouble=trouble)

    def _measure(self, order: PairsOrder) -> PairsResult:
        begun = time.monotonic()
        candidate = self.store.blobs.get(order.candidate)
        incumbent = self.store.blobs.get(order.incumbent)
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
        files = {path: self.store.blobs.get(blob) for path, blob in order.files.items()}
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
            files = {path: self.store.blobs.get(blob) for path, blob in order.files.items()}
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


def serve_queue(store: Store, name: str, environments: Path) -> None:
    """Be a verifier until ended, with packages in ``environments``; raises ``PoolError`` AR-S500 below grade B."""
    sandbox = Sandbox.detect(environments=environments)
    report = sandbox.probe()
    refuse_below(demanded(os.environ), report.grade, report.reason)
    doorbell = Doorbell(store.connection)
    verifier = Verifier(name, store, sandbox, doorbell)
    # What was in the hands of the one before: its batch, and perhaps a bell that it had not answered yet.
    store.batches.free(name)
    doorbell.run_orders(store.batches)
    log.info("verifier ready", name=name, grade=report.grade.value, memory_cap=report.memory_cap)
    try:
        listed = {RUN_ORDER: verifier.run_order}
        answer(store.connection, VERIFY_QUEUE, f"{name}.{time.time_ns()}", listed, leaves_at_once=True)
    finally:
        verifier.close()


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


def _no_registration(name: str, trouble: str) -> RegistrationResult:
    return RegistrationResult(
        verifier=name, ok=False, baseline=None, mean=None, sd=0.0, n=0, interval=None, seconds=0.0, secondary={},
        findings=(), trouble=trouble,
    )  # fmt: skip


@contextlib.contextmanager
def _held(batches: Batches, claim: Claim) -> Iterator[None]:
    """Renew a batch's lease from a thread of its own while the block runs."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(LEASE_MS / 3000):
            with contextlib.suppress(Exception):  # Redis is away for a moment; the fencing number protects
                if not batches.renew(claim):
                    return

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
