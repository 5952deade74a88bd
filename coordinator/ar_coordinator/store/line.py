"""One connection of an event loop to Redis, on which nothing waits for the reply to what was sent before.

Not here: what is sent (``pipelined``, ``ar_coordinator.events``).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

import redis
import redis.asyncio
from redis.exceptions import BusyLoadingError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from ar_coordinator.store.resp import Replies, command

Answered = Callable[[Any], None]
"""Is told the reply, or the exception that takes its place; must not raise."""
_TRY_AGAIN_SECONDS = 0.1
_CONNECT_SECONDS = 10.0


class Line(asyncio.Protocol):
    """See the module. The commands of one turn of the event loop go out in one write."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport | None = None
        self._replies = Replies()
        self._under_way: deque[Answered] = deque()
        self._out: list[bytes] = []

    def send(self, parts: Iterable[str | bytes | int], answered: Answered) -> None:
        """Send one command with the others of this turn; ``answered`` is told what comes of it.

        Raises ``UnicodeEncodeError`` for what is no text, and nothing was sent.
        """
        # First, since who waits for a reply that nothing was sent for would get that of the next command.
        data = command(parts)
        if not self.is_open:
            answered(RedisConnectionError("the connection to Redis has ended"))
            return
        self._under_way.append(answered)
        if not self._out:
            # In the next turn but one: what is said first in a task that begins now belongs to this turn as well.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._flush)
        self._out.append(data)

    async def ask(self, *parts: str | bytes | int) -> Any:
        """Return the reply to one command; raises what Redis raises."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send(parts, lambda reply: settle(future, reply))
        return await future

    def close(self, error: Exception | None = None) -> None:
        """End the connection; what is under way fails."""
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(error)

    def _flush(self) -> None:
        if self._transport is not None and self.is_open:
            self._transport.write(b"".join(self._out))
        self._out = []

    # --- What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is under way: nobody knows what became of it."""
        self.is_open = False
        error = RedisConnectionError(f"the connection to Redis ended: {exc or 'it was closed'}")
        while self._under_way:
            self._under_way.popleft()(error)

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are complete."""
        try:
            replies = self._replies.feed(data)
        except (RedisError, ValueError) as error:
            self.close(error)
            return
        for reply in replies:
            self._under_way.popleft()(reply)


async def connect(pool: Any, patience: float = 0.0) -> Line:
    """Return a new connection to where redis-py's ``pool`` leads, signed in as its connections are.

    A server that is away is waited for ``patience`` seconds. Raises ``OSError`` or ``RedisError``.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await _connect(pool)
        except (OSError, RedisConnectionError, BusyLoadingError):
            if loop.time() >= until:
                raise
        await asyncio.sleep(_TRY_AGAIN_SECONDS)


async def _connect(pool: Any) -> Line:
    loop = asyncio.get_running_loop()
    where: dict[str, Any] = pool.connection_kwargs
    line: Line
    if "path" in where:
        _, line = await loop.create_unix_connection(Line, where["path"])
    else:
        context = None
        if issubclass(pool.connection_class, redis.SSLConnection):
            options = {name: value for name, value in where.items() if name.startswith("ssl_")}
            context = redis.asyncio.SSLConnection(**options).ssl_context.get()
        host, port = where.get("host", "localhost"), where.get("port", 6379)
        _, line = await loop.create_connection(Line, host, port, ssl=context)
    try:
        if where.get("password"):
            await line.ask("AUTH", where.get("username") or "default", where["password"])
        if where.get("db"):
            await line.ask("SELECT", where["db"])
        # A server that still reads its files says so.
        await line.ask("PING")
    except BaseException:
        line.close()
        raise
    return line


def settle(future: "asyncio.Future[Any]", reply: Any) -> None:
    """Give a future its result, or the exception that came instead; one that nobody waits for stays as it is."""
    if future.done():
        return
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
