"""The thin shell around ``Session``: the stream, the slots, the disk, the clock and the signals.

Not here: any decision about leases and reports; those are the session's.
"""

import asyncio
import contextlib
import os
import platform
import random
import signal
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime

from ar_client.identity import Login
from ar_client.output import Output, ReaderGoneError
from ar_core.errors import Exit, PoolError
from ar_core.quantities import format_size
from ar_core.signing import PrivateKey
from ar_proto.v1 import work_pb2
from ar_sandbox.rooms import Sandbox
from ar_search.agent import Inspiration
from ar_worker import actions as do
from ar_worker import events as on
from ar_worker.account import Account
from ar_worker.blob_cache import BlobCache
from ar_worker.connection import Connection
from ar_worker.consent import asks_of
from ar_worker.consents import Consents, how_to_accept
from ar_worker.donation import Donation, programs_there
from ar_worker.material import UnusableTaskError, read_bundle, read_material
from ar_worker.panel.model import Run
from ar_worker.place import Place, not_joined
from ar_worker.report_store import ReportStore
from ar_worker.session import Session
from ar_worker.slot import Slot
from ar_worker.task import LeaseName, Task
from ar_worker.voice import Voice
from ar_worker.wire import PROTOCOL, decline_to_wire, event_from_wire, lease_to_wire, programs_to_wire, signed

