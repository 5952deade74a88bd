"""Trying what a room should refuse, from inside one: the grade of this machine's sandbox, with a fix per check.

Not here: making the rooms better; a check that fails says what its owner can do.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ar_core import text
from ar_core.quantities import format_size
from ar_sandbox import policy
from ar_sandbox.bwrap import NOBODY, Bind
from ar_sandbox.environment import SEARCH_PATH
from ar_sandbox.grade import Grade
from ar_sandbox.machine import TRIAL_LIMITS, Machine
from ar_sandbox.stage import Stage
from ar_sandbox.supervisor import End, RoomRun

_INSIDE = Path(__file__).with_name("probe_inside.py")
_OF_THE_SHELL = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"})
"""Variables that the shell or Python of a room sets by itself."""
_MAX_PROCESSES = 3
_DEATH_SECONDS = 0.5
_SMALL = replace(TRIAL_LIMITS, memory=128 * policy.MIB, processes=32)
_REPORT = "this is a hole: do not donate this machine; update bubblewrap and the kernel, then try again"
_NETWORK_FIX = "allow network namespaces: `sudo sysctl -w user.max_net_namespaces=15000`"
_LIMIT_FIX = "the kernel does not keep this limit for a room: update it, or lower the limits in the worker's settings"
_KERNEL_FIX = (
    "B is enough everywhere; for A the kernel has to keep the memory: cgroup v2 and root, a system service with "
    "`Delegate=memory pids`, or a login session of systemd"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was tried and what was found; ``fix`` is empty where it held."""

    name: str
    ok: bool
    detail: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """The grade and what it was earned with."""

    grade: Grade
    checks: tuple[Check, ...]
    memory_cap: str = ""
    """What keeps a whole room within its memory."""
    maker: str = ""
    """The program that makes rooms, and its version."""
    own_proc: bool = True
    """Whether rooms have a ``/proc`` of their own, or none."""

    @property
    def reason(self) -> str:
        """Why it is this grade, in a sentence."""
        broken = ", ".join(check.name for check in self.checks if not check.ok)
        if broken:
            return f"not kept: {broken}"
        proc = "" if self.own_proc else ", without /proc"
        return f"{self.maker}, system call filter, memory kept by {self.memory_cap}{proc}"

    @property
    def better(self) -> str:
        """What would earn a better grade, or nothing."""
        return _KERNEL_FIX if self.grade is Grade.B else ""


def probe(machine: Machine) -> ProbeReport:
    """Run every check; takes about a second. Raises ``PoolError`` AR-S501 when no stage can be made."""
    source = _INSIDE.read_bytes()
    with machine.stage({"probe.py": source}) as stage:
        stage.write("probe/probe.py", source)
        checks = (*_closed(machine, stage), *_limited(machine, stage), _nothing_left(machine, stage))
    earned = Grade.A if machine.memory_cap.by_kernel else Grade.B
    return ProbeReport(
        grade=earned if all(check.ok for check in checks) else Grade.NONE,
        checks=checks,
        memory_cap=machine.memory_cap.name,
        maker=_version(machine.bwrap),
        own_proc=machine.own_proc,
    )


def _version(bwrap: str) -> str:
    try:
        done = subprocess.run([bwrap, "--version"], capture_output=True, env={}, check=False, timeout=15)
    except (OSError, subprocess.TimeoutExpired):
        return "bubblewrap"
    return text.one_line(done.stdout.decode(errors="replace")) or "bubblewrap"


def _run(machine: Machine, stage: Stage, limits: policy.Limits, *words: str, out: str = "") -> RoomRun:
    command = ("python", "-I", "-S", "/problem/probe.py", *words)
    binds = [Bind(source=f"{stage.path}/probe", target="/problem")]
    if out:
        binds.append(Bind(source=out, target="/out", writable=True))
    return machine.run(stage, command, limits=limits, binds=tuple(binds), folder="/problem")


@contextlib.contextmanager
def _canaries() -> Iterator[list[str]]:
    """Lay out files that a room must not find, at home and where temporary files are; yields their paths."""
    with ExitStack() as stack:
        found = []
        for place in (Path.home(), None):
            # A service's home may be closed to itself, or not be there.
            with contextlib.suppress(OSError):
                canary = Path(stack.enter_context(TemporaryDirectory(prefix=".ar-probe-", dir=place)), "canary")
                canary.write_text("canary")
                found.append(str(canary))
        yield found


