"""Memory caps by control groups (cgroup v2): one group for each room, below one that we may divide.

Not here: cgroup v1, and machines where a user may not divide a group (``scope``).

Formats: Linux, ``Documentation/admin-guide/cgroup-v2.rst``. A group that has processes cannot be divided, so as an
ordinary user whose service was given a group of its own (systemd's ``Delegate=``) we first move everything that is
in it, which is all ours, into a part of it.
"""

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ar_sandbox.memory_cap import PROCESSES_OF_OURS, RoomCap, behind_the_kernel
from ar_sandbox.policy import MIB, Limits

_NEEDED = frozenset({"memory", "pids"})
_OURSELVES = "ar-self"
_ROOM = "ar-room-"
_TRIES = 5
_FAREWELL, _PAUSE = 1.0, 0.005
"""Seconds that an emptied group may take until it can be removed, and between two attempts."""
_TRIAL_BYTES = 64 * MIB


class Cgroup:
    """Rooms below the group ``parent``."""

    name = "cgroup v2"
    by_kernel = True
    _numbers = itertools.count()

    def __init__(self, parent: Path) -> None:
        self.parent = parent

    def room(self, limits: Limits) -> RoomCap:
        """Make a group with the limits of a room."""
        group = self.parent / f"{_ROOM}{os.getpid()}-{next(self._numbers)}"
        group.mkdir()
        made = _CgroupRoom(group, limits)
        try:
            made.set_limits()
        except BaseException:
            made.close()
            raise
        return made


class _CgroupRoom:
    words: tuple[str, ...] = ()
    variables: Mapping[str, str] = {}

    def __init__(self, group: Path, limits: Limits) -> None:
        self._group, self._limits = group, limits
        self.watched = behind_the_kernel(limits)

    def set_limits(self) -> None:
        _write(self._group / "memory.max", str(self._limits.memory))
        _write(self._group / "memory.oom.group", "1")
        _write(self._group / "pids.max", str(self._limits.processes + PROCESSES_OF_OURS))
        with contextlib.suppress(FileNotFoundError):  # a kernel that does not count swap has none for groups
            _write(self._group / "memory.swap.max", "0")

    def take(self, pid: int) -> None:
        _write(self._group / "cgroup.procs", str(pid))

    def ran_out(self) -> bool:
        lines = _words(self._group / "memory.events")
        return any(name == "oom_kill" and count != "0" for name, count in itertools.pairwise(lines))

    def kill(self) -> None:
        # Older kernels (before 5.14) have no such file; the room's first process takes all others with it anyway.
        with contextlib.suppress(OSError):
            _write(self._group / "cgroup.kill", "1")

    def close(self) -> None:
        deadline = time.monotonic() + _FAREWELL
        while True:
            try:
                self._group.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                # The last process may still be on its way out. What stays is removed when we are next started.
                if time.monotonic() >= deadline:
                    return
                time.sleep(_PAUSE)
            else:
                return


def find() -> Cgroup | None:
    """Return the way to cap rooms by control groups, or ``None`` where this machine does not let us."""
    with contextlib.suppress(OSError):
        mounted = mounted_at(Path("/proc/self/mountinfo").read_text())
        if mounted is not None:
            mount, top = mounted
            own = own_group(Path("/proc/self/cgroup").read_text()).removeprefix(top).strip("/")
            for parent in divisible(mount, own):
                _sweep(parent)
                if _works(found := Cgroup(parent)):
                    return found
    return None


def mounted_at(mountinfo: str) -> tuple[Path, str] | None:
    """Return where the tree of control groups is mounted, and which group is its root there."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split()[4]), before.split()[3].strip("/")
    return None


def own_group(text: str) -> str:
    """Return a process's group from what its ``/proc/PID/cgroup`` says, ``""`` for the root."""
    for line in text.splitlines():
        if line.startswith("0::/"):
            return line.removeprefix("0::/").strip("/")
    return ""


def divisible(mount: Path, own: str) -> Iterator[Path]:
    """Yield groups that rooms can have groups in: our own first, then those that it is part of."""
    here = mount / own
    for group in (here, *here.parents):
        if not group.is_relative_to(mount) or ".." in group.parts:
            return
        if group.name == _OURSELVES or _lacking(group / "cgroup.controllers"):
            continue
        if os.access(group, os.W_OK) and os.access(group / "cgroup.procs", os.W_OK) and _divide(group, group == here):
            yield group


def _divide(group: Path, is_own: bool) -> bool:
    """Let parts of ``group`` have limits; tell whether they may."""
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):
            if lacking := _lacking(group / "cgroup.subtree_control"):
                _write(group / "cgroup.subtree_control", " ".join(f"+{name}" for name in lacking))
            return True
        if not is_own or os.geteuid() == 0:
            return False  # root may divide any group, but whose processes are in it?
        with contextlib.suppress(OSError):
            _step_aside(group)
    return False


def _lacking(file: Path) -> list[str]:
    """Return the controllers that we need and a list of the kernel's does not have."""
    return sorted(_NEEDED - set(_words(file)))


def _step_aside(group: Path) -> None:
    part = group / _OURSELVES
    part.mkdir(exist_ok=True)
    for pid in _words(group / "cgroup.procs"):
        with contextlib.suppress(ProcessLookupError):
            _write(part / "cgroup.procs", pid)


def _sweep(parent: Path) -> None:
    """Remove the groups of rooms whose makers are gone."""
    for group in parent.glob(f"{_ROOM}*"):
        maker = group.name.removeprefix(_ROOM).partition("-")[0]
        if not Path("/proc", maker).exists():
            with contextlib.suppress(OSError):
                group.rmdir()


def _works(cap: Cgroup) -> bool:
    """Put a process under a cap, and see that it is there, and that the cap is what we asked for."""
    limits = Limits(seconds=1, cpus=1, memory=_TRIAL_BYTES, disk=_TRIAL_BYTES, processes=8, address_space=None)
    try:
        room = cap.room(limits)
    except OSError:
        return False
    try:
        with subprocess.Popen(["/bin/sh", "-c", "read -r _"], stdin=subprocess.PIPE, env={}, cwd="/") as process:
            room.take(process.pid)
            group = cap.parent / _group_name(process.pid)
            held = _words(group / "memory.max") == [str(_TRIAL_BYTES)]
            return held and str(process.pid) in _words(group / "cgroup.procs")
    except OSError:
        return False
    finally:
        room.close()


def _group_name(pid: int) -> str:
    return own_group(Path(f"/proc/{pid}/cgroup").read_text()).rpartition("/")[2]


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _write(file: Path, text: str) -> None:
    """Write to a file that the kernel has; one write, which is refused as a whole."""
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
