"""A verifier beside the pool's Redis: answers the bells of its queue.

Not here: running a batch (``verifier``), and a verifier that reaches its pool through the coordinator only
(``remote.loop``).
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
import structlog

from ar_coordinator.batch_desk import BatchDesk
from ar_coordinator.doorbell import RUN_ORDER, VERIFY_QUEUE, Doorbell, answer
from ar_coordinator.store import Store
from ar_coordinator.store.verifiers import HEARTBEAT_SECONDS
from ar_coordinator.this_machine import this_machine
from ar_coordinator.verifier import BlobSource, Verifier, held
from ar_sandbox.grade import demanded, refuse_below
from ar_sandbox.rooms import Sandbox

log = structlog.get_logger("verifier")


@dataclass(frozen=True, slots=True)
class QueuedVerifier:
    """Runs what the desk gives it, one batch for each bell."""

    verifier: Verifier
    desk: BatchDesk

    def run_order(self, batch: str) -> None:
        """Run the batch that the bell is for, or another one that waits, if there is any for this machine."""
        claim = self.desk.take(self.verifier.name, self.verifier.machine, batch)
        if claim is None:
            return
        with held(self.desk.store.batches.renew, claim):
            result = self.verifier.run(claim)
        self.desk.finish(claim, result)


def find_sandbox(environments: Path | None = None) -> tuple[Sandbox, str]:
    """Return this machine's sandbox with its grade; raises ``PoolError`` AR-S500 where it is not good enough."""
    sandbox = Sandbox.detect(environments=environments)
    report = sandbox.probe()
    refuse_below(demanded(os.environ), report.grade, report.reason)
    return sandbox, report.grade.value


def serve_queue(store: Store, name: str, environments: Path | None, blobs: BlobSource | None = None) -> None:
    """Be a verifier until ended, with packages in ``environments``; raises ``PoolError`` AR-S500 below grade B."""
    sandbox, grade = find_sandbox(environments)
    desk = BatchDesk(store, Doorbell(store.connection))
    verifier = Verifier(name, blobs or store.blobs, sandbox, this_machine(), grade)
    queued = QueuedVerifier(verifier, desk)
    # What was in the hands of the one before: its batch, and perhaps a bell that it had not answered yet.
    desk.give_back(name, leaving=False)
    with _present(desk, verifier):
        desk.doorbell.run_orders(store.batches)
        log.info("verifier ready", name=name, grade=grade, memory_cap=sandbox.machine.memory_cap.name)
        try:
            listed = {RUN_ORDER: queued.run_order}
            answer(store.connection, VERIFY_QUEUE, f"{name}.{time.time_ns()}", listed, leaves_at_once=True)
        finally:
            verifier.close()


@contextlib.contextmanager
def _present(desk: BatchDesk, verifier: Verifier) -> Iterator[None]:
    """Be known to be there while the block runs."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(redis.RedisError):  # away for a moment
                desk.arrive(verifier.name, verifier.machine)

    desk.arrive(verifier.name, verifier.machine)
    threading.Thread(target=beat, name="present", daemon=True).start()
    try:
        yield
    finally:
        done.set()
        with contextlib.suppress(redis.RedisError):
            desk.give_back(verifier.name, leaving=True)
