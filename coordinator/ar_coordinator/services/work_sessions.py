"""The machines that are connected to this replica: what each holds and wants, and what it is to be told.

Not here: what their messages do (``work``) and which work they get (``work_tasks``). Nothing is kept here that
another replica would need: a machine may come back on any of them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ar_coordinator.dispatch import Machine
from ar_coordinator.store.leases import Name
from ar_core.errors import PoolError
from ar_core.records import Identity
from ar_proto.v1 import work_pb2

_UNREAD = 1000
"""Messages that a machine may leave unread: beyond it would be kept in memory for nobody."""

_TOGETHER_BYTES = 256 * 1024
"""Messages that go as one have less than this together."""
_SURE_SECONDS = 120.0
"""A verdict has arrived when the stream lives on for this long: a dead line shows in 80 s (``grpc_server``)."""
_STORING = 16
"""Reports of one machine that may be on their way to the disk at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lease that a connected machine holds."""

    name: Name
    problem: str
    revision: int
    parent: str
    best: str = ""
    """The best version that its holder was told of; empty when that is not known here."""


class Session:
    """One stream of one machine."""

    def __init__(self, who: Identity, machine: Machine, agent: str, slots: int) -> None:
        self.who = who
        self.machine = machine
        self.agent = agent
        self.slots = slots
        self.wanted = 0
        self.asked = False
        """It asked since it was last told to wait."""
        self.retry_at = 0.0
        self.programs: frozenset[str] = frozenset()
        """The programs that it was asked for."""
        self.leases: dict[str, Held] = {}
        self.claims: frozenset[str] = frozenset()
        """Claims of this machine that wait for their verdict; ``Sessions.expect`` sets them."""
        self.storing: set[asyncio.Future[Any]] = set()
        """Reports that Redis has not acknowledged yet."""
        self.says_goodbye = False
        self.ended = False
        self._telling: dict[str, int] = {}
        """When verdicts that are to be written were told, as the store has it."""
        self._written: dict[str, tuple[float, int]] = {}
        """When verdicts were written, and when they were told."""
        self.giving: asyncio.Task[None] | None = None
        self.give_again = False
        self._out: asyncio.Queue[work_pb2.WorkResponse | Exception | None] = asyncio.Queue()

    def send(self, response: work_pb2.WorkResponse) -> None:
        """Say something to the machine, after what was said before."""
        if self.ended:
            return
        if self._out.qsize() >= _UNREAD:
            self.end(PoolError("AR-A103", "this machine does not read what it is sent", hint="connect again"))
            return
        self._out.put_nowait(response)

    def tell(self, verdict: work_pb2.Verdict, when: int) -> None:
        """Send a verdict that was told at ``when``, and remember that it has to arrive."""
        if not self.ended:
            self._telling[verdict.experiment.id] = when
            self.send(work_pb2.WorkResponse(verdict=verdict))

    def arrived(self, now: float) -> dict[str, int]:
        """Return the verdicts that were written long enough ago, once, and when they were told."""
        found = {x: when for x, (written, when) in self._written.items() if written + _SURE_SECONDS <= now}
        for x in found:
            del self._written[x]
        return found

    def all_told(self) -> dict[str, int]:
        """Return the verdicts that this machine was told and that may not have arrived."""
        return {**{x: when for x, (_, when) in self._written.items()}, **self._telling}

    def _note_written(self, message: work_pb2.WorkResponse) -> None:
        for said in (message, *message.more):
            if said.WhichOneof("message") == "verdict":
                x = said.verdict.experiment.id
                if (when := self._telling.pop(x, None)) is not None:
                    self._written[x] = time.monotonic(), when

    def end(self, error: Exception | None = None) -> None:
        """End the stream after what was said before, with an error or on purpose."""
        if not self.ended:
            self.ended = True
            self._out.put_nowait(error)

    async def room_to_store(self) -> None:
        """Wait while too many reports are on their way to the disk."""
        while len(self.storing) >= _STORING:
            await asyncio.wait(self.storing, return_when=asyncio.FIRST_COMPLETED)

    async def all_stored(self) -> None:
        """Wait until every report has its receipt, or is refused."""
        if self.storing:
            await asyncio.wait(self.storing)

    async def outgoing(self) -> AsyncIterator[work_pb2.WorkResponse]:
        """Yield what the machine is to be told until the stream ends; raises what ended it.

        What is ready at the same time goes as one message, which is half of the work.
        """
        item = await self._out.get()
        while isinstance(item, work_pb2.WorkResponse):
            following = self._join(item)
            yield item
            if self._telling:
                self._note_written(item)
            item = following[0] if following else await self._out.get()
        if item is not None:
            raise item

    def _join(self, message: work_pb2.WorkResponse) -> list[work_pb2.WorkResponse | Exception | None]:
        """Add what else is ready to a message; return the first that does not go with it, if there is one."""
        size = message.ByteSize()
        while not self._out.empty():
            further = self._out.get_nowait()
            if not isinstance(further, work_pb2.WorkResponse):
                return [further]
            size += further.ByteSize()
            if size >= _TOGETHER_BYTES:
                return [further]
            message.more.append(further)
        return []

    def cancel(self, lease: Name, reason: str) -> Held | None:
        """Tell the machine that a lease is over; return what it was about if it was held here."""
        name = work_pb2.LeaseName(id=lease.id, fencing=lease.fencing)
        self.send(work_pb2.WorkResponse(cancel=work_pb2.Cancel(lease=name, reason=reason)))
        return self.leases.pop(lease.id, None)


class Sessions:
    """The open sessions of this replica."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._claimants: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._open.values()))

    def open(self, session: Session) -> None:
        """Take in a session; an older one of the same machine ends."""
        before = self._open.get(session.who.id)
        self._open[session.who.id] = session
        if before is not None:
            before.end(PoolError("AR-A103", "this machine opened another stream",
                                 hint="run one `ar-worker` for each machine that joined"))  # fmt: skip

    def close(self, session: Session) -> bool:
        """Forget a session; ``False`` when a newer one of the same machine took its place."""
        session.ended = True
        self.expect(session, ())
        if self._open.get(session.who.id) is not session:
            return False
        del self._open[session.who.id]
        return True

    def on_problem(self, problem: str) -> Iterable[tuple[Session, Held]]:
        """Return who holds leases of a problem here."""
        return [(s, held) for s in self for held in list(s.leases.values()) if held.problem == problem]

    def problems(self) -> set[str]:
        """Return the problems that somebody here works on."""
        return {held.problem for session in self for held in session.leases.values()}

    def expect(self, session: Session, claims: Iterable[str]) -> None:
        """Note which claims of a session wait for their verdict."""
        for claim in session.claims:
            if self._claimants.get(claim) is session:
                del self._claimants[claim]
        session.claims = frozenset(claims)
        self._claimants.update(dict.fromkeys(session.claims, session))

    def waiting_for(self, experiment: str) -> Session | None:
        """Return whose claim an experiment is."""
        return self._claimants.get(experiment)
