"""Script calls as values, and the one way on which those of an event loop go to Redis together.

Not here: what the scripts do. Calls run in the order in which they were submitted, each atomic for itself.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Generic, TypeVar, cast

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

from ar_coordinator.store.connection import Client
from ar_coordinator.store.line import Line, connect, settle

T = TypeVar("T")
_PATIENCE_SECONDS = 3.0
"""A server that is away for less is waited for: the embedded one is started again at once."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One script with its arguments, and how its reply is read."""

    script: str
    arguments: tuple[Any, ...]
    read: Callable[[Any], T]


def run_call(client: Client, call: Call[T]) -> T:
    """Run one call and wait for it; raises what Redis raises."""
    try:
        reply = client.evalsha(_digest(call.script), 0, *call.arguments)
    except NoScriptError:
        reply = client.eval(call.script, 0, *call.arguments)
    return call.read(reply)


@cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


class Pipelined:
    """Sends the calls of one turn of the event loop in one write, and hands out the replies as they come.

    Nothing waits for the reply to what was sent before: under load one sync of Redis's disk acknowledges many calls,
    and an idle pool waits for nothing. Without a connection calls wait for a moment; what was under way when one
    broke fails, since nobody knows what became of it.
    """

    def __init__(self, client: Client) -> None:
        """``client`` tells where the server is, and how to sign in there."""
        self._pool = client.connection_pool
        self._line: Line | None = None
        self._known: set[str] = set()
        """Scripts that were sent whole on this line; from then on their digest names them."""
        self._waiting: list[tuple[Call[Any], asyncio.Future[Any]]] = []
        self._connecting: asyncio.Task[None] | None = None

    async def run(self, call: Call[T]) -> T:
        """Return what ``call`` came to; raises what Redis raises."""
        return await self.submit(call)

    def submit(self, call: Call[T]) -> "asyncio.Future[T]":
        """Send ``call`` after those before it; the future has what it comes to, or what Redis raises."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._line is not None and self._line.is_open:
            self._send(self._line, call, future)
        else:
            self._waiting.append((call, future))
            if self._connecting is None:
                self._connecting = asyncio.create_task(self._connect(), name="pipelined-connect")
        return cast("asyncio.Future[T]", future)

    def close(self) -> None:
        """End the connection."""
        if self._line is not None:
            self._line.close()

    async def _connect(self) -> None:
        """Connect, and send what waits; it fails where there is no server for a while."""
        failure: Exception = RedisConnectionError("the connection to Redis was given up")
        line = None
        try:
            line = await connect(self._pool, _PATIENCE_SECONDS)
        except Exception as error:
            failure = RedisConnectionError(str(error)) if isinstance(error, OSError) else error
        finally:
            # However it ended, nobody goes on waiting for it.
            waiting, self._waiting, self._connecting = self._waiting, [], None
            if line is None:
                for _, future in waiting:
                    settle(future, failure)
        if line is not None:
            self._line = line
            self._known.clear()
            for call, future in waiting:
                self._send(line, call, future)

    def _send(self, line: Line, call: Call[Any], future: "asyncio.Future[Any]") -> None:
        script = call.script
        if script in self._known:
            start: tuple[str, str, int] = ("EVALSHA", _digest(script), 0)
        else:
            start = ("EVAL", script, 0)
        try:
            line.send((*start, *call.arguments), partial(self._answered, line, call, future))
        except Exception as error:
            # What cannot be sent fails alone.
            settle(future, error)
        else:
            self._known.add(script)

    def _answered(self, line: Line, call: Call[Any], future: "asyncio.Future[Any]", reply: Any) -> None:
        if isinstance(reply, NoScriptError) and line.is_open:
            # Somebody emptied the server's cache of scripts.
            self._known.discard(call.script)
            self._send(line, call, future)
            return
        if not isinstance(reply, Exception):
            try:
                reply = call.read(reply)
            except Exception as error:
                reply = error
        settle(future, reply)
