"""Giving work to connected machines: a task for each wanted slot, or one reason why there is none.

Not here: the stream (``work``), and choosing (``dispatch``).
"""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from random import Random

import redis
import structlog

from ar_coordinator.dispatch import NoWork, Pick
from ar_coordinator.openings import Opening, Openings
from ar_coordinator.services.work_sessions import Held, Session, Sessions
from ar_coordinator.store import Store
from ar_coordinator.store.connection import now_ms
from ar_coordinator.store.leases import Granted, Name, NewLease
from ar_coordinator.store.pipelined import Pipelined
from ar_core.errors import PoolError
from ar_core.lifecycle import SETTLED
from ar_core.wire import experiment_to_wire, seconds_to_wire
from ar_proto.v1 import work_pb2

log = structlog.get_logger("serve")

_SECONDS = {
    NoWork.NO_PROBLEM_MATCHES: 30.0,
    NoWork.PAUSED: 30.0,
    NoWork.QUOTA: 5.0,
    NoWork.COOL_DOWN: 10.0,
    NoWork.DRAINING: 30.0,
    NoWork.UPGRADE_NEEDED: 600.0,
    NoWork.SANDBOX: 600.0,
    NoWork.CONSENT: 30.0,
}
_JITTER = 0.25
_TRIES = 3


class Tasks:
    """Hands out the openings of this replica."""

    def __init__(
        self, store: Store, pipelined: Pipelined, openings: Openings, sessions: Sessions, random: Random
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._pipelined = pipelined
        self._openings = openings
        self._random = random

    def poke(self, session: Session) -> None:
        """Look in the background whether a machine can have what it wants."""
        if session.giving is None or session.giving.done():
            session.giving = asyncio.create_task(self._give(session), name="give")
        else:
            session.give_again = True

    async def ask(self, session: Session) -> None:
        """Ask a machine for the programs that its problems need, once for each; nothing else of it is asked."""
        programs = session.programs | await self._openings.programs(session.machine.problems)
        if programs != session.programs:
            session.programs = programs
            session.send(work_pb2.WorkResponse(ask=work_pb2.Ask(programs=sorted(programs))))

    async def look(self, session: Session) -> None:
        """Tell a machine what became of its claims; raises ``PoolError`` when it must not go on."""
        while True:
            now = now_ms()
            standing = await self._pipelined.run(self._store.leases.standing(session.who.id, session.slots, now))
            refuse(standing.trouble)
            if not session.ended:
                self._sessions.expect(session, (*standing.unverified, *standing.held))
            if not standing.settled:
                return
            await self._tell(session, dict.fromkeys(standing.settled, now))

    async def tell_again(self, session: Session) -> None:
        """Send the verdicts that may have been lost with the line before this one, and those just settled."""
        told = await self._pipelined.run(self._store.leases.told(session.who.id))
        await self._tell(session, told)

    async def forget_told(self, session: Session, told: Mapping[str, int]) -> None:
        """Note that a machine has its verdicts."""
        if told:
            await self._pipelined.run(self._store.leases.heard(session.who.id, told))

    async def _tell(self, session: Session, told: Mapping[str, int]) -> None:
        for x in await asyncio.to_thread(self._store.experiments.get_many, list(told)):
            if x.state in SETTLED:
                session.tell(work_pb2.Verdict(experiment=experiment_to_wire(x)), told[x.id])

    def ended(self, held: Held | None) -> None:
        """Note that a lease is over, so that the next choice is made with it in mind."""
        if held is not None:
            self._openings.observe(held.problem, held.parent, "ended")

    async def _give(self, session: Session) -> None:
        try:
            while True:
                session.give_again = False
                if session.wanted > 0 and not session.ended:
                    if session.claims:
                        # A verdict that is there already decides whether there is more work.
                        await self.look(session)
                    await self._give_wanted(session)
                if not session.give_again:
                    return
        except redis.RedisError as error:
            # The machine asks again when it waited; its leases and claims are where they were.
            log.warning("no work given", error=str(error))
            self._wait(session, NoWork.QUOTA, 0.0)
        except Exception as error:
            session.end(error)

    async def _give_wanted(self, session: Session) -> None:
        tries = 0
        while session.wanted > 0 and not session.ended:
            chosen = await self._openings.choose(session.machine)
            if isinstance(chosen, NoWork):
                self._wait(session, chosen, 0.0)
                return
            granted = await self._grant(session, *chosen)
            refuse(granted.answer)
            if granted.answer == "granted":
                session.wanted = max(0, session.wanted - 1)
                continue
            if granted.answer == "closed" and tries < _TRIES:
                tries += 1
                self._openings.forget()
                continue
            why = NoWork.NO_PROBLEM_MATCHES if granted.answer == "closed" else NoWork(granted.answer)
            self._wait(session, why, granted.wait_ms / 1000)
            return

    async def _grant(self, session: Session, opening: Opening, pick: Pick) -> Granted:
        parent, name = pick.parent, opening.problem.name
        lease = NewLease(
            id=f"l-{secrets.token_hex(8)}", identity=session.who.id, contributor=session.who.contributor,
            machine=session.who.machine, agent=session.agent, problem=name, revision=opening.revision,
            parent=parent.commit, blobs=(parent.blob, *(v.blob for v in pick.inspirations)), slots=session.slots,
            latest_ms=round(opening.latest * 1000), grade=session.machine.grade,
        )  # fmt: skip
        # Before it is granted: whoever asks meanwhile is to choose with it in mind.
        self._openings.observe(name, parent.commit, "granted")
        granted = await self._pipelined.run(self._store.leases.grant(lease, now_ms()))
        if granted.answer != "granted":
            self._openings.observe(name, parent.commit, "refused")
            return granted
        held = Held(
            name=Name(id=lease.id, fencing=granted.fencing), problem=name, revision=opening.revision,
            parent=parent.commit, best=opening.frontier.versions[0].commit,
        )  # fmt: skip
        session.leases[lease.id] = held
        session.send(work_pb2.WorkResponse(task=_task(held, opening, pick, granted.attempts)))
        return granted

    def _wait(self, session: Session, why: NoWork, seconds: float) -> None:
        seconds = max(seconds, 0.5) if seconds else _SECONDS[why]
        seconds *= 1 + _JITTER * self._random.random()
        session.retry_at = time.monotonic() + seconds
        if session.asked:
            session.asked = False
            reason = work_pb2.WaitReason.Value(f"WAIT_REASON_{why.name}")
            session.send(work_pb2.WorkResponse(
                wait=work_pb2.Wait(duration=seconds_to_wire(seconds), reasons=[reason])
            ))  # fmt: skip


def refuse(trouble: str) -> None:
    """Raise ``PoolError`` when the store says that an identity may not go on."""
    if trouble == "gone":
        raise PoolError("AR-I201", "this machine has left the pool")
    if trouble == "banned":
        raise PoolError("AR-I209")


def _task(held: Held, opening: Opening, pick: Pick, attempts: Sequence[str]) -> work_pb2.Task:
    return work_pb2.Task(
        lease=work_pb2.LeaseName(id=held.name.id, fencing=held.name.fencing),
        problem=held.problem,
        revision=held.revision,
        bundle=opening.bundle,
        parent_blob=pick.parent.blob,
        parent=pick.parent.commit,
        parent_score=pick.parent.score,
        box=seconds_to_wire(opening.box),
        inspirations=[
            work_pb2.Inspiration(blob=version.blob, score=version.score, note=version.note)
            for version in pick.inspirations
        ],
        attempts=attempts,
        explore=pick.explore,
        tried_hashes=opening.tried,
    )
