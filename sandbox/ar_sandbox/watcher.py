"""How much memory a whole room uses: all its processes, their page tables, and its file systems in memory.

Not here: killing it (``supervisor``). Kernel limits per process stop one process; this stops a tree of them.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ar_core.quantities import format_size
from ar_sandbox.policy import Limits

_INTERVAL = 0.05
_CHUNK = 65536
_RESIDENT = (b"VmRSS:", b"VmPTE:", b"VmSwap:")
"""What a process has in memory, the tables that say where, and what of it the system has moved to its disk."""
_SHARED_OUT = (b"Pss:", b"SwapPss:")
_FEW_SOCKETS = 64
_SEND_BUFFER, _SEND_BUFFER_HERE = 212992, Path("/proc/sys/net/core/wmem_default")
"""Bytes that may wait in one socket, and one message more; the system call filter lets nobody ask for more."""
_SCRATCH = ("tmp", "dev/shm")
"""Every room's own file systems, in memory; only the number of bytes in them is limited by the kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A limit that a room broke; ``memory`` tells bytes of memory from a count of files."""

    memory: bool
    detail: str


class MemoryWatcher:
    """Looks at most every 50 ms, through the room's own ``/proc``, which lists exactly its processes.

    A room that has none is looked at through ours, from its first process down: a process whose parent has ended is
    that one's child. Resident sizes are cheap but count shared pages once per process, so only when their sum is over
    the limit are the proportional sizes asked for.

    It holds nothing until ``open``, so that whatever interrupts that leaves something to ``close``.
    """

    def __init__(self, init: int, limits: Limits, now: float) -> None:
        self._limits = limits
        self._next = now
        self._init = str(init)
        self._proc = -1
        self._listed = True
        self._scratch: list[int] = []
        self._kept: list[tuple[int, int]] = []
        self._sockets, self._a_socket = -1, 2 * _send_buffer()

    def open(self, writable: tuple[str, ...] = ()) -> None:
        """Take hold of the room's file systems, before its command begins.

        ``writable`` are the folders, as the room has them, of those in memory that outlive it; what they hold beyond
        now is the room's.
        """
        init = self._init
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        # The room may be dead already; then there is nothing to watch.
        with contextlib.suppress(OSError):
            self._proc = os.open(f"/proc/{init}/root/proc", flags)
            self._listed = "1" in os.listdir(self._proc)  # noqa: PTH208 - a descriptor has no Path
            if not self._listed:
                os.close(self._proc)
                self._proc = -1
                self._proc = os.open("/proc", flags)
            for folder in _SCRATCH:
                self._scratch.append(os.open(f"/proc/{init}/root/{folder}", flags))
            for folder in writable:
                fd = os.open(f"/proc/{init}/root/{folder.lstrip('/')}", os.O_PATH | flags)
                self._kept.append((fd, _used(os.fstatvfs(fd))))
            self._sockets = os.open(f"/proc/{init}/net/sockstat", os.O_RDONLY | os.O_CLOEXEC)

    def broken(self, now: float) -> Broken | None:
        """Return the limit that the room breaks at ``now`` (seconds, monotonic), or ``None``."""
        if self._proc < 0 or now < self._next:
            return None
        self._next = now + _INTERVAL
        files = self._waiting() + sum(max(0, _used(os.fstatvfs(fd)) - before) for fd, before in self._kept)
        for fd in self._scratch:
            use = os.fstatvfs(fd)
            files += _used(use)
            if use.f_files - use.f_ffree > self._limits.scratch_files:
                return Broken(memory=False, detail=f"more than {self._limits.scratch_files} files in /tmp")
        limit = self._limits.memory
        if files + self._sum(_resident) <= limit:
            return None
        used = files + self._sum(_proportional)
        if used <= limit:
            return None
        return Broken(memory=True, detail=f"{format_size(used)} of memory, over {format_size(limit)}")

    def _waiting(self) -> int:
        """Return how much may wait in the room's sockets, of which a few are free: only their number is known."""
        if self._sockets < 0:
            return 0
        number = os.pread(self._sockets, _CHUNK, 0).split(maxsplit=3)[2]
        return max(0, int(number) - _FEW_SOCKETS) * self._a_socket

    def _sum(self, measure: Callable[[int, str], int]) -> int:
        total = 0
        for name in self._processes():
            with contextlib.suppress(OSError):
                total += measure(self._proc, name)
        return total

    def _processes(self) -> list[str]:
        if self._listed:
            return [n for n in os.listdir(self._proc) if n.isdigit()]  # noqa: PTH208 - a descriptor has no Path
        found = [self._init]
        for pid in found:  # grows on the way
            with contextlib.suppress(OSError):
                for task in _threads(self._proc, pid):
                    found += _read(self._proc, f"{task}/children").decode().split()
        return found

    def close(self) -> None:
        """Let go of the room's file systems."""
        for fd in (self._proc, self._sockets, *self._scratch, *(fd for fd, _ in self._kept)):
            if fd >= 0:
                os.close(fd)
        self._proc = self._sockets = -1
        self._scratch, self._kept = [], []


@functools.cache
def _send_buffer() -> int:
    try:
        return int(_SEND_BUFFER_HERE.read_text())
    except (OSError, ValueError):
        return _SEND_BUFFER


def _used(system: os.statvfs_result) -> int:
    return (system.f_blocks - system.f_bfree) * system.f_frsize


def _read(proc: int, path: str) -> bytes:
    """Return a whole file; the kernel gives a long one out in pages."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return b"".join(iter(lambda: os.read(fd, _CHUNK), b""))
    finally:
        os.close(fd)


def _threads(proc: int, pid: str) -> Iterator[str]:
    """Yield the folders of a process's threads."""
    fd = os.open(f"{pid}/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
    try:
        names = os.listdir(fd)  # noqa: PTH208 - a descriptor has no Path
    finally:
        os.close(fd)
    for name in names:
        yield f"{pid}/task/{name}"


def _resident(proc: int, pid: str) -> int:
    return _of_a_living_thread(proc, pid)[1]


def _proportional(proc: int, pid: str) -> int:
    """Return a process's share of the pages that it maps, and its page tables, which are its own."""
    place, resident = _of_a_living_thread(proc, pid)
    if not resident:
        return 0
    try:
        shares = _kilobytes(_read(proc, f"{place}/smaps_rollup"), _SHARED_OUT)
    except PermissionError:
        return resident
    return shares + _kilobytes(_read(proc, f"{place}/status"), (b"VmPTE:",))


def _of_a_living_thread(proc: int, pid: str) -> tuple[str, int]:
    """Return where a process's sizes can be read, and its resident size; 0 for one that has ended.

    They are those of its first thread, which may have ended, and then has none, while others live on.
    """
    if resident := _kilobytes(_read(proc, f"{pid}/status"), _RESIDENT):
        return pid, resident
    for place in _threads(proc, pid):
        with contextlib.suppress(OSError):
            if resident := _kilobytes(_read(proc, f"{place}/status"), _RESIDENT):
                return place, resident
    return pid, 0


def _kilobytes(text: bytes, names: tuple[bytes, ...]) -> int:
    """Return the sum of the lines with these names, in bytes."""
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(names)) * 1024