_GOODBYE_SECONDS = 0.5
_SLOT_SECONDS = 1.0
_SAVE_SECONDS = 1.0
_LONGEST_SLEEP = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a run is made of."""

    login: Login
    key: PrivateKey
    place: Place
    donation: Donation
    sandbox: Sandbox
    grade: str
    output: Output


def run_worker(setting: Setting) -> int:
    """Work until the donation ends or the owner wants the machine back; return the exit code.

    Raises ``PoolError`` where the pool refuses this machine or was never reached.
    """
    return asyncio.run(_Loop(setting).run())


class _Loop:
    """One run; lives on one event loop, which its slots post to."""

    def __init__(self, setting: Setting) -> None:
        self._s = setting
        self._rng = random.Random(setting.donation.seed)  # noqa: S311 - searches and jitter, no secret
        self._store = ReportStore(setting.place.reports(setting.login.digest))
        self._account = Account.load(setting.place.folder / "account.json")
        self._voice = Voice(setting.output)
        jitter = random.Random()  # noqa: S311
        self._consents = Consents.load(setting.place.consents(setting.login.digest))
        self._consents.accept(setting.donation.accept)
        self._session = Session(
            setting.donation.rules, time.monotonic(), jitter, self._store.reports(), self._consents.declined
        )
        self._events: asyncio.Queue[on.Event] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_save = 0.0
        self._exit: do.Exit | None = None
        self._connection: Connection
        self._slots: list[Slot]

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._connection = Connection(self._s.login, self._s.key, self._s.place.home, BlobCache(self._s.place.cache))

        def post(event: on.Event) -> None:
            loop.call_soon_threadsafe(self._events.put_nowait, event)

        donation = self._s.donation
        self._slots = [Slot(self._s.sandbox, donation.caps, post, f"slot {n}") for n in range(donation.slots)]
        self._listen_to_signals(loop)
        try:
            self._open_panel()
            self._perform(self._session.start())
            while self._exit is None:
                self._perform(self._session.handle(await self._next(), time.monotonic()))
                self._note()
            await self._end(self._exit)
        finally:
            self._voice.close()
            self._note_now("stopped")
            self._account.save()
        if self._exit.error is not None:
            raise not_joined(self._exit.error)
        return int(Exit.DONE)

    async def _next(self) -> on.Event:
        """Return the next event, a ``Tick`` when it is time for one."""
        now = time.monotonic()
        wake = self._session.wake_at(now)
        timeout = _LONGEST_SLEEP if wake is None else max(0.0, wake - now)
        if self._account.changed:
            # What `ar-worker status` shows is not to be older than that, however long nothing happens.
            timeout = min(timeout, max(0.0, self._last_save + _SAVE_SECONDS - now))
        try:
            return await asyncio.wait_for(self._events.get(), timeout)
        except TimeoutError:
            return on.Tick()

    def _listen_to_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        asked = False

        def stop() -> None:
            nonlocal asked
            if asked:
                # Somebody is in a hurry. Rooms end with this process, and reports are on disk.
                os._exit(Exit.INTERRUPTED_TWICE)
            asked = True
            self._events.put_nowait(on.StopRequested())

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Unless it was started to outlive its terminal.
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGUSR1, self._events.put_nowait, on.FinishRequested())

    # --- Doing what the session wants

    def _perform(self, actions: list[do.Action]) -> None:
        for action in actions:
            try:
                self._do(action)
            except ReaderGoneError:
                # Whoever read our events is gone; the machine goes back to its owner.
                self._events.put_nowait(on.StopRequested())

    def _do(self, action: do.Action) -> None:
        match action:
            case do.Connect():
                self._spawn(self._stream())
            case do.KeepReport():
                self._store.keep(action.report.key, signed(action.report, self._s.key))
            case do.DropReport():
                self._store.drop(action.key)
            case do.SendReport():
                message = self._store.read(action.key)
                if message is not None:
                    self._connection.say(work_pb2.WorkRequest(report=message))
            case do.Prepare():
                self._spawn(self._prepare(action.slot, action.task))
            case do.Rebase():
                self._spawn(self._rebase(action.slot, action.lease, action.blob))
            case do.Evaluate():
                self._slots[action.slot].evaluate(action.lease)
            case do.Kill():
                self._slots[action.slot].kill(action.lease)
            case do.Announce():
                now = datetime.now(UTC)
                self._account.count(action.event, action.fields, now.date())
                self._note_wait(action)
                self._voice.event(action.event, action.fields, now)
            case do.Exit():
                self._exit = action
            case do.SayHello() | do.Decline() | do.AskForWork() | do.SayProgress() | do.GiveBack() | do.SayGoodbye():
                self._connection.say(self._message(action))

    def _message(
        self, action: do.SayHello | do.Decline | do.AskForWork | do.SayProgress | do.GiveBack | do.SayGoodbye
    ) -> work_pb2.WorkRequest:
        match action:
            case do.SayHello():
                return work_pb2.WorkRequest(hello=self._hello(action))
            case do.Decline():
                return work_pb2.WorkRequest(decline=decline_to_wire(action.declined))
            case do.AskForWork():
                return work_pb2.WorkRequest(want=work_pb2.Want(slots=action.slots))
            case do.SayProgress():
                leases = [lease_to_wire(lease) for lease in action.leases]
                return work_pb2.WorkRequest(progress=work_pb2.Progress(leases=leases))
            case do.GiveBack():
                release = work_pb2.Release(lease=lease_to_wire(action.lease), reason=action.reason)
                return work_pb2.WorkRequest(release=release)
            case do.SayGoodbye():
                return work_pb2.WorkRequest(goodbye=work_pb2.Goodbye(reason=action.reason))

    def _hello(self, action: do.SayHello) -> work_pb2.Hello:
        donation = self._s.donation
        return work_pb2.Hello(
            machine=f"{platform.machine()}, {donation.cpus} cores, {format_size(donation.memory)}",
            slots=donation.slots,
            agents=[donation.agent],
            protocol_min=PROTOCOL,
            protocol_max=PROTOCOL,
            sandbox_grade=self._s.grade,
            resume=[lease_to_wire(lease) for lease in action.resume],
            limits=work_pb2.MachineLimits(cpus=donation.cpus, memory=donation.memory),
            problems=donation.problems,
            decline=decline_to_wire(action.declined),
        )

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- What takes time

    async def _stream(self) -> None:
        """Read the stream until it ends, which is an event too."""
        error = PoolError("AR-A102", "the pool ended the stream")
        try:
            async for message in self._connection.messages(lambda: self._events.put_nowait(on.Connected())):
                if message.HasField("ask"):
                    self._connection.say(programs_to_wire(programs_there(message.ask.programs)))
                event = event_from_wire(message)
                if event is not None:
                    self._events.put_nowait(event)
        except PoolError as failure:
            error = failure
        self._events.put_nowait(on.Disconnected(error=error))

    async def _prepare(self, number: int, task: Task) -> None:
        """Fetch what a task names, and hand it to its slot."""
        try:
            table = read_bundle(await self._connection.blob(task.bundle))
            others = [hint.blob for hint in task.inspirations]
            blobs = await self._connection.blobs([*table.values(), task.parent_blob, *others])
            files = {path: blobs[name] for path, name in table.items()}
            inspirations = tuple(Inspiration(content=blobs[h.blob], score=h.score) for h in task.inspirations)
            material = read_material(task, files, blobs[task.parent_blob], inspirations)
            refusal = self._consents.refusal(task, asks_of(material.problem, files))
        except (UnusableTaskError, PoolError) as error:
            self._events.put_nowait(on.Failed(lease=task.lease, why=str(error)))
            return
        if refusal:
            why = f"revision {task.revision} asks for more than you agreed to: {refusal}"
            why = f"{why}. To agree: {how_to_accept(task.problem, task.revision)}"
            self._events.put_nowait(on.Declined(lease=task.lease, why=why, declined=self._consents.declined))
            return
        self._slots[number].begin(material, self._rng.getrandbits(63))

    async def _rebase(self, number: int, lease: LeaseName, blob: str) -> None:
        try:
            content = await self._connection.blob(blob)
        except (UnusableTaskError, PoolError):
            # Without the better version the lease goes on from its own.
            self._events.put_nowait(on.Rebased(lease=lease, claim_stands=True))
            return
        self._slots[number].go_on_from(lease, content)

    async def _end(self, action: do.Exit) -> None:
        """Leave: the stream first, then every thread, and with it every process."""
        for slot in self._slots:
            slot.close()
        if action.error is None and self._session.online:
            await self._connection.flush(_GOODBYE_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._connection.close(), _GOODBYE_SECONDS)
        deadline = time.monotonic() + _SLOT_SECONDS
        for slot in self._slots:
            slot.join(max(0.0, deadline - time.monotonic()))

    # --- What `ar-worker status` shows

    def _note_wait(self, action: do.Announce) -> None:
        if action.event == "waiting":
            self._note_now("waiting", reasons=action.fields["reasons"])

    def _note_now(self, state: str, **more: object) -> None:
        self._account.set_now(state=state, slots=self._s.donation.slots, grade=self._s.grade, **more)

    def _open_panel(self) -> None:
        login, donation = self._s.login, self._s.donation
        self._voice.open(
            Run(
                pool=login.pool, name=login.contributor, slots=donation.slots, seconds=donation.seconds,
                max_experiments=donation.max_experiments,
            )
        )  # fmt: skip

    def _note(self) -> None:
        session = self._session
        self._voice.note(session.phase, online=session.online)
        if session.held:
            self._note_now("working" if session.online else "reconnecting", leases=len(session.held))
        now = time.monotonic()
        if now >= self._last_save + _SAVE_SECONDS:
            self._last_save = now
            self._account.save()
