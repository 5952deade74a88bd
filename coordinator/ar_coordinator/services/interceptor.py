"""The one place through which every call comes: authenticates, limits, and turns errors into statuses.

Not here: what a call does. Methods of one request run in a thread each, so that they may block on Redis; streams
run on the event loop.
"""

import asyncio
import inspect
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import redis
import structlog
from google.protobuf.message import DecodeError

from ar_coordinator.services import caller
from ar_coordinator.services.permissions import ANYBODY, PERMISSIONS
from ar_coordinator.store import Store
from ar_core.errors import PoolError
from ar_core.records import Identity, Role

log = structlog.get_logger("grpc")

_CALLS_A_MINUTE = 1200
_VERIFIERS_CALLS_A_MINUTE = 12_000
"""A verifier fetches each file of a problem by itself, and must be able to renew its batch meanwhile."""
_FULL_BYTES = 1024 * 1024
_UNKNOWN_CALLS_A_MINUTE = 120
_REFUSED_CALLS_A_MINUTE = 600
_STREAMS = 64


class Gate(grpc.aio.ServerInterceptor):
    """Authenticates by session token, allows by role, limits by caller, and translates errors."""

    def __init__(self, store: Store, disk: Path) -> None:
        """``disk`` is a folder on the disk that the pool's data is on."""
        self._store = store
        self._disk = disk
        self._rates = Rates()
        self._streams = Streams()

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Wrap the method's handler."""
        handler = await continuation(details)
        if handler is None:
            return None
        method = str(details.method)
        if method.startswith("/grpc."):  # health and reflection: to them nonsense is an empty message
            read = handler.request_deserializer
            return handler._replace(request_deserializer=_lenient(read, lambda: read(b"")))
        token = _bearer(dict(details.invocation_metadata or ()))
        return self._wrapped(handler, method, token)

    def _wrapped(self, handler: Any, method: str, token: str) -> Any:
        async def identify(context: Any) -> Identity | None:
            address = str(context.peer()).rpartition(":")[0]
            try:
                identity = await asyncio.to_thread(self._identify, method, token)
            except PoolError:
                # Guessing sessions is limited too, in a count of its own: it must not keep others from signing in.
                self._rates.check(f"refused {address}", _REFUSED_CALLS_A_MINUTE)
                raise
            who = identity.id if identity else address
            self._rates.check(who, _calls_a_minute(identity))
            return identity

        async def unary(request: Any, context: Any) -> Any:
            try:
                caller.current.set(await identify(context))
                function = handler.unary_unary or handler.stream_unary
                request = _readable(request, method) if handler.unary_unary else _all_readable(request, method)
                if inspect.iscoroutinefunction(function):
                    return await function(request, context)
                return await asyncio.to_thread(function, request, context)
            except Exception as error:
                await self._abort(context, method, error)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                identity = await identify(context)
                caller.current.set(identity)
                function = handler.unary_stream or handler.stream_stream
                request = _readable(request, method) if handler.unary_stream else _all_readable(request, method)
                with self._streams.one_more(identity.id if identity else str(context.peer())):
                    async for response in function(request, context):
                        yield response
            except Exception as error:
                await self._abort(context, method, error)

        coders = {
            "request_deserializer": _lenient(handler.request_deserializer, _Unreadable),
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(unary, **coders)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(unary, **coders)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(stream, **coders)
        return grpc.stream_stream_rpc_method_handler(stream, **coders)

    def _identify(self, method: str, token: str) -> Identity | None:
        """Return who calls, ``None`` where nobody has to be known; raises ``PoolError``."""
        allowed = PERMISSIONS.get(method)
        if allowed is None:
            raise PoolError("AR-I206")
        if allowed is ANYBODY or not allowed:
            return None
        identity = self._store.identities.session(token) if token else None
        if identity is None:
            raise PoolError("AR-I201")
        if identity.banned is not None:
            raise PoolError("AR-I209", identity.banned)
        if identity.role not in allowed:
            raise PoolError("AR-I206", f"you are signed in as {identity.role.value}")
        return identity

    async def _abort(self, context: Any, method: str, error: Exception) -> None:
        """End the call with the status of the catalogue; what is not in it is internal: for the log only."""
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if isinstance(error, redis.exceptions.RedisError):
            log.warning("redis failed", method=method, error=str(error))
            error = self._storage_failure()
        if not isinstance(error, PoolError):
            log.exception("call failed", method=method, exc_info=error)
            error = PoolError("AR-A100")
        trailing: list[tuple[str, str | bytes]] = [
            ("ar-code", error.code),
            ("ar-detail-bin", error.detail.encode()),
            ("ar-hint-bin", error.hint.encode()),
        ]
        if error.retry_after is not None:
            trailing.append(("ar-retry-after", f"{error.retry_after:.3f}"))
        await context.abort(getattr(grpc.StatusCode, error.kind.grpc), error.message, tuple(trailing))

    def _storage_failure(self) -> PoolError:
        """Return why Redis failed: it ends itself rather than acknowledge what a full disk cannot keep."""
        if shutil.disk_usage(self._disk).free < _FULL_BYTES:
            return PoolError("AR-C605", hint="tell the pool's operator; nothing that was acknowledged is lost")
        return PoolError("AR-C609", hint="try again in a moment")


class Rates:
    """Counts calls by caller in windows of a minute, in this process."""

    def __init__(self) -> None:
        self._window = 0
        self._counts: dict[str, int] = {}

    def check(self, who: str, limit: int) -> None:
        """Count one call; raises ``PoolError`` AR-A103 over the limit."""
        now = time.monotonic()
        window = int(now // 60)
        if window != self._window:
            self._window, self._counts = window, {}
        self._counts[who] = self._counts.get(who, 0) + 1
        if self._counts[who] > limit:
            wait = (window + 1) * 60 - now
            raise PoolError("AR-A103", f"wait {wait:.0f} s", retry_after=wait)


class Streams:
    """Counts open streams by caller, in this process."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, who: str) -> Iterator[None]:
        """Count a stream while the block runs; raises ``PoolError`` AR-A103 over the limit."""
        if self._open[who] >= _STREAMS:
            raise PoolError("AR-A103", f"{_STREAMS} streams are open already", hint="end one of them first")
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]


class _Unreadable:
    """What stands for a message that is none: gRPC would answer one itself, with neither code nor sentence."""


def _lenient(read: Callable[[bytes], Any], instead: Callable[[], Any]) -> Callable[[bytes], Any]:
    def lenient(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return instead()

    return lenient


def _readable(request: Any, method: str) -> Any:
    """Return a request; raises ``PoolError`` AR-A101 for one that is no message."""
    if isinstance(request, _Unreadable):
        log.warning("a message cannot be read", method=method)
        raise PoolError("AR-A101", "the message cannot be read", hint="use the protocol's own definition, in proto/")
    return request


async def _all_readable(requests: AsyncIterator[Any], method: str) -> AsyncIterator[Any]:
    async for request in requests:
        yield _readable(request, method)


def _calls_a_minute(identity: Identity | None) -> int:
    if identity is None:
        return _UNKNOWN_CALLS_A_MINUTE
    return _VERIFIERS_CALLS_A_MINUTE if identity.role is Role.VERIFIER else _CALLS_A_MINUTE


def _bearer(metadata: dict[str, Any]) -> str:
    value = str(metadata.get("authorization", ""))
    return value.removeprefix("Bearer ") if value.startswith("Bearer ") else ""
