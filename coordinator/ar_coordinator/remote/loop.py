"""A verifier elsewhere at work: asks its pool for a batch, runs it, hands the result in, until it is ended.

Not here: the calls (``pool``) and running a batch (``verifier``). A pool that is away for a while is asked again.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

import structlog

from ar_client.address import parse_address
from ar_client.failure import PASSING
from ar_client.identity import Login
from ar_coordinator.doorbell import LeavingNow
from ar_coordinator.remote.blobs import RemoteBlobs
from ar_coordinator.remote.enrolment import enrol
from ar_coordinator.remote.place import alone, find_home
from ar_coordinator.remote.pool import RemotePool
from ar_coordinator.store import open_store
from ar_coordinator.store.batches import Claim
from ar_coordinator.this_machine import this_machine
from ar_coordinator.verifier import Verifier, held
from ar_coordinator.verifier_queue import find_sandbox, serve_queue
from ar_core.errors import PoolError
from ar_core.tokens import parse_token

log = structlog.get_logger("verifier")

_PAUSE_FIRST, _PAUSE_LONGEST = 0.5, 15.0
_TAKEN_LATER = PASSING | {"AR-A100", "AR-C605"}
T = TypeVar("T")


def serve_elsewhere(coordinator: str, token: str, *, name: str, redis_url: str) -> None:
    """Be a verifier of the pool at ``coordinator`` until ended; raises ``PoolError`` for what does not pass.

    With ``redis_url`` batches come from that Redis, and only bytes through the coordinator.
    """
    address, parsed = parse_address(coordinator), parse_token(token) if token else None
    home = find_home()
    with alone(home):
        login = enrol(home, address, parsed, name=name)
        with RemotePool(login, home) as pool:
            blobs = RemoteBlobs(pool.blob)
            if redis_url:
                serve_queue(open_store(redis_url, home.folder), login.machine, None, blobs)
                return
            _serve(pool, login, blobs)


def _serve(pool: RemotePool, login: Login, blobs: RemoteBlobs) -> None:
    sandbox, grade = find_sandbox()
    verifier = Verifier(login.machine, blobs, sandbox, this_machine(), grade)
    loop = RemoteVerifier(verifier, pool)
    with contextlib.suppress(LeavingNow), _leaves_at_once():
        try:
            loop.until_it_passes(lambda: pool.return_batches(leaving=False))
            log.info("verifier ready", name=login.machine, grade=grade, coordinator=str(login.address))
            while True:
                loop.turn()
        finally:
            verifier.close()
            with contextlib.suppress(PoolError):
                pool.return_batches(leaving=True)


class RemoteVerifier:
    """One batch after the other."""

    def __init__(self, verifier: Verifier, pool: RemotePool) -> None:
        self._verifier, self._pool = verifier, pool

    def turn(self) -> None:
        """Wait for a batch, run it and hand its result in."""
        verifier = self._verifier
        claim = self.until_it_passes(lambda: self._pool.take(verifier.machine, verifier.grade))
        if claim is None:
            return
        with held(self._pool.renew, claim):
            result = verifier.run(claim)
            self._hand_in(claim, result)

    def _hand_in(self, claim: Claim, result: str) -> None:
        try:
            taken = self.until_it_passes(lambda: self._pool.finish(claim, result))
        except PoolError as error:
            if error.code != "AR-A101":
                raise
            log.error("result refused", batch=claim.batch, error=error.message)
            return
        if not taken:
            log.warning("batch was lost", batch=claim.batch)

    def until_it_passes(self, call: Callable[[], T]) -> T:
        """Return what a call answers, however long its pool is away; raises ``PoolError`` for what does not pass."""
        pause = _PAUSE_FIRST
        while True:
            try:
                return call()
            except PoolError as error:
                if error.code not in _TAKEN_LATER:
                    raise
                log.warning("no answer, trying again", error=error.message, seconds=pause)
                threading.Event().wait(max(pause, min(60.0, error.retry_after or 0.0)))
                pause = min(_PAUSE_LONGEST, 2 * pause)


@contextlib.contextmanager
def _leaves_at_once() -> Iterator[None]:
    """Raise ``LeavingNow`` in the block on the first SIGTERM or SIGINT; a second ends the process."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(130))
        raise LeavingNow

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    yield
