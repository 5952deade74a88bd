"""How much memory a whole room uses: all its processes and what lies in its file systems in memory.

Not here: killing it (``supervisor``). Kernel limits per process stop one process; this stops a tree of them.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from ar_core.quantities import format_size
from ar_sandbox.policy import Limits

_INTERVAL = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


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
    """

    def __init__(self, init: int, limits: Limits, now: float) -> None:
        self._limits = limits
        self._next = now
        self._init = str(init)
        self._proc = -1
        self._listed = True
        self._scratch: list[int] = []
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        # The room may be dead already; then there is nothing to watch.
        with contextlib.suppress(OSError):
            self._proc = os.open(f"/proc/{init}/root/proc", flags)
            self._listed = "1" in os.listdir(self._proc)  # noqa: PTH208 - a descriptor has no Path
            if not self._listed:
                os.close(self._proc)
                self._proc = -1
                self._proc = os.open("/proc", flags)
            for folder in ("tmp", "dev/shm"):
                self._scratch.append(os.open(f"/proc/{init}/root/{folder}", flags))

    def broken(self, now: float) -> Broken | None:
        """Return the limit that the room breaks at ``now`` (seconds, monotonic), or ``None``."""
        if self._proc < 0 or now < self._next:
            return None
        self._next = now + _INTERVAL
        scratch = 0
        for folder in self._scratch:
            use = os.fstatvfs(folder)
            scratch += (use.f_blocks - use.f_bfree) * use.f_frsize
            if use.f_files - use.f_ffree > self._limits.scratch_files:
                return Broken(memory=False, detail=f"more than {self._limits.scratch_files} files in /tmp")
        limit = self._limits.memory
        if scratch + self._sum(_resident) <= limit:
            return None
        used = scratch + self._sum(_proportional)
        if used <= limit:
            return None
        return Broken(memory=True, detail=f"{format_size(used)} of memory, over {format_size(limit)}")

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
                for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - many times a second
                    found += _read(self._proc, f"{pid}/task/{task}/children").decode().split()
        return found

    def close(self) -> None:
        """Let go of the room's file systems."""
        for fd in (self._proc, *self._scratch):
            if fd >= 0:
                os.close(fd)
        self._proc, self._scratch = -1, []


def _read(proc: int, path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return os.read(fd, 8192)
    finally:
        os.close(fd)


def _resident(proc: int, pid: str) -> int:
    fields = _read(proc, f"{pid}/statm").split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else 0


def _proportional(proc: int, pid: str) -> int:
    for line in _read(proc, f"{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0
