"""Trying what a room should refuse, from inside one: the grade of this machine's sandbox, with a fix per check.

Not here: making the rooms better; a check that fails says what its owner can do.
"""

import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from ar_core import text
from ar_sandbox import policy
from ar_sandbox.bwrap import NOBODY, Bind
from ar_sandbox.machine import TRIAL_LIMITS, Machine
from ar_sandbox.stage import Stage
from ar_sandbox.supervisor import End, RoomRun

_INSIDE = Path(__file__).with_name("probe_inside.py")
_VARIABLES = {*policy.environment("", 1, {}), "PWD", "LD_LIBRARY_PATH", "LC_CTYPE"}
_MAX_PROCESSES = 3
_REPORT = "this is a hole: do not donate this machine; update bubblewrap and the kernel, then try again"
_NETWORK_FIX = "allow network namespaces: `sudo sysctl -w user.max_net_namespaces=15000`"
_LIMIT_FIX = "the kernel does not keep this limit for a room: update it, or lower the limits in the worker's settings"


class Grade(StrEnum):
    """How far a machine's rooms can be trusted: ``A`` has kernel limits for a whole room, ``B`` a watcher."""

    A = "A"
    B = "B"
    C = "C"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was tried; ``fix`` is empty where it held."""

    name: str
    ok: bool
    detail: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """The grade and what it was earned with."""

    grade: Grade
    checks: tuple[Check, ...]


def probe(machine: Machine) -> ProbeReport:
    """Run every check; takes about a second. Raises ``PoolError`` AR-S501 when no stage can be made."""
    source = _INSIDE.read_bytes()
    with machine.stage({"probe.py": source}) as stage:
        stage.write("probe/probe.py", source)
        checks = (*_closed(machine, stage), *_limited(machine, stage))
    return ProbeReport(grade=Grade.B if all(check.ok for check in checks) else Grade.NONE, checks=checks)


def _run(machine: Machine, stage: Stage, limits: policy.Limits, *words: str) -> RoomRun:
    command = ("python", "-I", "-S", "/problem/probe.py", *words)
    bind = Bind(source=f"{stage.path}/probe", target="/problem")
    return machine.run(stage, command, limits=limits, binds=(bind,), folder="/problem")


def _closed(machine: Machine, stage: Stage) -> list[Check]:
    """Look for anything of the host from inside a room, with live listeners and a canary outside."""
    abstract = f"ar-probe-{secrets.token_hex(8)}"
    with (
        TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        canary = Path(folder, "canary")
        canary.write_text("canary")
        udp.bind(("127.0.0.1", 0))
        unix.bind("\0" + abstract)
        unix.listen()
        ports = [str(tcp.getsockname()[1]), str(udp.getsockname()[1])]
        run = _run(machine, stage, TRIAL_LIMITS, "look", str(canary), *ports, abstract)
        reached = [name for name, s in (("TCP", tcp), ("UDP", udp), ("abstract", unix)) if _was_reached(s)]
    try:
        seen: dict[str, object] = json.loads(run.stdout)
    except ValueError:
        said = text.one_line(run.stderr.decode(errors="replace") or run.detail)
        return [Check(name="room", ok=False, detail=said, fix="run `bwrap --unshare-all --ro-bind / / true`")]
    return _judge(seen, reached)


def _judge(seen: Mapping[str, object], reached: list[str]) -> list[Check]:
    variables = {name for name in _words(seen["environment"]) if not name.startswith("AR_")}
    first = {entry.partition("=")[0] for entry in _words(seen["first_environment"]) if entry}
    strange = sorted((variables | first) - _VARIABLES)
    network = [*reached, *(name for name in ("tcp", "udp", "abstract") if not seen[name])]
    descriptors = seen["descriptors"]
    processes = seen["processes"]
    rights = f"capabilities {seen['capabilities']}, NoNewPrivs {seen['no_new_privileges']}"
    return [
        _check("files", bool(seen["canary"]), "a file of this machine could be read"),
        _check("environment", not strange, f"variables of this machine: {', '.join(strange)}"),
        _check("processes", isinstance(processes, int) and processes <= _MAX_PROCESSES, f"{processes} visible"),
        _check("network", not network, f"reached: {', '.join(network)}", _NETWORK_FIX),
        _check("writes", not seen["writes"], f"could write to {seen['writes']}"),
        _check("namespaces", bool(seen["unshare"]), "a new user namespace could be made"),
        _check("rights", seen["capabilities"] == 0 and seen["no_new_privileges"] == "1", rights),
        _check("system calls", seen["seccomp"] == "2", "no filter is loaded"),
        _check("descriptors", descriptors == [0, 1, 2], f"open: {descriptors}"),
        _check("user", seen["user"] == NOBODY, f"runs as user {seen['user']}"),
    ]


def _limited(machine: Machine, stage: Stage) -> list[Check]:
    """Try to use more than a room may."""
    small = replace(TRIAL_LIMITS, memory=128 * policy.MIB, processes=32)
    forks = _number(_run(machine, stage, small, "forks"))
    memory = _run(machine, stage, small, "memory")
    disk = _number(_run(machine, stage, small, "disk"))
    linger = _run(machine, stage, replace(small, seconds=0.3), "linger")
    return [
        _check("process limit", forks is not None and forks < small.processes, f"{forks} of 300", _LIMIT_FIX),
        _check("memory limit", memory.end is End.OUT_OF_MEMORY, f"ended with {memory.end}", _LIMIT_FIX),
        _check("disk limit", disk is not None and disk <= small.disk, f"{disk} bytes", _LIMIT_FIX),
        _check("nothing left", linger.end is End.TIMEOUT, linger.detail),
    ]


def _check(name: str, ok: bool, trouble: str, fix: str = _REPORT) -> Check:
    return Check(name=name, ok=ok, detail="" if ok else trouble, fix="" if ok else fix)


def _was_reached(listener: socket.socket) -> bool:
    listener.setblocking(False)
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(1)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else []


def _number(run: RoomRun) -> int | None:
    try:
        return int(run.stdout)
    except ValueError:
        return None
