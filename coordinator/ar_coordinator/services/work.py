"""The work stream: what a donated machine says, and what that does; and the blobs its leases name.

Not here: which work it gets (``work_tasks``), what it is told without asking (``work_watch``), who it is
(``interceptor``).
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

from redis.exceptions import RedisError

from ar_coordinator.dispatch import Machine
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.events import Events
from ar_coordinator.openings import Openings
from ar_coordinator.services import work_reports
from ar_coordinator.services.caller import caller
from ar_coordinator.services.work_sessions import Held, Session, Sessions
from ar_coordinator.services.work_tasks import Tasks, refuse
from ar_coordinator.services.work_watch import PROGRESS_SECONDS, Watch
from ar_coordinator.store import Store, keys
from ar_coordinator.store.blobs import BlobMissingError
from ar_coordinator.store.connection import now_ms
from ar_coordinator.store.leases import Name, Reported
from ar_coordinator.store.pipelined import Pipelined
from ar_coordinator.work_order import blobs_of, decode_order
from ar_core.errors import PoolError
from ar_core.records import Identity, Role
from ar_core.text import one_line
from ar_core.wire import seconds_to_wire, time_to_wire
from ar_proto.v1 import work_pb2, work_pb2_grpc

PROTOCOL = 1
REPORT_SECONDS = 5.0
_MOST_SLOTS = 1024
_MOST_NAMED = 256
"""Leases that one message may name: more than any machine can hold."""
_MOST_PROGRAMS = 1000
_GRADES = frozenset({"A", "B"})
"""What a machine may say of its sandbox, to be recorded with its claims; one that says nothing gets no work."""
_MESSAGES_A_SECOND = 500
_MOST_TOGETHER = 500
"""Messages that may go as one; none of them has more of its own."""
_HELLO_SECONDS = 30.0
_PART_BYTES = 64 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_AGENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_OVER = {
    "unknown": "The pool does not know this lease as yours.",
    "fenced": "The lease has another fencing number.",
    "settled": "The lease is finished.",
    "closed": "The problem takes no reports any more.",
}


class Work(work_pb2_grpc.WorkServiceServicer):
    """`WorkService`."""

    def __init__(self, store: Store, doorbell: Doorbell, events: Events) -> None:
        self._store = store
        self._doorbell = doorbell
        random = Random(secrets.randbits(64))  # noqa: S311 - fairness, not secrecy
        self._pipelined = Pipelined(store.connection.text)
        self._sessions = Sessions()
        self._openings = Openings(store, random)
        self._tasks = Tasks(store, self._pipelined, self._openings, self._sessions, random)
        self._watch = Watch(store, events, self._pipelined, self._openings, self._sessions, self._tasks)
        self._busy: set[asyncio.Task[None]] = set()

    async def Work(  # noqa: N802
        self, requests: AsyncIterator[work_pb2.WorkRequest], context: Any
    ) -> AsyncIterator[work_pb2.WorkResponse]:
        """Talk with one machine for as long as it stays."""
        who = caller()
        incoming = aiter(requests)
        session = await self._begin(who, await _hello(incoming))
        context.add_done_callback(lambda _: self._close(session))
        reader = asyncio.create_task(self._read(session, incoming), name="work-read")
        try:
            async for response in session.outgoing():
                yield response
        finally:
            reader.cancel()
            self._close(session)

    async def FetchBlob(  # noqa: N802
        self, request: work_pb2.FetchBlobRequest, context: Any
    ) -> AsyncIterator[work_pb2.FetchBlobResponse]:
        """Send a blob that a lease of the caller names, or for a verifier a batch that it runs."""
        who = caller()
        if not _SHA256.fullmatch(request.sha256):
            raise PoolError("AR-A101", "a blob is named by its SHA-256")
        if not await self._may_read(who, request.sha256):
            raise PoolError("AR-X403", "no lease of this machine names the blob", hint="ask for work first")
        try:
            data = await asyncio.to_thread(self._store.blobs.get, request.sha256)
        except BlobMissingError:
            raise PoolError("AR-X403", "the blob is gone") from None
        if not 0 <= request.offset <= len(data):
            raise PoolError("AR-A101", f"the blob has {len(data)} bytes")
        # At least one part, which tells the size.
        for start in range(request.offset, max(len(data), request.offset + 1), _PART_BYTES):
            yield work_pb2.FetchBlobResponse(data=data[start : start + _PART_BYTES], size=len(data))

    async def _may_read(self, who: Identity, sha256: str) -> bool:
        if who.role is Role.VERIFIER:
            return await asyncio.to_thread(self._is_held, who, sha256)
        return await self._pipelined.run(self._store.leases.may_read(who.id, sha256))

    def _is_held(self, who: Identity, sha256: str) -> bool:
        """Tell whether a batch that this verifier runs names a blob; hidden files are among them."""
        specs = self._store.batches.specs_of(who.machine)
        return any(sha256 in blobs_of(decode_order(spec)) for spec in specs)

    async def _begin(self, who: Identity, hello: work_pb2.Hello) -> Session:
        """Welcome a machine and take up the leases that it still holds; raises ``PoolError``."""
        if not hello.protocol_min <= PROTOCOL <= hello.protocol_max:
            raise PoolError("AR-A104", f"this pool speaks version {PROTOCOL}")
        if not 1 <= hello.slots <= _MOST_SLOTS or len(hello.resume) > _MOST_NAMED:
            raise PoolError("AR-A101", f"a machine donates 1 to {_MOST_SLOTS} slots")
        if hello.sandbox_grade and hello.sandbox_grade not in _GRADES:
            raise PoolError("AR-S500", f"this pool takes grade B and better, not {one_line(hello.sandbox_grade, 8)}")
        agent = next((name for name in hello.agents[:_MOST_NAMED] if _AGENT.fullmatch(name)), "tuner")
        session = Session(who, _machine(hello), agent, hello.slots)
        self._watch.start()
        self._sessions.open(session)
        try:
            standing = await self._pipelined.run(self._store.leases.standing(who.id, hello.slots, now_ms()))
            refuse(standing.trouble)
            await asyncio.to_thread(self._store.leases.note_grade, who.id, hello.sandbox_grade)
            session.send(_welcome(standing.leases))
            await self._tasks.ask(session)
            await self._take_up(session, [work_reports.lease_name(name) for name in hello.resume])
            await self._tasks.tell_again(session)
            await self._tasks.look(session)
        except BaseException:
            self._sessions.close(session)
            raise
        return session

    async def _take_up(self, session: Session, names: list[Name]) -> None:
        """Go on with leases that are good still; what the machine does not name it has forgotten."""
        await self._pipelined.run(self._store.leases.release_others(session.who.id, [name.id for name in names]))
        if not names:
            return
        renewed = await self._pipelined.run(self._store.leases.renew(session.who.id, names, now_ms()))
        for name, good in zip(names, renewed.good, strict=True):
            if good:
                session.leases[name.id] = await asyncio.to_thread(self._held, name)
            else:
                session.cancel(name, "The lease is over.")

    def _held(self, name: Name) -> Held:
        fields = self._store.connection.text.hmget(keys.lease(name.id), "problem", "revision", "parent")
        problem, revision, parent = fields
        return Held(name=name, problem=str(problem), revision=int(revision or 0), parent=str(parent))

    async def _read(self, session: Session, incoming: AsyncIterator[work_pb2.WorkRequest]) -> None:
        loop = asyncio.get_running_loop()
        since, heard = loop.time(), 0
        try:
            async for request in incoming:
                if len(request.more) >= _MOST_TOGETHER or any(further.more for further in request.more):
                    raise PoolError("AR-A101", f"at most {_MOST_TOGETHER} messages go as one")
                for said in (request, *request.more):
                    if heard >= _MESSAGES_A_SECOND:
                        # One that says more is read more slowly, which its own side of the stream then feels.
                        await asyncio.sleep(since + 1 - loop.time())
                        since, heard = loop.time(), 0
                    heard += 1
                    await self._handle(session, said)
                    if session.ended:
                        return
            await session.all_stored()
            session.end()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            session.end(error)

    async def _handle(self, session: Session, request: work_pb2.WorkRequest) -> None:
        match request.WhichOneof("message"):
            case "want":
                session.wanted, session.asked = max(0, min(request.want.slots, session.slots)), True
                self._tasks.poke(session)
            case "progress":
                await self._progress(session, request.progress)
            case "report":
                await self._report(session, request.report)
            case "release":
                name = work_reports.lease_name(request.release.lease)
                await self._pipelined.run(self._store.leases.release(session.who.id, name))
                self._over(session, name)
            case "goodbye":
                session.says_goodbye = True
                await session.all_stored()
                session.end()
            case "programs":
                there = session.programs.intersection(request.programs.names[:_MOST_PROGRAMS])
                session.machine = replace(session.machine, programs=there)
                if session.wanted:
                    self._tasks.poke(session)
            case "decline":
                session.machine = replace(session.machine, declined=_declined(request.decline))
                if session.wanted:
                    self._tasks.poke(session)
            case "hello":
                raise PoolError("AR-A101", "a machine says Hello once in a stream")

    async def _progress(self, session: Session, progress: work_pb2.Progress) -> None:
        names = [work_reports.lease_name(name) for name in progress.leases[:_MOST_NAMED]]
        renewed = await self._pipelined.run(self._store.leases.renew(session.who.id, names, now_ms()))
        refuse(renewed.trouble)
        for name, good in zip(names, renewed.good, strict=True):
            if not good:
                self._tasks.ended(session.cancel(name, "The lease is over."))

    async def _report(self, session: Session, report: work_pb2.Report) -> None:
        """Hand a report to Redis. Its receipt follows when it is stored; meanwhile the machine may go on talking."""
        # First, since it bounds what the others look at.
        number, seconds = work_reports.counted(report)
        work_reports.check_signature(report, session.who)
        name = work_reports.lease_name(report.lease)
        claims = work_reports.has_claim(report)
        most = await asyncio.to_thread(self._max_bytes, name) if claims else 0
        now = datetime.now(UTC)
        await session.room_to_store()
        stored = self._pipelined.submit(
            self._store.leases.report(
                session.who.id, name, report.sequence, work_reports.tried(report, most), counted=number,
                seconds=seconds, last=report.last, now=round(now.timestamp() * 1000), when=now.isoformat(),
            )
        )  # fmt: skip
        session.storing.add(stored)
        stored.add_done_callback(partial(self._stored, session, report))
        if report.last:
            # Redis takes the report in before whatever is asked of it from now on.
            self._over(session, name)

    def _stored(self, session: Session, report: work_pb2.Report, stored: "asyncio.Future[Reported]") -> None:
        """Give the receipt for a report, or say why there is none."""
        session.storing.discard(stored)
        try:
            answer = stored.result()
            refuse(answer.answer)
        except (RedisError, PoolError) as error:
            session.end(error)
            return
        if answer.answer != "receipt":
            name = work_reports.lease_name(report.lease)
            self._tasks.ended(session.cancel(name, _OVER[answer.answer]))
            return
        receipt = work_pb2.Receipt(
            lease=report.lease, sequence=report.sequence, experiments=answer.experiments, ids=answer.ids
        )
        session.send(work_pb2.WorkResponse(receipt=receipt))
        if work_reports.has_claim(report):
            self._in_background(self._follow(session, answer.queued), "claims")

    async def _follow(self, session: Session, queued: Sequence[str]) -> None:
        """Have claims verified, and look whether any of a report's has its verdict already."""
        try:
            for experiment in queued:
                await asyncio.to_thread(self._doorbell.look_at_experiment, experiment)
            await self._tasks.look(session)
        except (RedisError, PoolError) as error:
            session.end(error)

    def _max_bytes(self, lease: Name) -> int:
        problem = self._store.connection.text.hget(keys.lease(lease.id), "problem")
        return int(self._store.problems.field(problem, "max_bytes") or 0) if problem else 0

    def _over(self, session: Session, name: Name) -> None:
        self._tasks.ended(session.leases.pop(name.id, None))
        if session.wanted:
            self._tasks.poke(session)

    def _close(self, session: Session) -> None:
        """Forget a stream. Without a goodbye its leases are kept for a while: the machine may come back."""
        if self._sessions.close(session) and session.says_goodbye:
            self._in_background(self._release_all(session), "goodbye")

    async def _release_all(self, session: Session) -> None:
        await self._pipelined.run(self._store.leases.release_others(session.who.id, []))
        # It left on purpose, and waits for nothing: it is not told again when it comes back.
        await self._tasks.forget_told(session, session.all_told())

    def _in_background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)


