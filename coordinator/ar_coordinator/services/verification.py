"""The verification service: batches for verifiers on other machines, and what they measured.

Not here: which batch a verifier gets (``batch_desk``), and the bytes that a batch names (``work``). What arrives is
believed as a measurement, since verifiers are trusted with that, and with nothing else: it is bounded, made safe to
show, and named after the machine whose session sent it.
"""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ar_coordinator.batch_desk import BatchDesk
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.events import Events
from ar_coordinator.services.caller import caller
from ar_coordinator.store import Store
from ar_coordinator.store.batches import LEASE_MS, Claim
from ar_coordinator.verifier_machine import VerifierMachine
from ar_coordinator.work_order import (
    Order,
    OrderResult,
    PairsOrder,
    PairsResult,
    RegistrationResult,
    SideResult,
    decode_order,
    decode_result,
    encode,
)
from ar_core.errors import PoolError
from ar_core.records import Identity
from ar_core.text import feedback, one_line
from ar_core.wire import seconds_from_wire, seconds_to_wire
from ar_proto.v1 import verification_pb2, verification_pb2_grpc

_WAITING_SECONDS = 10.0
_GRADES = frozenset({"A", "B"})
_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})")
_PROGRAM_LETTERS = 64
_MOST_PROGRAMS = 20_000
_MOST_FINDINGS, _LINE = 100, 2000


class Verification(verification_pb2_grpc.VerificationServiceServicer):
    """`VerificationService`."""

    def __init__(self, store: Store, doorbell: Doorbell, bells: Events) -> None:
        self._store = store
        self._desk = BatchDesk(store, doorbell)
        self._bells = bells

    async def TakeBatch(  # noqa: N802
        self, request: verification_pb2.TakeBatchRequest, context: Any
    ) -> verification_pb2.TakeBatchResponse:
        """Wait for a batch that the caller's machine can run."""
        who, machine = caller(), _machine(request.machine)
        loop = asyncio.get_running_loop()
        until = loop.time() + _patience(request)
        async with self._bells.subscription() as bells:
            while True:
                claim = await asyncio.to_thread(self._take, who.machine, machine)
                left = until - loop.time()
                if claim is not None or left <= 0:
                    return _given(claim)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(bells.get(), left)
                while not bells.empty():
                    bells.get_nowait()

    def _take(self, name: str, machine: VerifierMachine) -> Claim | None:
        self._desk.arrive(name, machine)
        return self._desk.take(name, machine)

    def RenewBatch(  # noqa: N802
        self, request: verification_pb2.RenewBatchRequest, context: Any
    ) -> verification_pb2.RenewBatchResponse:
        """Keep a batch of the caller's."""
        who = caller()
        claim = self._held(who, request.batch, request.fencing)
        self._store.verifiers.still_here(who.machine)
        return verification_pb2.RenewBatchResponse(held=claim is not None and self._store.batches.renew(claim))

    def FinishBatch(  # noqa: N802
        self, request: verification_pb2.FinishBatchRequest, context: Any
    ) -> verification_pb2.FinishBatchResponse:
        """Take the result of a batch of the caller's in."""
        who = caller()
        claim = self._held(who, request.batch, request.fencing)
        if claim is None:
            return verification_pb2.FinishBatchResponse(taken=False)
        result = _checked(request.result, decode_order(claim.spec), who.machine)
        return verification_pb2.FinishBatchResponse(taken=self._desk.finish(claim, encode(result)))

    def ReturnBatches(  # noqa: N802
        self, request: verification_pb2.ReturnBatchesRequest, context: Any
    ) -> verification_pb2.ReturnBatchesResponse:
        """Free what the caller holds."""
        self._desk.give_back(caller().machine, leaving=request.leaving)
        return verification_pb2.ReturnBatchesResponse()

    def _held(self, who: Identity, batch: str, fencing: int) -> Claim | None:
        """Return a claim of the caller's; ``None`` for a batch that somebody else runs, or nobody."""
        held = self._store.batches.held(batch)
        if held is None or held[0] != who.machine:
            return None
        return Claim(batch=batch, fencing=fencing, spec=held[1])


def _patience(request: verification_pb2.TakeBatchRequest) -> float:
    if not request.HasField("patience"):
        return _WAITING_SECONDS
    return min(_WAITING_SECONDS, seconds_from_wire(request.patience))


def _given(claim: Claim | None) -> verification_pb2.TakeBatchResponse:
    if claim is None:
        return verification_pb2.TakeBatchResponse()
    return verification_pb2.TakeBatchResponse(
        batch=claim.batch, fencing=claim.fencing, order=claim.spec, tries=claim.tries,
        seconds=seconds_to_wire(claim.seconds), lease=seconds_to_wire(LEASE_MS / 1000),
    )  # fmt: skip


def _machine(said: verification_pb2.VerifierMachine) -> VerifierMachine:
    """Return what a machine says that it has; raises ``PoolError``."""
    version = _VERSION.fullmatch(said.python)
    if version is None or said.cpus < 1 or said.memory < 1 or said.gpus < 0 or len(said.programs) > _MOST_PROGRAMS:
        raise PoolError("AR-A101", "a verifier says what its machine has")
    if said.sandbox_grade not in _GRADES:
        raise PoolError("AR-S500", "a verifier needs grade B or better")
    return VerifierMachine(
        cpus=said.cpus, memory=said.memory, gpus=said.gpus,
        python=(int(version[1]), int(version[2]), int(version[3])),
        programs=frozenset(name for name in said.programs if len(name) <= _PROGRAM_LETTERS),
    )  # fmt: skip


def _checked(text: str, order: Order, machine: str) -> OrderResult:
    """Return a result that can be stored; raises ``PoolError`` AR-A101 for one that is none of this order."""
    try:
        result = decode_result(text)
    except msgspec.DecodeError:
        raise PoolError("AR-A101", "this is not a result") from None
    if isinstance(result, PairsResult) is not isinstance(order, PairsOrder):
        raise PoolError("AR-A101", "this is the result of another kind of order")
    grade = result.grade if result.grade in _GRADES else ""
    trouble = one_line(result.trouble)
    if isinstance(result, PairsResult):
        asked = {pair.index for pair in order.pairs} if isinstance(order, PairsOrder) else set()
        if len(result.pairs) > len(asked) or not {pair.index for pair in result.pairs} <= asked:
            raise PoolError("AR-A101", "it has pairs that were not asked for")
        pairs = [
            msgspec.structs.replace(pair, candidate=_shown(pair.candidate), incumbent=_shown(pair.incumbent))
            for pair in result.pairs
        ]
        return msgspec.structs.replace(result, verifier=machine, grade=grade, trouble=trouble, pairs=pairs)
    return msgspec.structs.replace(
        result, verifier=machine, grade=grade, trouble=trouble, findings=_findings(result),
        secondary={one_line(name, 64): value for name, value in result.secondary.items()},
    )  # fmt: skip


def _shown(side: SideResult | None) -> SideResult | None:
    if side is None:
        return None
    return msgspec.structs.replace(
        side, outcome=one_line(side.outcome, 40), feedback=feedback(side.feedback),
        secondary={one_line(name, 64): value for name, value in side.secondary.items()},
    )  # fmt: skip


def _findings(result: RegistrationResult) -> Sequence[Any]:
    return [
        msgspec.structs.replace(
            found,
            check=one_line(found.check, 64),
            message=one_line(found.message, _LINE),
            fix=one_line(found.fix, _LINE),
        )
        for found in result.findings[:_MOST_FINDINGS]
    ]
