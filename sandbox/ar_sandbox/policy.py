"""What a room may use and what it is given: the smaller of the problem's wishes and the owner's caps.

Not here: how a limit is enforced (``bwrap`` for those of the kernel, ``supervisor`` for ours).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from ar_core.problem import Resources

MIB = 1024**2
ADDRESS_SPACE_SLACK = 256 * MIB
"""Mapped but untouched memory (libraries, arenas, thread stacks) that a program has beyond what it uses."""
MAX_OPEN_FILES = 256
MAX_OUTPUT_BYTES = 16 * MIB
"""Standard output and error together; a program that writes more is stopped."""
MAX_SCRATCH_FILES = 65536
"""Files in /tmp or /dev/shm: a tmpfs counts bytes only, so that empty files would cost kernel memory."""
MAX_OUT_FILES = 1024
OUT_INODES = 4096
LEAST_MEMORY = 16 * MIB
"""What a room gets at least where several share what an owner gives; also the least that a problem may ask for."""

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What the owner of this machine allows at most for one evaluation; ``None`` leaves a limit to the problem.

    Bytes, seconds. The memory is that of a room alone; where two are there at once they share it.
    """

    cpus: int | None = None
    memory: int | None = None
    disk: int | None = None
    processes: int | None = None
    seconds: float | None = None

    def beside(self, kept: int) -> Self:
        """Return what is left to a room while ``kept`` bytes of memory are taken by something else."""
        return self if self.memory is None else replace(self, memory=max(LEAST_MEMORY, self.memory - kept))

    def halved(self) -> Self:
        """Return what each of two rooms gets that are there at once."""
        return self if self.memory is None else self.beside(-(-self.memory // 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one room may use: wall seconds, bytes, counts."""

    seconds: float
    cpus: int
    memory: int
    disk: int
    processes: int
    address_space: int | None
    output: int = MAX_OUTPUT_BYTES
    scratch_files: int = MAX_SCRATCH_FILES

    @property
    def cpu_seconds(self) -> int:
        """Processor time of one process, for RLIMIT_CPU: the budget on every processor and one second more."""
        return math.ceil(self.seconds * self.cpus) + 1


def limits(seconds: float, resources: Resources, caps: Caps | None = None) -> Limits:
    """Return the limits of a room that may take ``seconds``: each the smaller of wish and cap.

    What a room writes lies in memory, so its disk is never more than that.
    """
    caps = caps or Caps()
    memory = _smaller(resources.memory, caps.memory)
    return Limits(
        seconds=seconds if caps.seconds is None else min(seconds, caps.seconds),
        cpus=max(1, _smaller(resources.cpus, caps.cpus)),
        memory=memory,
        disk=min(memory, _smaller(resources.disk, caps.disk)),
        processes=_smaller(resources.processes, caps.processes),
        address_space=memory + ADDRESS_SPACE_SLACK if resources.limit_address_space else None,
    )


def environment(path: str, cpus: int, own: Mapping[str, str]) -> dict[str, str]:
    """Return every variable of a room: a fixed few, the numeric libraries' threads, and its ``own``."""
    fixed = {
        "PATH": path,
        "HOME": "/tmp",  # noqa: S108 - inside the room, where it is private and new each time
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {**fixed, **dict.fromkeys(_THREAD_VARIABLES, str(cpus)), **own}


def _smaller(wish: int, cap: int | None) -> int:
    return wish if cap is None else min(wish, cap)
