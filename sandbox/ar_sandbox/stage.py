"""The stage: a private mount namespace with a small file system in memory, from which rooms bind their files.

Not here: what is put on it (``rooms``) and what runs (``supervisor``).

Nothing of it is on the disk and no other process sees it. It disappears when the process that opened it ends,
however that ends: its keeper, a shell, reads from a pipe and leaves when the pipe closes. As root the keeper is
below ``unshare --mount``, so that rooms can drop to nobody and still reach an interpreter in a closed folder; as an
ordinary user it is below an outer bubblewrap, which is the program that systems allow to make user namespaces.
"""

import contextlib
import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ar_core.errors import PoolError
from ar_sandbox.bwrap import NOBODY, Tools
from ar_sandbox.environment import Interpreter
from ar_sandbox.policy import OUT_INODES

_MOUNT_POINTS = ("/mnt", "/media", "/srv", "/opt", "/run")
_PATIENCE = 15.0
"""Seconds that a step of the keeper may take on a loaded machine."""
_FAREWELL = 5.0
_KEEPER = """
set -e
at=$1
mount -t tmpfs -o mode=0711,nosuid,nodev,size="$2",nr_inodes="$3" stage "$at"
mkdir "$at/empty"
show() {
    mkdir "$at/$1" "$at/$1.from"
    if mount --bind "$2" "$at/$1.from" && mount -t overlay -o "ro,lowerdir=$at/$1.from:$at/empty" stage "$at/$1"; then
        how=layer
    else
        how=bound
        mount --bind "$2" "$at/$1" && mount -o remount,bind,ro "$at/$1" || how=not
    fi 2>/dev/null
}
python=not packages=not how=not
if [ -n "$4" ]; then show python "$4"; python=$how; fi
if [ -n "$5" ]; then show packages "$5"; packages=$how; fi
echo "ready $$ $python $packages"
set +e
while read -r verb name size inodes; do
    case "$verb" in
    out)
        mkdir "$at/$name" &&
            mount -t tmpfs -o mode=0777,nosuid,nodev,size="$size",nr_inodes="$inodes" out "$at/$name" &&
            echo done || echo failed
        ;;
    drop)
        umount "$at/$name" && rmdir "$at/$name" && echo done || echo failed
        ;;
    esac
done
"""
_KEEPER_PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


