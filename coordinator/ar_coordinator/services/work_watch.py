"""What connected machines are told without asking: verdicts, better versions, and that a lease is over.

Not here: answering them (``work``). One reader of the pool's events for all streams of a replica; because an event
may be missed, everything is also looked at every few seconds.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import structlog

from ar_coordinator.events import Events
from ar_coordinator.openings import Openings
from ar_coordinator.services.work_sessions import Session, Sessions
from ar_coordinator.services.work_tasks import Tasks, refuse
from ar_coordinator.store import Store, keys
from ar_coordinator.store.connection import now_ms
from ar_coordinator.store.pipelined import Pipelined
from ar_core.lifecycle import ProblemState
from ar_proto.v1 import work_pb2

log = structlog.get_logger("serve")

PROGRESS_SECONDS = 20.0
_LOOK_SECONDS = 5.0


class Watch:
    """Keeps an eye on the pool for the machines that are connected to this replica."""

    def __init__(
        self, store: Store, events: Events, pipelined: Pipelined, openings: Openings, sessions: Sessions, tasks: Tasks
    ) -> None:
        self._store = store
        self._events = events
        self._pipelined = pipelined
        self._openings = openings
        self._sessions = sessions
        self._tasks = tasks
        self._programs: frozenset[str] = frozenset()
        self._running: tuple[asyncio.Task[None], ...] = ()

    def start(self) -> None:
        """Begin, unless it runs already; it ends with the event loop."""
        if not self._running:
            self._running = (
                asyncio.create_task(self._follow(), name="work-events"),
                asyncio.create_task(self._look_around(), name="work-watch"),
            )

    async def _follow(self) -> None:
        async with self._events.subscription() as queue:
            while True:
                event = await queue.get()
                if event.kind == "problem":
                    self._openings.forget()
                    await _safely(self._ask())
                    await _safely(self.look_at_problem(event.problem))
                    for session in self._sessions:
                        if session.wanted:
                            self._tasks.poke(session)
                elif (claimant := self._sessions.waiting_for(event.id)) is not None:
                    await self._look(claimant)

    async def _look_around(self) -> None:
        turns = round(PROGRESS_SECONDS / _LOOK_SECONDS)
        for turn in count():
            await asyncio.sleep(_LOOK_SECONDS)
            # A part of them each time, so that thousands do not come all at once.
            due = [session for session in self._sessions if hash(session.who.id) % turns == turn % turns]
            await _together(self.renew(session) for session in due)
            await _together(self._look(session) for session in self._sessions if session.claims)
            for name in self._sessions.problems():
                await _safely(self.look_at_problem(name))
            await _safely(self._ask())
            for session in self._sessions:
                if session.wanted and session.retry_at <= time.monotonic():
                    self._tasks.poke(session)

    async def _ask(self) -> None:
        """Ask the machines for programs that a new problem needs."""
        programs = await self._openings.programs()
        if programs != self._programs:
            for session in self._sessions:
                await self._tasks.ask(session)
            self._programs = programs

    async def _look(self, session: Session) -> None:
        before = session.claims
        try:
            await self._tasks.look(session)
        except Exception as error:
            session.end(error)
        if session.wanted and session.claims != before:
            self._tasks.poke(session)

    async def renew(self, session: Session) -> None:
        """Hold a connected machine's leases, and tell it of those that it has lost; what it was told has arrived."""
        held = list(session.leases.values())
        renewed = await self._pipelined.run(
            self._store.leases.renew(session.who.id, [one.name for one in held], now_ms())
        )
        try:
            refuse(renewed.trouble)
        except Exception as error:
            session.end(error)
            return
        await self._tasks.forget_told(session, session.arrived(time.monotonic()))
        for one, good in zip(held, renewed.good, strict=True):
            if not good and one.name.id in session.leases:
                self._tasks.ended(session.cancel(one.name, "The lease is over."))

    async def look_at_problem(self, name: str) -> None:
        """Cancel what a problem has no work for any more, and tell of its new best version."""
        values: Any = await asyncio.to_thread(
            self._store.connection.text.hmget, keys.problem(name), "state", "revision", "head", "best_blob", "best"
        )
        state, revision, head, blob, best = values
        holders = self._sessions.on_problem(name)
        is_open = state == ProblemState.OPEN
        over = [(s, held) for s, held in holders if not is_open or str(held.revision) != revision]
        if over:
            await self._pipelined.run(self._store.leases.cancel(name))
            for session, held in over:
                reason = "The problem has a new revision." if is_open else f"The problem is {state}."
                self._tasks.ended(session.cancel(held.name, reason))
        behind = [(s, held) for s, held in holders if held.best != head and held.name.id in s.leases]
        if not behind or not best:
            return
        await asyncio.to_thread(self._store.leases.publish_best, name, blob)
        improved = work_pb2.Improved(problem=name, blob=blob, score=float(best))
        for session, held in behind:
            if held.name.id in session.leases:
                session.leases[held.name.id] = replace(held, best=head)
        for session in dict.fromkeys(session for session, _ in behind):
            session.send(work_pb2.WorkResponse(improved=improved))


async def _together(work: Iterable[Awaitable[None]]) -> None:
    await asyncio.gather(*(_safely(one) for one in work))


async def _safely(work: Awaitable[None]) -> None:
    """Do what will be done again in a moment; trouble with one machine or problem must not end it for all."""
    try:
        await work
    except Exception as error:
        log.warning("a look at the connected machines failed", error=str(error))
