"""The worker's connection to its pool: pinned TLS, a session, the work stream, and blobs.

Not here: what is said on the stream (``session``). Everything here can be cancelled at once, so that a pool that does
not answer never keeps a machine from its owner.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable

import grpc
import grpc.aio

from ar_client.channel import MAX_MESSAGE_BYTES, pinned_certificate
from ar_client.failure import NO_CONNECTION, is_unauthenticated, translate
from ar_client.identity import CachedSession, Home, Login
from ar_core.candidate import sha256
from ar_core.errors import PoolError
from ar_core.signing import SESSION_DOMAIN, PrivateKey, sign
from ar_core.tokens import CERTIFICATE_NAME
from ar_core.wire import role_from_wire, seconds_from_wire
from ar_proto.v1 import enrolment_pb2, enrolment_pb2_grpc, work_pb2, work_pb2_grpc
from ar_worker import wire
from ar_worker.blob_cache import BlobCache
from ar_worker.enrolment import require_worker
from ar_worker.material import UnusableTaskError

_CALL_SECONDS = 10.0
_BLOB_SECONDS = 120.0
_BLOB_TRIES = 5
_BLOBS_AT_A_TIME = 8
_TOO_MANY = "AR-A103"
_MAX_BLOB_BYTES = 64 * 1024**2
_EXPLAIN_SECONDS = 2.0
_MARGIN_SECONDS = 60.0
_HINT = "ask the pool's operator for a token, then run `ar-worker join HOST:PORT --token T`"

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.ssl_target_name_override", CERTIFICATE_NAME),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),
    # A quiet stream that a router forgot shows within a minute and a half; its leases are kept for a minute more.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # When to try again is the session's decision.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
)

Metadata = tuple[tuple[str, str], ...]
Stream = grpc.aio.StreamStreamCall[work_pb2.WorkRequest, work_pb2.WorkResponse]


class Connection:
    """One pool, as one machine; an asynchronous context manager. Failures are ``PoolError``."""

    def __init__(self, login: Login, key: PrivateKey, home: Home, cache: BlobCache) -> None:
        self._login, self._key, self._home, self._cache = login, key, home, cache
        credentials = grpc.ssl_channel_credentials(root_certificates=login.certificate.encode("ascii"))
        self._channel = grpc.aio.secure_channel(str(login.address), credentials, options=_OPTIONS)
        self._enrolment = enrolment_pb2_grpc.EnrolmentServiceStub(self._channel)
        self._work = work_pb2_grpc.WorkServiceStub(self._channel)
        self._outbox: asyncio.Queue[work_pb2.WorkRequest | None] = asyncio.Queue()
        self._stream: Stream | None = None

    async def close(self) -> None:
        """End the connection and every call on it."""
        if self._stream is not None:
            self._stream.cancel()
        await self._channel.close()

    # --- The stream

    async def messages(self, opened: Callable[[], None]) -> AsyncIterator[work_pb2.WorkResponse]:
        """Open a stream, call ``opened``, and yield what the pool says until the stream ends, which raises."""
        metadata = await self._admitted()
        outbox = self._outbox = asyncio.Queue()
        stream: Stream = self._work.Work(metadata=metadata)
        self._stream = stream
        writer: asyncio.Task[None] | None = None
        try:
            await stream.wait_for_connection()
            writer = asyncio.create_task(self._write(stream, outbox))
            opened()
            async for message in stream:
                for said in wire.apart(message):
                    yield said
            raise PoolError(NO_CONNECTION, "the pool ended the stream")
        except grpc.RpcError as error:
            raise await self._explain(error) from None
        finally:
            stream.cancel()
            if writer is not None:
                writer.cancel()

    async def _admitted(self) -> Metadata:
        """Return the metadata of a session that the pool accepts from a worker.

        It is asked with a small call first: where the pool refuses a stream while the first message is on its way,
        gRPC may tell the failed message instead of the refusal.
        """
        for renew in (False, True):
            metadata = await self._metadata(renew=renew)
            try:
                answer = await self._enrolment.WhoAmI(
                    enrolment_pb2.WhoAmIRequest(), metadata=metadata, timeout=_CALL_SECONDS
                )
            except grpc.RpcError as error:
                if renew or not is_unauthenticated(error):
                    raise await self._explain(error) from None
                continue
            require_worker(role_from_wire(answer.identity.role))
            break
        return metadata

    def say(self, message: work_pb2.WorkRequest) -> None:
        """Send a message after those before it; without a stream it is lost, as it would be on a broken one."""
        self._outbox.put_nowait(message)

    async def flush(self, seconds: float) -> None:
        """Send what is to be sent, say that nothing more follows, and wait until the pool has ended the stream."""
        stream = self._stream
        if stream is None:
            return
        self._outbox.put_nowait(None)
        with contextlib.suppress(TimeoutError, asyncio.CancelledError, grpc.RpcError):
            await asyncio.wait_for(stream.code(), seconds)

    @staticmethod
    async def _write(stream: Stream, outbox: "asyncio.Queue[work_pb2.WorkRequest | None]") -> None:
        # A stream that broke says so to its reader.
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            async for message in wire.together(outbox):
                await stream.write(message)
            await stream.done_writing()

    # --- Blobs

    async def blob(self, name: str) -> bytes:
        """Return the bytes with this SHA-256, from the cache or the pool; raises ``UnusableTaskError`` else."""
        data = self._cache.get(name)
        if data is not None:
            return data
        data = await self._fetched(name)
        if sha256(data) != name:
            raise UnusableTaskError("the pool sent other bytes than it named")
        self._cache.put(name, data)
        return data

    async def blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return several blobs by their SHA-256, a few at a time; raises as ``blob``."""
        gate = asyncio.Semaphore(_BLOBS_AT_A_TIME)

        async def one(name: str) -> tuple[str, bytes]:
            async with gate:
                return name, await self.blob(name)

        return dict(await asyncio.gather(*(one(name) for name in dict.fromkeys(names))))

    async def _fetched(self, name: str) -> bytes:
        """Fetch a blob, as slowly as the pool wants."""
        for _ in range(_BLOB_TRIES):
            try:
                return await self._fetch(name)
            except grpc.RpcError as error:
                failure = translate(error)
            if failure.code != _TOO_MANY:
                break
            await asyncio.sleep(min(60.0, failure.retry_after or 1.0))
        raise UnusableTaskError(f"a file could not be fetched: {failure.message}")

    async def _fetch(self, name: str) -> bytes:
        data = bytearray()
        request = work_pb2.FetchBlobRequest(sha256=name)
        call = self._work.FetchBlob(request, metadata=await self._metadata(renew=False), timeout=_BLOB_SECONDS)
        async for part in call:
            data += part.data
            if len(data) > _MAX_BLOB_BYTES:
                call.cancel()
                raise UnusableTaskError("the pool sent more bytes than a problem may have")
        return bytes(data)

    # --- The session

    async def _metadata(self, *, renew: bool) -> Metadata:
        try:
            return (("authorization", f"Bearer {await self._token(renew=renew)}"),)
        except grpc.RpcError as error:
            raise await self._explain(error) from None

    async def _token(self, *, renew: bool) -> str:
        cached = self._home.session()
        if not renew and cached and cached.identity == self._login.identity and cached.expires > time.time():
            return cached.token
        challenge = await self._enrolment.Challenge(
            enrolment_pb2.ChallengeRequest(identity_id=self._login.identity), timeout=_CALL_SECONDS
        )
        answer = await self._enrolment.OpenSession(
            enrolment_pb2.OpenSessionRequest(
                identity_id=self._login.identity,
                nonce=challenge.nonce,
                signature=sign(self._key, SESSION_DOMAIN, challenge.nonce),
            ),
            timeout=_CALL_SECONDS,
        )
        expires = time.time() + max(0.0, seconds_from_wire(answer.lifetime) - _MARGIN_SECONDS)
        session = CachedSession(identity=self._login.identity, token=answer.session_token, expires=expires)
        self._home.save_session(session)
        return answer.session_token

    async def _explain(self, error: grpc.RpcError) -> PoolError:
        """Return the failure; where no connection was made, look why, since gRPC tells it to its log only."""
        failure = translate(error)
        if failure.code == "AR-I201":
            return PoolError(failure.code, failure.detail, hint=_HINT)
        if failure.code == NO_CONNECTION and not failure.detail:
            try:
                await asyncio.to_thread(pinned_certificate, self._login.address, self._login.digest, _EXPLAIN_SECONDS)
            except PoolError as found:
                return found
            return PoolError(NO_CONNECTION, f"{self._login.address} did not take the call")
        return failure
