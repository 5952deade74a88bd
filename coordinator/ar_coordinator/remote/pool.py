"""A pool as a verifier elsewhere sees it: one method for each call, every failure a ``PoolError``.

Not here: when to call (``loop``), and the identity's files (``place``, ``enrolment``).
"""

import threading
import time
from types import TracebackType
from typing import Self

import grpc

from ar_client.calls import Calls
from ar_client.channel import open_channel, pinned_certificate
from ar_client.failure import NO_CONNECTION, translate
from ar_client.identity import Home, Login
from ar_client.session import Session
from ar_coordinator.remote.enrolment import NEXT
from ar_coordinator.store.batches import Claim
from ar_coordinator.verifier_machine import VerifierMachine
from ar_coordinator.work_order import shorter
from ar_core.errors import PoolError
from ar_core.signing import KeyFormatError, private_key_from_text
from ar_core.wire import seconds_from_wire
from ar_proto.v1 import verification_pb2, verification_pb2_grpc, work_pb2, work_pb2_grpc

_TAKE_SECONDS = 40.0
_RENEW_SECONDS = 5.0
_LEAVE_SECONDS = 2.0
_BLOB_SECONDS = 120.0
_BLOB_TRIES = 5
_MAX_BLOB_BYTES = 64 * 1024**2
_TOO_MANY = "AR-A103"
_MOST_BYTES = 1536 * 1024
"""Of a result: the pool reads messages of 2 MiB."""


class RemotePool:
    """One pool over one connection, as one verifier; use it as a context manager."""

    def __init__(self, login: Login, home: Home) -> None:
        try:
            key = private_key_from_text(home.key_text(login.digest) or "")
        except KeyFormatError:
            raise PoolError(
                "AR-A106", f"the key below {home.folder} is missing or damaged", hint="enrol again with a new token"
            ) from None
        self._login = login
        self._channel = open_channel(login.address, login.certificate)
        session = Session(self._channel, identity=login.identity, key=key, home=home, clock=time.time)
        # Each has a thread of its own: a batch is renewed, and given back, while another call waits for its answer.
        self._calls, self._renewals, self._farewell = (Calls(session, self._explain) for _ in range(3))
        self._verification = verification_pb2_grpc.VerificationServiceStub(self._channel)
        self._work = work_pb2_grpc.WorkServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def take(self, machine: VerifierMachine, grade: str) -> Claim | None:
        """Wait a while for a batch for this machine; ``None`` when none came."""
        request = verification_pb2.TakeBatchRequest(
            machine=verification_pb2.VerifierMachine(
                cpus=machine.cpus, memory=machine.memory, gpus=machine.gpus, sandbox_grade=grade,
                python=".".join(map(str, machine.python)), programs=sorted(machine.programs),
            )
        )  # fmt: skip
        answer = self._calls.unary(self._verification.TakeBatch, request, seconds=_TAKE_SECONDS)
        if not answer.batch:
            return None
        return Claim(
            batch=answer.batch, fencing=answer.fencing, spec=answer.order, tries=answer.tries,
            seconds=seconds_from_wire(answer.seconds),
        )  # fmt: skip

    def renew(self, claim: Claim) -> bool:
        """Keep a batch; ``False`` when it is lost."""
        request = verification_pb2.RenewBatchRequest(batch=claim.batch, fencing=claim.fencing)
        return self._renewals.unary(self._verification.RenewBatch, request, seconds=_RENEW_SECONDS).held

    def finish(self, claim: Claim, result: str) -> bool:
        """Hand a result in; ``False`` when somebody else has the batch by now."""
        request = verification_pb2.FinishBatchRequest(
            batch=claim.batch, fencing=claim.fencing, result=shorter(result, _MOST_BYTES)
        )
        return self._calls.unary(self._verification.FinishBatch, request).taken

    def return_batches(self, *, leaving: bool) -> None:
        """Give back whatever this verifier holds."""
        request = verification_pb2.ReturnBatchesRequest(leaving=leaving)
        seconds = _LEAVE_SECONDS if leaving else 2 * _RENEW_SECONDS
        self._farewell.unary(self._verification.ReturnBatches, request, seconds=seconds)

    def blob(self, name: str) -> bytes:
        """Return the bytes of a blob that a batch in hand names, as fast as the pool wants."""
        for _ in range(_BLOB_TRIES):
            try:
                return self._fetch(name)
            except PoolError as error:
                if error.code != _TOO_MANY:
                    raise
                threading.Event().wait(min(60.0, error.retry_after or 1.0))
        raise PoolError(_TOO_MANY, "a file could not be fetched")

    def _fetch(self, name: str) -> bytes:
        data = bytearray()
        request = work_pb2.FetchBlobRequest(sha256=name)
        for part in self._calls.stream(self._work.FetchBlob, request, seconds=_BLOB_SECONDS):
            data += part.data
            if len(data) > _MAX_BLOB_BYTES:
                raise PoolError("AR-A101", "the pool sent more bytes than a problem may have")
        return bytes(data)

    def _explain(self, error: grpc.RpcError) -> PoolError:
        """Return the failure; where no connection was made, look why, since gRPC tells it to its log only."""
        failure = translate(error)
        if failure.code in {"AR-I201", "AR-I206"}:
            return PoolError(failure.code, failure.detail, hint=NEXT)
        if failure.code == NO_CONNECTION and not failure.detail:
            try:
                pinned_certificate(self._login.address, self._login.digest)
            except PoolError as found:
                return found
            return PoolError(NO_CONNECTION, f"{self._login.address} did not take the call")
        return failure