class Stage:
    """An open stage; a context manager.

    ``root`` is a descriptor of its top folder, ``path`` the same folder as bubblewrap names it, ``python`` the
    interpreter's prefix there, ``packages`` the folder of packages (or empty), and ``enter`` the words that put a
    command on the stage (as root: also as nobody). ``neutral`` tells that a room cannot learn where those two are
    on this machine: every process can read from which folder of a file system each of its mounts was taken. So they
    are not bound but the lower layer of a file system of their own, where the kernel lets us make one.
    """

    def __init__(
        self, tools: Tools, interpreter: Interpreter, *, size: int, inodes: int, packages: Path | None = None
    ) -> None:
        self._as_root = os.geteuid() == 0
        self.path = _mount_point(interpreter.prefix, packages)
        folders = [str(interpreter.prefix or ""), str(packages or "")]
        script = [tools.sh, "-c", _KEEPER, "sh", self.path, str(size), str(inodes), *folders]
        self.root = -1
        self._talking = False
        self._keeper: subprocess.Popen[bytes] | None = None
        self._link, theirs = socket.socketpair()
        try:
            with theirs:
                fd = theirs.fileno()
                self._keeper = subprocess.Popen(
                    [*_below(tools, as_root=self._as_root), *script],
                    stdin=fd, stdout=fd, stderr=fd,
                    env=_KEEPER_PATH, close_fds=True, start_new_session=True, cwd="/",
                )  # fmt: skip
            answer = self._answer()
            if not answer.startswith("ready "):
                raise PoolError("AR-S501", f"the stage could not be made: {answer}")
            _, pid, *shown = answer.split()
            self._pid = int(pid)
            self.root = os.open(f"/proc/{self._pid}/root{self.path}", os.O_PATH | os.O_DIRECTORY)
        except BaseException:
            self.close()
            raise
        # What an ordinary user's keeper could not put on the stage that user's rooms reach where it is.
        self.python, self.packages = (
            folder if how == "not" else f"{self.path}/{name}"
            for name, folder, how in zip(("python", "packages"), folders, shown, strict=True)
        )
        self.neutral = all(how == "layer" for folder, how in zip(folders, shown, strict=True) if folder)
        self.enter = self._enter(tools)

    def _enter(self, tools: Tools) -> list[str]:
        target = ["--target", str(self._pid), "--mount"]
        if not self._as_root:
            return [tools.nsenter, *target, "--user", "--preserve-credentials", "--"]
        # Another user and group, and no further groups: who gives up being root so has no capability left either.
        return [tools.nsenter, *target, "--setgid", str(NOBODY), "--setuid", str(NOBODY), "--"]

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the stage, readable by every room that it is bound into; parents are made."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            with contextlib.suppress(FileExistsError):
                os.mkdir("/".join(parts[:depth]), 0o755, dir_fd=self.root)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path, dir_fd=self.root)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o444, dir_fd=self.root), "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o444)

    def folder(self, path: str) -> None:
        """Make an empty folder, with its parents."""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            with contextlib.suppress(FileExistsError):
                os.mkdir("/".join(parts[:depth]), 0o755, dir_fd=self.root)

    def read(self, path: str) -> bytes:
        """Return the content of a file of the stage."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, dir_fd=self.root), "rb") as file:
            return file.read()

    @contextlib.contextmanager
    def out(self, name: str, size: int, inodes: int = OUT_INODES) -> Iterator[str]:
        """Mount an empty, sized file system, for ``$AR_OUT`` say; yields the path for a room's bind."""
        self._ask(f"out {name} {size} {inodes}")
        try:
            yield f"{self.path}/{name}"
        except BaseException:
            # Already on the way out with a better error; the whole stage goes soon.
            with contextlib.suppress(PoolError):
                self._ask(f"drop {name}")
            raise
        self._ask(f"drop {name}")

    def _ask(self, line: str) -> None:
        """Have the keeper do something; an interrupted conversation is never taken up again."""
        answer = "an earlier step was interrupted"
        if not self._talking:
            self._talking = True
            with contextlib.suppress(BrokenPipeError):
                self._link.sendall(line.encode() + b"\n")
            answer = self._answer()
        if answer != "done":
            raise PoolError("AR-S501", f"the stage could not do {line.split()[0]!r}: {answer}")
        self._talking = False

    def _answer(self) -> str:
        """Return the keeper's next line, or why there is none."""
        line = b""
        deadline = time.monotonic() + _PATIENCE
        while not line.endswith(b"\n"):
            self._link.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                chunk = self._link.recv(256)
            except TimeoutError:
                return "it took too long"
            except ConnectionError:
                chunk = b""
            if not chunk:
                break
            line += chunk
        return " ".join(line.decode(errors="replace").split()) or "its keeper ended"

    def close(self) -> None:
        """Give everything back; the rooms on it must have ended."""
        # The keeper leaves when its side of the conversation ends, also where we were interrupted before knowing it.
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)
            self._link.settimeout(_FAREWELL)
            while self._link.recv(256):
                pass
        self._link.close()
        if self.root >= 0:
            os.close(self.root)
            self.root = -1
        if self._keeper is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._keeper.wait(timeout=_FAREWELL)
            self._keeper.kill()
            self._keeper.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _below(tools: Tools, *, as_root: bool) -> list[str]:
    if as_root:
        return [tools.unshare, "--mount", "--propagation", "private", "--"]
    return [
        tools.bwrap, "--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL", "--dev-bind", "/", "/", "--",
    ]  # fmt: skip


def _mount_point(*needed: Path | None) -> str:
    """Return a folder that every user may enter and that hides nothing a room needs."""
    for name in _MOUNT_POINTS:
        folder = Path(name)
        if folder.is_symlink() or not folder.is_dir() or not folder.stat().st_mode & stat.S_IXOTH:
            continue
        if not any(path is not None and path.is_relative_to(folder) for path in needed):
            return name
    raise PoolError(
        "AR-S500",
        "there is no folder to mount on",
        hint=f"make one of {', '.join(_MOUNT_POINTS)} with mode 0755",
    )