def _closed(machine: Machine, stage: Stage) -> list[Check]:
    """Look for anything of the host from inside a room, with live listeners and canaries outside."""
    abstract = f"ar-probe-{secrets.token_hex(8)}"
    with (
        _canaries() as canaries,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind("\0" + abstract)
        unix.listen()
        question = {
            "canaries": canaries, "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "abstract": abstract
        }  # fmt: skip
        run = _run(machine, stage, TRIAL_LIMITS, "look", json.dumps(question))
        reached = [name for name, s in (("TCP", tcp), ("UDP", udp), ("abstract", unix)) if _was_reached(s)]
    try:
        seen: dict[str, object] = json.loads(run.stdout)
    except ValueError:
        said = text.one_line(run.stderr.decode(errors="replace") or run.detail)
        return [Check(name="room", ok=False, detail=said, fix="run `bwrap --unshare-all --ro-bind / / true`")]
    shared = machine.interpreter.libraries
    given = policy.environment(SEARCH_PATH, TRIAL_LIMITS.cpus, {"LD_LIBRARY_PATH": shared} if shared else {})
    paths = [str(path) for path in (machine.interpreter.prefix, f"{stage.path}/probe") if path]
    return _judge(seen, reached, given, paths, neutral=stage.neutral)


def _judge(
    seen: Mapping[str, object],
    reached: list[str],
    given: Mapping[str, str],
    paths: list[str],
    *,
    neutral: bool = True,
) -> list[Check]:
    """Judge what was seen beside the variables that were ``given`` and ``paths`` of this machine.

    Where its kernel has no way to hide where its Python is (not ``neutral``), that may be seen, and is said.
    """
    environment = seen["environment"]
    have = environment.items() if isinstance(environment, dict) else ()
    first = [entry.partition("=")[::2] for entry in _words(seen["first_environment"]) if entry]
    strange = sorted({name for name, value in (*have, *first) if given.get(name) != value} - _OF_THE_SHELL)
    shown = [path for path in paths if path in str(seen["first_command"])]
    mounted = [path for path in paths if path in str(seen["mounts"])]
    kept = f"strangers can read: {', '.join(mounted)}" if mounted else "no path of this machine"
    network = [*reached, *(name for name in ("tcp", "udp", "abstract") if not seen[name])]
    allowed = [name for name in ("memfd", "shared memory") if not seen[name]]
    allowed += ["larger sockets"] if seen["send buffer"] != 0 else []
    filtered = f"allowed: {', '.join(allowed)}" if allowed else "no filter is loaded"
    processes = seen["processes"]
    open_ones = seen["descriptors"]
    rights = f"capabilities {seen['capabilities']}, NoNewPrivs {seen['no_new_privileges']}"
    return [
        _check("files", not seen["canaries"], "none of this machine", f"could be read: {seen['canaries']}"),
        _check("environment", not strange, "the room's own", f"variables of this machine: {', '.join(strange)}"),
        _check("command line", not shown, "no path of this machine", f"paths: {', '.join(shown)}"),
        _check("mounts", not (mounted and neutral), kept, f"paths: {', '.join(mounted)}"),
        _check(
            "processes", isinstance(processes, int) and processes <= _MAX_PROCESSES, f"{processes}", f"{processes}"
        ),
        _check("network", not network, "TCP, UDP, abstract refused", f"reached: {', '.join(network)}", _NETWORK_FIX),
        _check("writes", not seen["writes"], "refused outside /tmp", f"could write to {seen['writes']}"),
        _check("namespaces", bool(seen["unshare"]), "no new ones", "a new user namespace could be made"),
        _check("rights", (seen["capabilities"], seen["no_new_privileges"]) == (0, 1), "none", rights),
        _check("system calls", seen["seccomp"] == 2 and not allowed, "filtered", filtered),
        _check("descriptors", open_ones == [0, 1, 2], "0, 1, 2", f"open: {open_ones}"),
        _check("user", seen["user"] == NOBODY, "nobody", f"runs as user {seen['user']}"),
    ]


def _limited(machine: Machine, stage: Stage) -> list[Check]:
    """Try to use more than a room may."""
    forks = _number(_run(machine, stage, _SMALL, "forks"))
    memory = _run(machine, stage, _SMALL, "memory")
    disk = _number(_run(machine, stage, _SMALL, "disk"))
    stopped, of_300 = memory.end is End.OUT_OF_MEMORY, f"{forks} of 300 forks"
    written = "nothing known" if disk is None else f"{format_size(disk)} of 600 MB"
    return [
        _check("process limit", forks is not None and forks < _SMALL.processes, of_300, of_300, _LIMIT_FIX),
        _check("memory limit", stopped, f"4 processes: {memory.detail}", f"ended with {memory.end}", _LIMIT_FIX),
        _check("disk limit", disk is not None and disk <= 2 * _SMALL.disk, written, written, _LIMIT_FIX),
    ]


def _nothing_left(machine: Machine, stage: Stage) -> Check:
    """Kill a room with a process in it that wants to stay, and holds a lock as long as it lives."""
    limits = replace(TRIAL_LIMITS, output=policy.MIB)
    with stage.out("left", policy.MIB) as out:
        run = _run(machine, stage, limits, "linger", out=out)
        died = time.monotonic() + _DEATH_SECONDS
        try:
            held = os.open("left/held", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=stage.root)
        except OSError:
            return _check("nothing left", ok=False, held="", trouble="what was to be left did not start")
        try:
            alive = True
            while alive and time.monotonic() < died:
                alive = not _locked(held)
                time.sleep(0.01 if alive else 0)
        finally:
            os.close(held)
    dead = run.end is End.LIMIT and not alive
    trouble = f"a process outlived its room: {run.detail}"
    return _check("nothing left", dead, f"a daemon dead within {_DEATH_SECONDS:g} s of the kill", trouble)


def _locked(fd: int) -> bool:
    """Take a lock that nobody alive has."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check(name: str, ok: bool, held: str, trouble: str, fix: str = _REPORT) -> Check:
    return Check(name=name, ok=ok, detail=held if ok else trouble, fix="" if ok else fix)


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
