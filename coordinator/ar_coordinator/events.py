"""What happens in the pool, as it happens: one reader of a stream of events for all watchers of this replica.

Not here: who may watch what.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from ar_coordinator.store import keys
from ar_coordinator.store.line import Line, connect

log = structlog.get_logger("serve")

_WAITING = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something changed: read the record itself for what it is now."""

    kind: str
    problem: str
    id: str


class Events:
    """Hands the pool's events to any number of watchers."""

    def __init__(self, url: str, stream: str = keys.EVENTS) -> None:
        self._stream = stream
        self._pool: Any = redis.ConnectionPool.from_url(url)
        self._line: Line | None = None
        self._queues: set[asyncio.Queue[Event]] = set()
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Start reading; events from now on are seen."""
        self._task = asyncio.create_task(self._read(), name="events")
        await self._ready.wait()

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._line is not None:
            self._line.close()

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator["asyncio.Queue[Event]"]:
        """Give a queue of the events from now on; a watcher too slow for it misses the oldest."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_WAITING)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    async def _read(self) -> None:
        last = ""
        while True:
            try:
                if self._line is None or not self._line.is_open:
                    self._line = await connect(self._pool)
                if not last:
                    newest = await self._line.ask("XREVRANGE", self._stream, "+", "-", "COUNT", 1)
                    last = newest[0][0] if newest else "0-0"
                    self._ready.set()
                found = await self._line.ask("XREAD", "COUNT", 500, "BLOCK", 5000, "STREAMS", self._stream, last)
            except (OSError, redis.RedisError):
                await asyncio.sleep(0.2)
                continue
            for _stream, entries in found or []:
                for entry_id, pairs in entries:
                    last, fields = entry_id, dict(zip(pairs[::2], pairs[1::2], strict=True))
                    self._hand_out(Event(kind=fields["kind"], problem=fields["problem"], id=fields["id"]))

    def _hand_out(self, event: Event) -> None:
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)
