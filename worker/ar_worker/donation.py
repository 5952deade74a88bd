"""What an owner donates: slots, cores, memory, problems, and until when.

Not here: the command line (``options``) and keeping to it (``session``, ``slot``).
"""

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from ar_core.errors import PoolError
from ar_core.manifest import NAME
from ar_core.quantities import format_duration, format_size, parse_duration, parse_percent, parse_size
from ar_sandbox.policy import MIB, Caps
from ar_worker.rules import Rules

_LEAST_MEMORY = 64 * MIB
_ROOM_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where a room looks for programs, beside what its environment brings."""
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_MOST_PROGRAMS = 256
_MOST_SLOTS = 256
_DEFAULT_SHARE = 0.5
AGENTS = ("tuner",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Donation:
    """One machine's offer; memory in bytes, times in seconds, no ``problems`` means any."""

    slots: int
    cpus: int
    memory: int
    problems: tuple[str, ...] = ()
    agent: str = "tuner"
    seconds: float | None = None
    max_experiments: int | None = None
    idle_seconds: float | None = None
    seed: int | None = None
    accept: tuple[tuple[str, int], ...] = ()
    """Revisions of problems that are agreed to although they ask for more than those before."""

    @property
    def caps(self) -> Caps:
        """What one evaluation may use at most: a slot's part of the whole, half of it for the files that are kept."""
        memory = self.memory // self.slots
        return Caps(cpus=max(1, self.cpus // self.slots), memory=memory, disk=memory // 2)

    @property
    def rules(self) -> Rules:
        """What the session has to keep to."""
        return Rules(
            slots=self.slots,
            seconds=self.seconds,
            max_experiments=self.max_experiments,
            idle_seconds=self.idle_seconds,
        )

    def document(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {
            "slots": self.slots, "cpus": self.cpus, "memory": self.memory, "problems": list(self.problems) or "any",
            "agent": self.agent, "seconds": self.seconds, "max_experiments": self.max_experiments,
        }  # fmt: skip

    def sentence(self) -> str:
        """Say it to people."""
        words = [
            f"{self.slots} slot{'s' if self.slots > 1 else ''}",
            f"{self.cpus} core{'s' if self.cpus > 1 else ''}",
            f"{format_size(self.memory)} of memory",
            f"problems: {', '.join(self.problems) or 'any'}",
        ]
        if self.seconds is not None:
            words.append(f"for {format_duration(self.seconds)}")
        if self.max_experiments is not None:
            words.append(f"at most {self.max_experiments} experiments")
        return ", ".join(words)


def programs_there(asked: Iterable[str]) -> list[str]:
    """Return which of the programs that a pool asks for a room of this machine finds; names only, never paths."""
    names = sorted({name for name in asked if _PROGRAM.fullmatch(name)})[:_MOST_PROGRAMS]
    return [name for name in names if shutil.which(name, path=_ROOM_PATH) is not None]


def read_donation(
    *,
    slots: int | None,
    cpus: str | None,
    memory: str | None,
    problems: str,
    agent: str,
    seconds: str | None,
    max_experiments: int | None,
    idle: str | None,
    seed: int | None,
    accept: tuple[str, ...] = (),
) -> Donation:
    """Return what the options say, with this machine's defaults; raises ``PoolError`` AR-A101.

    By default half of the cores and half of the memory, with a slot for each core.
    """
    cores = len(os.sched_getaffinity(0))
    whole = psutil.virtual_memory().total
    given = _cpus(cpus, cores)
    chosen = given if slots is None else slots
    if not 1 <= chosen <= _MOST_SLOTS:
        raise PoolError("AR-A101", f"--slots is from 1 to {_MOST_SLOTS}")
    bytes_given = _memory(memory, whole)
    if bytes_given // chosen < _LEAST_MEMORY:
        raise PoolError("AR-A101", f"--memory leaves a slot less than {format_size(_LEAST_MEMORY)}")
    if max_experiments is not None and max_experiments < 1:
        raise PoolError("AR-A101", "--max-experiments is 1 or more")
    if agent not in AGENTS:
        raise PoolError("AR-A101", f"there is no agent {agent!r}", hint=f"known: {', '.join(AGENTS)}")
    return Donation(
        slots=chosen,
        cpus=given,
        memory=bytes_given,
        problems=_problems(problems),
        agent=agent,
        seconds=_seconds("--for", seconds),
        max_experiments=max_experiments,
        idle_seconds=_seconds("--exit-when-idle", idle),
        seed=seed,
        accept=tuple(_revision(text) for text in accept),
    )


def _cpus(text: str | None, cores: int) -> int:
    if text is None:
        return max(1, int(cores * _DEFAULT_SHARE))
    try:
        number = int(cores * parse_percent(text)) if "%" in text else int(text)
    except ValueError:
        number = 0
    if "%" in text and number == 0:
        number = 1 if parse_percent(text) > 0 else 0
    if not 1 <= number <= cores:
        raise PoolError("AR-A101", f"--cpus is a number from 1 to {cores}, or a share like 50%")
    return number


def _memory(text: str | None, whole: int) -> int:
    if text is None:
        return int(whole * _DEFAULT_SHARE)
    try:
        size = int(whole * parse_percent(text)) if "%" in text else parse_size(text)
    except ValueError as error:
        raise PoolError("AR-A101", f"--memory: {error}") from None
    if not _LEAST_MEMORY <= size <= whole:
        raise PoolError("AR-A101", f"--memory is from {format_size(_LEAST_MEMORY)} to {format_size(whole)}")
    return size


def _problems(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if names in {(), ("any",)}:
        return ()
    for name in names:
        if not NAME.fullmatch(name):
            raise PoolError("AR-A101", f"--problems: {name[:80]!r} is not a problem's name")
    return names


def _revision(text: str) -> tuple[str, int]:
    name, _, revision = text.partition("@")
    if not NAME.fullmatch(name) or not re.fullmatch(r"[1-9][0-9]{0,8}", revision):
        raise PoolError("AR-A101", f"--accept: {text[:80]!r} is not a problem and its revision, like bin-packing@2")
    return name, int(revision)


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise PoolError("AR-A101", f"{option}: {error}") from None
    if seconds <= 0:
        raise PoolError("AR-A101", f"{option} is more than 0")
    return seconds
