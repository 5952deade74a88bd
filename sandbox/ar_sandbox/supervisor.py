"""One run of one room: start, watch time, memory and output, kill, reap, and say how it ended.

Not here: what the room is for and what its output means (``rooms``), and two rooms at once (``together``).
"""

import contextlib
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from ar_core.errors import PoolError
from ar_core.quantities import format_size
from ar_sandbox.bwrap import RoomPlan, Tools, arguments, inner_command
from ar_sandbox.memory_cap import MemoryCap, RoomCap, Watched
from ar_sandbox.stage import Stage
from ar_sandbox.watcher import MemoryWatcher

KEPT_OUTPUT = 256 * 1024
"""Bytes of each stream that are kept: the last ones."""
_SETUP_PATIENCE = 15.0
_DEATH_PATIENCE = 5.0
TICK = 0.05
"""Seconds between two looks at a room's limits."""
_CHUNK = 65536
_OF_THE_ROOM = ("words in", "filter in", "stdout out", "stderr out", "link out")
"""Our copies of the descriptors that a room has."""
_CPU_SIGNAL_STATUS = 128 + signal.SIGXCPU


class End(StrEnum):
    """How a room ended."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    LIMIT = "limit"
    INFRASTRUCTURE = "infrastructure"
    STOPPED = "stopped"
    """By us, because it was not needed any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRun:
    """What a room did: the exit status (128 + signal) where it ended by itself, the ends of its streams."""

    end: End
    status: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    """From the start of the command to its end, on our clock."""
    detail: str = ""


class _Tail:
    """The last bytes of a stream, and how many there were."""

    def __init__(self) -> None:
        self.total = 0
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self.total += len(data)
        self._data += data
        if len(self._data) > 2 * KEPT_OUTPUT:
            del self._data[:-KEPT_OUTPUT]

    def bytes(self) -> bytes:
        return bytes(self._data[-KEPT_OUTPUT:])


