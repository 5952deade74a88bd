"""Making one call: with the session in its metadata, once more when the session has ended, errors translated.

Not here: what is called (``pool``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import grpc

from ar_client.apart import Apart
from ar_client.failure import is_unauthenticated

if TYPE_CHECKING:
    from ar_client.session import Session
    from ar_core.errors import PoolError

CALL_SECONDS = 30.0
UPLOAD_SECONDS = 900.0

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]


class Calls:
    """The three shapes of call; each raises ``PoolError`` as ``explain`` makes it of a ``grpc.RpcError``."""

    def __init__(self, session: Session | None, explain: Callable[[grpc.RpcError], PoolError]) -> None:
        self._session = session
        self._explain = explain
        self._apart = Apart()

    def unary(self, method: grpc.UnaryUnaryMultiCallable[Q, R], request: Q, *, seconds: float = CALL_SECONDS) -> R:
        """Return the answer to one request."""
        return self._twice(lambda metadata: method(request, metadata=metadata, timeout=seconds))

    def upload(self, method: grpc.StreamUnaryMultiCallable[Q, R], requests: Callable[[], Iterator[Q]]) -> R:
        """Return the answer to many requests; ``requests`` starts them anew when the call is made again."""
        return self._twice(lambda metadata: method(requests(), metadata=metadata, timeout=UPLOAD_SECONDS))

    def stream(
        self, method: grpc.UnaryStreamMultiCallable[Q, R], request: Q, *, seconds: float | None = None
    ) -> Iterator[R]:
        """Yield the answers to one request until the pool ends them; closing the iterator ends the call."""
        renewed = False
        while True:
            metadata = self._metadata(renew=renewed)
            call = self._apart(partial(method, request, metadata=metadata, timeout=seconds))
            answered = False
            try:
                while (message := self._apart(partial(next, call, None))) is not None:
                    answered = True
                    yield message
                return
            except grpc.RpcError as error:
                if not self._may_renew(error) or (renewed and not answered):
                    raise self._explain(error) from None
                renewed = True
            finally:
                call.cancel()

    def _twice(self, call: Callable[[Metadata], T]) -> T:
        metadata = self._metadata()
        try:
            return self._apart(partial(call, metadata))
        except grpc.RpcError as error:
            if not self._may_renew(error):
                raise self._explain(error) from None
        metadata = self._metadata(renew=True)
        try:
            return self._apart(partial(call, metadata))
        except grpc.RpcError as error:
            raise self._explain(error) from None

    def _may_renew(self, error: grpc.RpcError) -> bool:
        return self._session is not None and is_unauthenticated(error)

    def _metadata(self, *, renew: bool = False) -> Metadata:
        if self._session is None:
            return ()
        try:
            token = self._apart(self._session.renew if renew else self._session.token)
        except grpc.RpcError as error:
            raise self._explain(error) from None
        return (("authorization", f"Bearer {token}"),)
