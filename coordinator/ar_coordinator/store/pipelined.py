"""Script calls as values, so that many of them share one round trip to Redis and one write to its disk.

Not here: what the scripts do. Calls of one batch run in their order, each atomic for itself.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from redis.exceptions import NoScriptError

from ar_coordinator.store.connection import Client

T = TypeVar("T")
_BATCH = 200
"""Calls of one round trip: a reply waits for those before it, so that a batch has to stay short."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One script with its arguments, and how its reply is read."""

    script: str
    arguments: tuple[Any, ...]
    read: Callable[[Any], T]


def run_calls(client: Client, calls: Sequence[Call[Any]]) -> list[Any]:
    """Run ``calls`` in one round trip; return what each came to, an exception where one failed."""
    replies = _send(client, calls)
    missing = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if missing:
        for script in {calls[index].script for index in missing}:
            client.script_load(script)
        again = _send(client, [calls[index] for index in missing])
        for index, reply in zip(missing, again, strict=True):
            replies[index] = reply
    return [
        reply if isinstance(reply, Exception) else call.read(reply)
        for call, reply in zip(calls, replies, strict=True)
    ]


def run_call(client: Client, call: Call[T]) -> T:
    """Run one call; raises what Redis raises."""
    (reply,) = run_calls(client, [call])
    if isinstance(reply, Exception):
        raise reply
    return cast("T", reply)


def _send(client: Client, calls: Sequence[Call[Any]]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for call in calls:
        pipeline.evalsha(_digest(call.script), 0, *call.arguments)
    return list(pipeline.execute(raise_on_error=False))


def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


class Pipelined:
    """Gathers the calls of an event loop while one batch is under way, and sends them together as the next.

    Under load batches grow by themselves and one sync of Redis's disk acknowledges a whole batch; an idle pool
    waits for nothing.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[tuple[Call[Any], asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def run(self, call: Call[T]) -> T:
        """Return what ``call`` came to; raises what Redis raises."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        if self._task is None:
            self._task = asyncio.create_task(self._drain(), name="pipelined")
        return cast("T", await future)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                await self._settle(batch)
        finally:
            self._task = None

    async def _settle(self, batch: list[tuple[Call[Any], asyncio.Future[Any]]]) -> None:
        replies: list[Any]
        try:
            replies = await asyncio.to_thread(run_calls, self._client, [call for call, _ in batch])
        except Exception as error:
            replies = [error] * len(batch)
        for (_, future), reply in zip(batch, replies, strict=True):
            if future.done():
                continue  # whoever asked has gone
            if isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)