class Room:
    """A started room; a context manager that leaves no process behind, whatever is raised inside.

    The thread that enters it must outlive it: bubblewrap's ``--die-with-parent`` follows that thread. ``wait`` does
    all that one room needs. Rooms that run at once are stepped in turn, ``fileno`` saying when a step has something
    to do; with ``held`` the command begins only after ``release``.
    """

    def __init__(
        self,
        tools: Tools,
        stage: Stage,
        plan: RoomPlan,
        seccomp: bytes,
        on_start: Callable[[], None] | None = None,
        *,
        held: bool = False,
        memory_cap: MemoryCap | None = None,
    ) -> None:
        self._memory_cap = memory_cap or Watched()
        self._cap: RoomCap | None = None
        self._tools, self._stage, self._plan, self._seccomp = tools, stage, plan, seccomp
        self._on_start = on_start
        self._held = held
        self._made = False
        self._ended: tuple[End, str] | None = None
        self._begun = self._stopped = 0.0
        self._open: dict[str, int] = {}
        self._monitor: subprocess.Popen[bytes] | None = None
        self._init: tuple[int, int] | None = None
        self._started: float | None = None
        self._watcher: MemoryWatcher | None = None
        self._out, self._err = _Tail(), _Tail()
        self._waiting = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._finish()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()

    def _pipe(self, reader: str, writer: str) -> tuple[int, int]:
        self._open[reader], self._open[writer] = os.pipe()
        return self._open[reader], self._open[writer]

    def _start(self) -> None:
        words_in, words_out = self._pipe("words in", "words out")
        filter_in, filter_out = self._pipe("filter in", "filter out")
        # No pipe: if we are killed now, writing to one would end bubblewrap while its other half waits for it.
        info = self._open["info"] = os.memfd_create("info")
        _, out = self._pipe("stdout", "stdout out")
        _, err = self._pipe("stderr", "stderr out")
        ours, theirs = socket.socketpair()
        self._open["link"], self._open["link out"] = ours.detach(), theirs.detach()
        for name in ("link", "stdout", "stderr"):
            self._waiting.register(self._open[name], selectors.EVENT_READ, name)
        bwrap = [self._tools.bwrap, "--args", str(words_in), "--", *inner_command(self._plan)]
        with _said_to_be_ours():
            self._cap = self._memory_cap.room(self._plan.limits)
        self._monitor = subprocess.Popen(
            [*self._cap.words, *self._stage.enter, *bwrap],
            stdin=self._open["link out"], stdout=out, stderr=err, pass_fds=(words_in, filter_in, info),
            env=dict(self._cap.variables), close_fds=True, start_new_session=True, cwd="/",
        )  # fmt: skip
        self._close(*_OF_THE_ROOM)
        with _said_to_be_ours():
            self._cap.take(self._monitor.pid)
        # Only now the flags: had we been interrupted before, bubblewrap would have been left without any file
        # system to run the command in, and ended.
        _write(filter_out, self._seccomp)
        _write(words_out, arguments(self._plan, filter_in, info))
        self._close("filter out", "words out")
        self._open["monitor"] = os.pidfd_open(self._monitor.pid)
        self._waiting.register(self._open["monitor"], selectors.EVENT_READ, "monitor")
        self._begun = time.monotonic()

    @property
    def started(self) -> float | None:
        """When the command began, on the monotonic clock; ``None`` before."""
        return self._started

    @property
    def end(self) -> End | None:
        """How the room has ended, as far as ``step`` has seen."""
        return None if self._ended is None else self._ended[0]

    def fileno(self) -> int:
        """Return the descriptor that is readable when a step has something to do."""
        return self._waiting.fileno()

    def wait(self) -> RoomRun:
        """Watch until the command has ended or breaks a limit; the room is dead when this returns."""
        while not self.step(TICK):
            pass
        return self.conclude()

    def stop(self, end: End, detail: str) -> None:
        """Decide how a room ends that has not ended by itself; ``conclude`` then kills it."""
        if self._ended is None:
            self._ended, self._stopped = (end, detail), time.monotonic()

    def release(self) -> None:
        """Let the command of a held room begin as soon as the room is made."""
        self._held = False
        self._begun = time.monotonic()
        if self._made and self._started is None:
            self._begin()

    def conclude(self) -> RoomRun:
        """Kill what is left of a room that has ended, and say what it did; nothing of it is alive after."""
        if self._ended is None:
            raise ValueError("the room has not ended")
        end, detail = self._ended
        left_over = self._kill()
        self._drain()
        status = self._monitor.returncode if self._monitor is not None else None
        if status is not None and status < 0:
            status = 128 - status
        if left_over:
            end, detail = End.INFRASTRUCTURE, "a process of the room would not die"
        elif self._started is None and end is End.EXIT:
            end, detail = End.INFRASTRUCTURE, "the room could not be made"
        elif end is End.EXIT and self._ran_out():
            end, detail = End.OUT_OF_MEMORY, f"more than {format_size(self._plan.limits.memory)} of memory"
        elif end is End.EXIT and status == _CPU_SIGNAL_STATUS:
            end, detail = End.TIMEOUT, f"more than {self._plan.limits.cpu_seconds} s of processor time"
        return RoomRun(
            end=end,
            status=status if end is End.EXIT else None,
            stdout=self._out.bytes(),
            stderr=self._err.bytes(),
            seconds=self._stopped - self._started if self._started is not None else 0.0,
            detail=detail,
        )

    def _ran_out(self) -> bool:
        """Tell whether the kernel ended the room for its memory: bubblewrap too, which nothing in a room can kill."""
        killed = self._monitor is not None and self._monitor.returncode == -signal.SIGKILL
        return killed and self._cap is not None and self._cap.ran_out()

    def step(self, patience: float) -> bool:
        """Wait up to ``patience`` seconds for something to do, do it, and tell whether the room has ended."""
        if self._ended is None:
            found = self._look(patience)
            if found is not None:
                self.stop(*found)
        return self._ended is not None

    def _look(self, patience: float) -> tuple[End, str] | None:
        limits = self._plan.limits
        now = time.monotonic()
        if self._started is not None:
            deadline = self._started + limits.seconds
            if now >= deadline:
                return End.TIMEOUT, f"more than {limits.seconds:g} s"
        else:
            deadline = math.inf if self._made and self._held else self._begun + _SETUP_PATIENCE
            if now >= deadline:
                return End.INFRASTRUCTURE, "the room did not start"
        if "monitor" in self._turn(min(patience, deadline - now)):
            return End.EXIT, ""
        if self._out.total + self._err.total > limits.output:
            return End.LIMIT, f"more than {limits.output >> 20} MiB of output"
        broken = self._watcher.broken(time.monotonic()) if self._watcher is not None else None
        if broken is not None:
            return (End.OUT_OF_MEMORY if broken.memory else End.LIMIT), broken.detail
        return None

    def _turn(self, timeout: float) -> set[str]:
        """Wait for something to read and read it; return the names that were ready."""
        ready: set[str] = set()
        for key, _ in self._waiting.select(timeout):
            name: str = key.data
            ready.add(name)
            if name == "monitor":
                continue
            data = _read(key.fd)
            if name == "link" and data:
                self._made = True
                if not self._held:
                    self._begin()
            elif name == "stdout":
                self._out.add(data)
            elif name == "stderr":
                self._err.add(data)
            if not data:
                self._close(name)
        return ready

    def _begin(self) -> None:
        """Let the made room become its command, holding on to its first process, with whose death all others die.

        Bubblewrap itself ends when that process says that the command has ended, which is before it is dead.
        """
        self._init = self._find_init()
        if self._init is None:
            return
        watched = self._plan.limits if self._cap is None else self._cap.watched
        writable = tuple(bind.target for bind in self._plan.binds if bind.writable)
        self._watcher = MemoryWatcher(self._init[0], watched, time.monotonic())
        self._watcher.open(writable)
        _write(self._open["link"], b"go\n")
        self._started = time.monotonic()
        if self._on_start is not None:
            self._on_start()

    def _find_init(self) -> tuple[int, int] | None:
        """Return the number and a handle of the room's first process, as bubblewrap named it."""
        try:
            said = os.pread(self._open["info"], _CHUNK, 0)  # written before the room was made, so there is something
            pid = int(json.loads(said)["child-pid"])
            handle = os.pidfd_open(pid)
        except (ValueError, KeyError, TypeError, ProcessLookupError):
            return None
        if self._monitor is not None and _parent(pid) == self._monitor.pid:
            return pid, handle
        os.close(handle)
        return None

    def _kill(self) -> bool:
        """Kill every process of the room and reap; return whether one is left."""
        # A room that is still being made never becomes its command without these, but ends. Bubblewrap must not be
        # killed before that: its other half would wait for it for ever.
        self._close("link", "words out", "filter out", *_OF_THE_ROOM)
        if self._monitor is None:
            return False
        if self._init is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init[1], signal.SIGKILL)
        if self._cap is not None:
            self._cap.kill()
        try:
            self._monitor.wait(timeout=_DEATH_PATIENCE)
        except subprocess.TimeoutExpired:
            self._monitor.kill()
            self._monitor.wait()
        if self._init is None:
            return False
        left = not _gone(self._init[1], _DEATH_PATIENCE)
        # It is ours to reap where this process is the first of its container or adopts orphans.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._init[1], os.WEXITED | os.WNOHANG)
        return left

    def _drain(self) -> None:
        """Read what is left in the pipes until every process that had them is gone."""
        deadline = time.monotonic() + _DEATH_PATIENCE
        self._close("monitor")
        while self._waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            self._turn(left)

    def _close(self, *names: str) -> None:
        for name in names:
            fd = self._open.pop(name, -1)
            if fd < 0:
                continue
            with contextlib.suppress(KeyError):
                self._waiting.unregister(fd)
            os.close(fd)

    def _finish(self) -> None:
        """End what still runs, and wait until nothing of it is left; then let go of everything."""
        try:
            self._kill()
            self._drain()
        finally:
            if self._init is not None:
                os.close(self._init[1])
                self._init = None
            if self._watcher is not None:
                self._watcher.close()
            if self._cap is not None:
                self._cap.close()
            self._close(*self._open)
            self._waiting.close()


@contextlib.contextmanager
def _said_to_be_ours() -> Iterator[None]:
    """Have what the kernel says about a memory cap count as a failure of the sandbox."""
    try:
        yield
    except OSError as error:
        raise PoolError("AR-S501", f"the room's memory cap could not be set: {error.strerror}") from None


def _write(fd: int, data: bytes) -> None:
    """Write to a pipe whose reader may be gone already; the room then says so by not starting."""
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(fd, data) :]


def _read(fd: int) -> bytes:
    """Return what a pipe or socket has, empty at its end."""
    try:
        return os.read(fd, _CHUNK)
    except ConnectionError:
        return b""


def _gone(handle: int, patience: float) -> bool:
    with selectors.DefaultSelector() as waiting:
        waiting.register(handle, selectors.EVENT_READ)
        return bool(waiting.select(patience))


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return -1
