"""The program that the probe runs inside a room: it tries what must fail and prints what it saw as JSON.

Not here: judging what it saw (``probe``). It is sent to the room as text and imports the standard library only.
"""

import ctypes
import errno
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_FORKS = 300
_MIB = 1024**2


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


def _unshare() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")


def _status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def look(canary: str, tcp: int, udp: int, abstract: str) -> dict[str, object]:
    """Return what a stranger's program would find: nothing of its host."""
    status = _status()
    return {
        "canary": _error(Path(canary).read_bytes),
        "environment": sorted(os.environ),
        "first_environment": Path("/proc/1/environ").read_bytes().decode(errors="replace").split("\0"),
        "first_command": Path("/proc/1/cmdline").read_bytes().decode(errors="replace"),
        "processes": sum(path.name.isdigit() for path in Path("/proc").iterdir()),
        "tcp": _error(lambda: _connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", tcp))),
        "udp": _error(lambda: _connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", udp))),
        "abstract": _error(lambda: _connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract)),
        "writes": [f for f in ("/", "/usr", "/dev", "/etc") if not _error(Path(f, "x").touch)],
        "unshare": _error(_unshare),
        "capabilities": int(status["CapEff"], 16) | int(status["CapPrm"], 16) | int(status["CapBnd"], 16),
        "no_new_privileges": status["NoNewPrivs"],
        "seccomp": status["Seccomp"],
        "descriptors": sorted(_descriptors()),
        "user": os.getuid(),
    }


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
    """Fill memory from several processes, none of which uses much itself."""
    for _ in range(8):
        if os.fork() == 0:
            block = bytearray(48 * _MIB)
            time.sleep(60)
            del block
    time.sleep(60)


def disk() -> int:
    """Return how many bytes could be written to small files."""
    written = 0
    try:
        for number in range(200):
            with Path(f"/tmp/{number}").open("wb", buffering=0) as file:  # noqa: S108 - the room's own
                written += file.write(bytes(_MIB))
    except OSError:
        pass
    return written


def linger() -> None:
    """Leave a process behind that no longer belongs to this session, and never end."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    time.sleep(60)


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "look":
        print(json.dumps(look(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])))
    elif what == "linger":
        linger()
    else:
        print(json.dumps({"forks": forks, "memory": memory, "disk": disk}[what]()), flush=True)
        os._exit(0)
