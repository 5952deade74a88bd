"""The program that the probe runs inside a room: it tries what must fail and prints what it saw as JSON.

Not here: judging what it saw (``probe``). It is sent to the room as text and imports the standard library only.
"""

import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_PR_GET_SECCOMP, _PR_CAPBSET_READ, _PR_GET_NO_NEW_PRIVS = 21, 23, 39
_CAPABILITY_VERSION = 0x20080522
_FORKS = 300
_MIB = 1024**2
_BYTES = 200 * _MIB
_PLACES = ("/", "/usr", "/etc", "/dev", "/proc", "/run", "/var/tmp", "/python", "/problem")  # noqa: S108
_EXIT_OF_A_THREAD = {"x86_64": 60, "aarch64": 93}
_FOR_A_THREAD_TO_END = 0.2
_LIBC = ctypes.CDLL(None, use_errno=True)


def _error(action: Callable[[], object]) -> str:
    """Return the name of the error that ``action`` ends with, or nothing when it succeeds."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "unknown")
    return ""


def _connect(family: int, kind: int, address: object) -> None:
    with socket.socket(family, kind) as made:
        made.settimeout(2)
        made.connect(address)  # type: ignore[arg-type]
        made.send(b"x")


def _call(name: str, *arguments: object) -> None:
    if getattr(_LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def _text(path: str) -> str:
    """Return a file's text, or nothing where a room has no such file."""
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _processes() -> int:
    return sum(path.name.isdigit() for path in Path("/proc").iterdir())


def _capabilities() -> int:
    """Return every capability that this process has or could get, as bits."""
    header = ctypes.create_string_buffer(struct.pack("<II", _CAPABILITY_VERSION, 0))
    sets = ctypes.create_string_buffer(24)
    _call("capget", header, sets)
    words: tuple[int, ...] = struct.unpack("<6I", sets.raw)
    bounding = sum(1 << bit for bit in range(64) if _LIBC.prctl(_PR_CAPBSET_READ, bit, 0, 0, 0) == 1)
    return bounding | (words[0] | words[1] | words[2]) | (words[3] | words[4] | words[5]) << 32


def look(canaries: list[str], tcp: int, udp: int, abstract: str) -> dict[str, object]:
    """Return what a stranger's program would find: nothing of its host."""
    return {
        "canaries": [path for path in canaries if not _error(Path(path).read_bytes)],
        "environment": dict(os.environ),
        "first_environment": _text("/proc/1/environ").split("\0"),
        "first_command": _text("/proc/1/cmdline"),
        "mounts": _text("/proc/self/mountinfo"),
        "processes": _processes(),
        "tcp": _error(lambda: _connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", tcp))),
        "udp": _error(lambda: _connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", udp))),
        "abstract": _error(lambda: _connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract)),
        "writes": [folder for folder in _PLACES if not _error(Path(folder, "x").touch)],
        "unshare": _error(lambda: _call("unshare", _CLONE_NEWUSER)),
        "capabilities": _capabilities(),
        "no_new_privileges": _LIBC.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        "seccomp": _LIBC.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0),
        "memfd": _error(lambda: _call("memfd_create", b"x", 0)),
        "shared memory": _error(lambda: _call("shmget", 0, _MIB, 0o1600)),
        "send buffer": _send_buffer(),
        "descriptors": sorted(_descriptors()),
        "user": os.getuid(),
    }


def _send_buffer() -> int:
    """Return by how much what may wait in a socket could be raised."""
    with socket.socket(socket.AF_UNIX) as made:
        before = made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, before * 2)
        return made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - before


def _descriptors() -> list[int]:
    def is_open(number: int) -> bool:
        return not _error(lambda: os.fstat(number))

    return [number for number in range(256) if is_open(number)]


def forks() -> int:
    """Return how many processes could be started before the limit."""
    count = 0
    while count < _FORKS:
        try:
            child = os.fork()
        except OSError:
            break
        if child == 0:
            time.sleep(60)
        count += 1
    return count


def memory() -> None:
    """Fill memory from four processes, none of which uses much itself; two hide behind a first thread that has ended.

    Together they use one and a half of what the probe gives: too little for a watcher that only stands behind the
    kernel, so that this ends by the limit that is tried and by no other.
    """
    for number in range(4):
        if os.fork() == 0:
            if number % 2:
                threading.Thread(target=_hold).start()
                _LIBC.syscall(_EXIT_OF_A_THREAD[os.uname().machine], 0)
            _hold()
    time.sleep(60)


def _hold() -> None:
    time.sleep(_FOR_A_THREAD_TO_END)
    block = bytearray(48 * _MIB)
    time.sleep(60)
    del block


def disk() -> int:
    """Return how many bytes could be written in the end: to one file, and to many small ones in each place."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    folders = ("/tmp", "/dev/shm")  # noqa: S108 - the room's own
    _fill(f"{folders[0]}/large", _BYTES)
    for folder in folders:
        for number in range(_BYTES // _MIB):
            _fill(f"{folder}/{number}", _MIB)
    return sum(file.stat().st_blocks * 512 for folder in folders for file in Path(folder).iterdir())


def _fill(path: str, size: int) -> None:
    try:
        with Path(path).open("wb", buffering=0) as file:
            while size > 0:
                size -= file.write(bytes(min(size, _MIB)))
    except OSError:
        pass


def linger() -> None:
    """Leave a process behind that no longer belongs to this session and holds a lock, and flood the output."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with Path("/out/held").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write("held")
                file.flush()
                os.write(writer, b".")
                time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    while True:
        print("x" * _MIB, flush=True)


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "look":
        print(json.dumps(look(**json.loads(sys.argv[2]))))
    elif what == "linger":
        linger()
    else:
        print(json.dumps({"forks": forks, "memory": memory, "disk": disk}[what]()), flush=True)
        os._exit(0)
