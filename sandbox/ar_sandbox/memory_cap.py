"""What keeps a whole room within its memory: the kernel by a control group, else by a systemd scope, else we watch.

Not here: counting what a room uses (``watcher``) and what follows when it is too much (``supervisor``).
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from ar_sandbox.policy import Limits

PROCESSES_OF_OURS = 4
"""What a room has beside the command: bubblewrap twice, the shell that becomes the command, and one on its way."""


class RoomCap(Protocol):
    """The cap of one room."""

    words: tuple[str, ...]
    """What comes before the words that make the room."""
    variables: Mapping[str, str]
    """The environment of the first of those words; the room itself gets nothing of it."""
    watched: Limits
    """What is left to the watcher to keep."""

    def take(self, pid: int) -> None:
        """Put a process under the cap, with all its later children; raises ``OSError``."""

    def ran_out(self) -> bool:
        """Tell of a room whose processes were killed, all at once and not by us, whether that was the cap."""

    def kill(self) -> None:
        """Kill every process that is under the cap."""

    def close(self) -> None:
        """Give the cap back; nothing is under it any more."""


class MemoryCap(Protocol):
    """One way to cap rooms, tried on this machine."""

    name: str
    by_kernel: bool
    """Whether a room cannot exceed it, not even for a moment."""

    def room(self, limits: Limits) -> RoomCap:
        """Return the cap of a room that is about to be started; raises ``OSError``."""


class Watched:
    """No help from the kernel for a whole room: the watcher looks every 50 ms."""

    name = "watcher"
    by_kernel = False

    def room(self, limits: Limits) -> RoomCap:
        """Leave everything to the watcher."""
        return _WatchedRoom(limits)


class _WatchedRoom:
    words: tuple[str, ...] = ()
    variables: Mapping[str, str] = {}

    def __init__(self, limits: Limits) -> None:
        self.watched = limits

    def take(self, pid: int) -> None:
        pass

    def ran_out(self) -> bool:
        return False

    def kill(self) -> None:
        pass

    def close(self) -> None:
        pass


def behind_the_kernel(limits: Limits) -> Limits:
    """Return what is watched where the kernel keeps the memory: much more, so that the kernel is always first.

    The kernel counts a page where it was first touched, the watcher where it is mapped, so the two never agree.
    """
    return replace(limits, memory=2 * limits.memory)


def choices() -> Iterator[MemoryCap]:
    """Try what this machine has and yield what works, the best first; ``Watched`` always does."""
    from ar_sandbox import cgroup, scope

    group = cgroup.find()
    if group is not None:
        yield group
    # Root has no manager of its own, and what belongs to the machine's is not ours to ask.
    by_scope = scope.find() if os.geteuid() != 0 else None
    if by_scope is not None:
        yield by_scope
    yield Watched()
