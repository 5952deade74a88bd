"""The bubblewrap command of one room: which program, and every flag with the hole that it closes.

Not here: starting it (``supervisor``) and the folders it binds (``stage``).
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ar_core.errors import PoolError
from ar_sandbox.environment import BIN, PREFIX, Interpreter
from ar_sandbox.policy import MAX_OPEN_FILES, Limits

NOBODY = 65534
_SYSTEM_FOLDERS = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")
_TOP_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives")
_SHM_AT_LEAST = 64 * 1024
_SHELL = "/bin/sh"
"""Where every room has one."""
# Sets the limits, says on its standard input, a socket of ours, that the room is made, and becomes the command only
# when we answer: where we have died or given up meanwhile the room ends instead, although bubblewrap's own provision
# for that (--die-with-parent) begins too late to help. The command's standard input is empty.
_STARTER = '{limits} && printf . >&0 && read -r go && exec "$@" </dev/null'
_FILE_BLOCK = 512
"""Bytes of the unit in which POSIX has a shell count the size of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Absolute paths of the programs of this system that a room is made with."""

    bwrap: str
    nsenter: str
    unshare: str
    sh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A file or folder of the stage and where it is in the room."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPlan:
    """One room: its command, its files, its variables and its limits."""

    command: tuple[str, ...]
    binds: tuple[Bind, ...]
    variables: Mapping[str, str]
    limits: Limits
    interpreter: Interpreter
    python_source: str
    """The interpreter's prefix as the stage has it."""
    folder: str = "/problem"
    """The working directory."""
    own_proc: bool = True
    """Whether the room has a ``/proc``, of its own processes; without it the folder is empty."""


def find_tools(search_path: str | None = None) -> Tools:
    """Find bubblewrap on ``search_path`` (default: PATH) and the rest; raises ``PoolError`` AR-S500."""
    path = os.environ.get("PATH", os.defpath) if search_path is None else search_path
    bwrap = _find("bwrap", path.split(os.pathsep))
    if bwrap is None:
        raise PoolError(
            "AR-S500",
            "bubblewrap (the program bwrap) is not on PATH",
            hint="install it: `sudo apt-get install -y bubblewrap` "
            "(Fedora: `sudo dnf install bubblewrap`, Arch: `sudo pacman -S bubblewrap`)",
        )
    found: dict[str, str] = {}
    for name in ("nsenter", "unshare", "sh"):
        program = _find(name, [*_SYSTEM_FOLDERS, *path.split(os.pathsep)])
        if program is None:
            raise PoolError(
                "AR-S500",
                f"the program {name} is missing",
                hint="install it: `sudo apt-get install -y util-linux`",
            )
        found[name] = program
    return Tools(bwrap=bwrap, **found)


def _find(name: str, folders: list[str]) -> str | None:
    """Return the program ``name``, never one of the current directory, where a stranger may have put it."""
    here = Path.cwd()
    trusted = [f for f in folders if Path(f).is_absolute() and Path(f).resolve() != here]
    return shutil.which(name, path=os.pathsep.join(trusted)) if trusted else None


def arguments(plan: RoomPlan, seccomp_fd: int, info_fd: int) -> bytes:
    """Return bubblewrap's options, NUL-separated for ``--args FD``.

    They go through a descriptor because the command line of the room's first process can be read in the room.
    Bubblewrap names the room's first process on ``info_fd``.
    """
    disk = str(plan.limits.disk)
    shm = str(max(_SHM_AT_LEAST, min(plan.limits.disk, plan.limits.memory // 4)))
    words = ["--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--new-session"]
    words += ["--clearenv"]
    for name, value in plan.variables.items():
        words += ["--setenv", name, value]
    words += ["--cap-drop", "ALL", "--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "room"]
    words += _system()
    # Never the host's: where the kernel refuses a new one (parts of the one here are covered), there is none.
    words += ["--proc", "/proc"] if plan.own_proc else _empty("/proc")
    words += ["--dev", "/dev"]
    words += ["--perms", "1777", "--size", shm, "--tmpfs", "/dev/shm"]  # noqa: S108 - the room's own
    words += ["--perms", "1777", "--size", disk, "--tmpfs", "/tmp"]  # noqa: S108 - the room's own
    words += _python(plan.interpreter, plan.python_source)
    for bind in plan.binds:
        words += ["--bind" if bind.writable else "--ro-bind", bind.source, bind.target]
    words += ["--remount-ro", "/dev", "--remount-ro", "/"]
    words += ["--seccomp", str(seccomp_fd), "--info-fd", str(info_fd)]
    words += ["--chdir", plan.folder]
    return b"".join(word.encode() + b"\0" for word in words)


def inner_command(plan: RoomPlan) -> list[str]:
    """Return what bubblewrap runs: a shell that sets the limits which must be set inside, and then the command.

    Set outside they would be the caller's: RLIMIT_NPROC counts every process of a user.
    """
    return [_SHELL, "-c", _STARTER.format(limits=_limits(plan.limits)), "sh", *plan.command]


def _limits(limits: Limits) -> str:
    """Return the limits of one process in a shell's words; no exec, which is a thirtieth of a room's start."""
    words = [
        "ulimit -c 0",
        f"ulimit -n {MAX_OPEN_FILES}",
        f"ulimit -f {-(-limits.disk // _FILE_BLOCK)}",
        # At the first a signal of its own, which tells this limit from a kill; at the second a kill.
        f"ulimit -t {limits.cpu_seconds + 1} && ulimit -S -t {limits.cpu_seconds}",
        # Debian's shell and bash differ in this letter only; in bash the first is a pipe's size, which is fixed.
        f"{{ ulimit -p {limits.processes} 2>/dev/null || ulimit -u {limits.processes}; }}",
    ]
    if limits.address_space is not None:
        words.append(f"ulimit -v {-(-limits.address_space // 1024)}")
    return " && ".join(words)


def _system() -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in _TOP_FOLDERS:
        folder = Path("/", name)
        if folder.is_symlink():
            words += ["--symlink", str(folder.readlink()).lstrip("/"), str(folder)]
        elif folder.is_dir():
            words += ["--ro-bind", str(folder), str(folder)]
    for file in _SYSTEM_FILES:
        words += ["--ro-bind-try", file, file]
    return words


def _python(interpreter: Interpreter, source: str) -> list[str]:
    words: list[str] = []
    if interpreter.prefix is not None:
        words += ["--ro-bind", source, PREFIX]
    for folder in interpreter.masked:
        words += _empty(folder)
    for name in ("python", "python3"):
        words += ["--symlink", interpreter.executable, f"{BIN}/{name}"]
    return words


def _empty(folder: str) -> list[str]:
    return ["--perms", "0555", "--size", "4096", "--tmpfs", folder, "--remount-ro", folder]