async def _hello(incoming: AsyncIterator[work_pb2.WorkRequest]) -> work_pb2.Hello:
    try:
        async with asyncio.timeout(_HELLO_SECONDS):
            first = await anext(incoming, None)
    except TimeoutError:
        first = None
    if first is None or first.WhichOneof("message") != "hello":
        raise PoolError("AR-A101", "a work stream begins with Hello")
    return first.hello


def _machine(hello: work_pb2.Hello) -> Machine:
    limits = hello.limits
    return Machine(
        cpus=max(0, limits.cpus), memory=max(0, limits.memory), gpus=max(0, limits.gpus),
        programs=frozenset(limits.programs[:_MOST_PROGRAMS]),
        problems=frozenset(one_line(name, 80) for name in hello.problems[:1000]),
        grade=hello.sandbox_grade, declined=_declined(hello.decline),
    )  # fmt: skip


def _declined(decline: work_pb2.Decline) -> frozenset[tuple[str, int]]:
    return frozenset((one_line(name.problem, 80), name.revision) for name in decline.revisions[:1000])


def _welcome(leases: int) -> work_pb2.WorkResponse:
    welcome = work_pb2.Welcome(
        server_time=time_to_wire(datetime.now(UTC)), progress_interval=seconds_to_wire(PROGRESS_SECONDS),
        report_interval=seconds_to_wire(REPORT_SECONDS), protocol=PROTOCOL, leases=leases,
    )  # fmt: skip
    return work_pb2.WorkResponse(welcome=welcome)
