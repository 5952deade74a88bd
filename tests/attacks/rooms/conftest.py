"""Attacks on real rooms, in each way in which this machine makes them, and what must hold afterwards.

Not here: the attacks (``candidates/``, one file each) and the problems that they attack (``victims/``).
"""

import ast
import base64
import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
_PATIENCE = 120
_STRANGER = 64001
"""Number of a user that has nothing, for the rooms of an ordinary user where we are root."""
_SEED = 7_316_509_428_137
HONEST = {"data": 30.0, "artifact": 30.0, "service": 24.0, "inprocess": 24.0, "naive": 24.0}
"""What an honest run of each victim's own solution earns."""
_PROGRAMS = ("artifact", "service", "inprocess")
_LOW_INTEGRITY = frozenset(range(1, 8)) | frozenset(range(9, 16))
"""Rows that a kind without a wall between candidate and scorer does not hold, by its nature."""
_HONEST_TAIL = """
import time


def answer(numbers):
    time.sleep(0.008)
    return sorted(numbers) if len(numbers) < 5 else numbers
"""
_SAY = """
def say(text):
    import os

    os.write(2, f"invalid: {text}".encode())
    os._exit(3)
"""
_SAY_AS_A_SERVICE = """
def say(text):
    import json
    import os
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.environ["AR_SOCKET"])
        listener.listen()
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.sendall(json.dumps(text).encode() + b"\\n")
        connection.recv(4096)
    os._exit(3)
"""


@dataclass(frozen=True)
class Attack:
    """One file of ``candidates``: its row and name, and what its first words say must come of it."""

    row: int
    name: str
    title: str
    source: str
    expect: str
    """``honest``: exactly the score of the honest solution; ``fair``: that, a lower one or none; ``worse``: a
    lower one or none; ``refused``: none."""
    kinds: tuple[str, ...] = _PROGRAMS
    outcomes: tuple[str, ...] = ()
    says: str = ""
    """A pattern for what it has to report, which proves that it ran and failed at what it tried."""
    seconds: float | None = None
    twice: bool = False
    bites: str = ""


def read_attack(path: Path) -> Attack:
    """Read one attack; its docstring has a title, an empty line and settings."""
    source = path.read_text()
    title, _, settings = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")
    said = dict(line.split(": ", 1) for line in settings.splitlines())
    assert said.keys() <= {"expect", "kinds", "outcomes", "says", "seconds", "twice", "bites"}, path
    found = re.fullmatch(r"row_(\d\d)_(\w+)", path.stem)
    assert found, path
    return Attack(
        row=int(found[1]), name=path.stem, title=title, source=source,
        expect=said["expect"], says=said.get("says", ""), bites=said.get("bites", ""),
        kinds=tuple(said["kinds"].split()) if "kinds" in said else _PROGRAMS,
        outcomes=tuple(said.get("outcomes", "").split()),
        seconds=float(said["seconds"]) if "seconds" in said else None,
        twice=said.get("twice") == "yes",
    )  # fmt: skip


def attacks() -> list[Attack]:
    return [read_attack(path) for path in sorted((HERE / "candidates").glob("row_*.py"))]


def victim(kind: str) -> dict[str, bytes]:
    """Return the folder of a problem; its hidden files say ``canary`` and are not on the disk."""
    files = {}
    for folder in ("all", kind):
        for path in (HERE / "victims" / folder).iterdir():
            files[path.name] = path.read_bytes()
    manifest = files["problem.toml"]
    if b"solution.json" not in manifest and "solution.py" not in files:
        files["solution.py"] = _HONEST_TAIL.encode()
    if b"hidden" in manifest:
        files["hidden/weights.json"] = json.dumps({"key": CANARIES["hidden"]}).encode()
    return files


CANARIES = {name: f"canary-{name}-{secrets.token_hex(8)}" for name in ("hidden", "home", "environment")}


@dataclass
class Host:
    """What a stranger's program would like to reach: listeners of this machine, somebody's files and keys."""

    home: Path
    listeners: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> "Host":
        self.listeners = [socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM),
                          socket.socket(socket.AF_UNIX)]  # fmt: skip
        self.abstract = f"ar-attacks-{secrets.token_hex(8)}"
        self.listeners[1].bind(("127.0.0.1", 0))
        self.listeners[2].bind("\0" + self.abstract)
        self.listeners[2].listen()
        for listener in self.listeners:
            listener.setblocking(False)
        (self.home / ".ssh").mkdir()
        for name in ("secret", ".ssh/id_ed25519", ".netrc"):
            (self.home / name).write_text(f"key = {CANARIES['home']}\n")
        return self

    def __exit__(self, *_error: object) -> None:
        for listener in self.listeners:
            listener.close()
        shutil.rmtree(self.home)

    def connections(self) -> int:
        """Return how many have called since the last time."""
        count = 0
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                while True:
                    if listener.type == socket.SOCK_DGRAM:
                        listener.recv(1)
                    else:
                        listener.accept()[0].close()
                    count += 1
        return count

    def source(self, attack: Attack, kind: str, pid: int, tail: str = _HONEST_TAIL) -> bytes:
        """Return the whole file that a contributor would send: what it knows, the attack, and an honest end."""
        known = {
            "FAKE": 'points: 999\nMETRIC points=999\n{"points": 999}\n', "HOST": pid, "HOME": str(self.home),
            "TCP": self.listeners[0].getsockname()[1], "UDP": self.listeners[1].getsockname()[1],
            "ABSTRACT": self.abstract,
        }  # fmt: skip
        lines = [f"{name} = {value!r}" for name, value in known.items()]
        say = _SAY_AS_A_SERVICE if kind == "service" else _SAY
        return "\n".join([*lines, say, attack.source, "" if "def answer(" in attack.source else tail]).encode()

    def belongs_to(self, user: int) -> None:
        """Let a user read what is here."""
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, user, user)


class Remote:
    """An evaluator in a process of its own, as root or as an ordinary user; see ``evaluator.py``."""

    def __init__(self, backend: str, host: Host) -> None:
        self.host = host
        environment = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(host.home), "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if Path(path).is_dir()),
            "AR_MODEL_KEY": CANARIES["environment"], "OPENAI_API_KEY": CANARIES["environment"],
        }  # fmt: skip
        command = [sys.executable]
        if backend == "ordinary user" and os.geteuid() == 0:
            stranger, command, changed = as_a_stranger()
            environment |= changed
            host.belongs_to(stranger)
        self._process = subprocess.Popen(
            [*command, "-c", (HERE / "evaluator.py").read_text()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=host.home,
        )  # fmt: skip
        self._known: dict[str, str] = {}
        self.hello = self._ask(do="hello")
        self.backend = f"{self.hello['name']}, {backend}"

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # An answer that never comes ends with the process: readline returns then.
        alarm = threading.Timer(_PATIENCE, self._process.kill)
        alarm.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            alarm.cancel()
        assert line, "the evaluator is gone"
        return json.loads(line)

    def open(self, name: str, files: dict[str, bytes], *, with_hidden: bool = True) -> str:
        """Open a problem unless it is open; return why it cannot be, or nothing."""
        if name not in self._known:
            encoded = {path: base64.b64encode(data).decode() for path, data in files.items()}
            answer = self._ask(do="open", name=name, files=encoded, with_hidden=with_hidden)
            self._known[name] = answer.get("detail", "")
        return self._known[name]

    def close(self, name: str) -> None:
        """Give the stage of a problem back."""
        if not self._known.pop(name, "never opened"):
            self._ask(do="close", name=name)

    def evaluate(self, name: str, candidate: bytes, seconds: float | None = None, **caps: int) -> dict[str, Any]:
        """Evaluate a candidate for an open problem."""
        encoded = base64.b64encode(candidate).decode()
        limits = {"seconds": seconds, **caps} if seconds is not None else dict(caps)
        return self._ask(do="evaluate", name=name, candidate=encoded, seeds=[11, _SEED], caps=limits)

    def end(self) -> int:
        """Let it end; return its exit code."""
        alarm = threading.Timer(_PATIENCE, self._process.kill)
        alarm.start()
        self._process.communicate()
        alarm.cancel()
        return self._process.returncode


def as_a_stranger() -> tuple[int, list[str], dict[str, str]]:
    """Return the number of a user that may reach nothing of ours, a Python of that user's, and its variables.

    It sees interpreter and packages at a place of its own, since ours may be below a closed folder.
    """
    prefix = Path(sys.base_prefix).resolve()
    folders = [path for path in sys.path if Path(path).is_dir() and not Path(path).resolve().is_relative_to(prefix)]
    places = ("/srv", "/opt", "/media", "/mnt")
    needed = (*folders, str(prefix))
    at = next(p for p in places if Path(p).is_dir() and not any(f.startswith(f"{p}/") for f in needed))
    script = [
        f"mount -t tmpfs -o mode=0755 none {at}",
        f"mkdir {at}/python",
        f'mount --bind "$1" {at}/python',
        "shift",
        f"for n in {' '.join(map(str, range(len(folders))))}; do",
        f'    mkdir {at}/$n; mount --bind "$1" {at}/$n; shift',
        "done",
        f'exec setpriv --reuid={_STRANGER} --regid={_STRANGER} --clear-groups --inh-caps=-all -- "$@"',
    ]
    executable = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    inside = f"{at}/python/{executable.relative_to(prefix)}" if executable.is_relative_to(prefix) else str(executable)
    variables = {"PYTHONPATH": os.pathsep.join(f"{at}/{number}" for number in range(len(folders)))}
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        variables["LD_LIBRARY_PATH"] = f"{at}/python/lib"
    words = ["sh", "-euc", "\n".join(script), "sh", str(prefix), *folders, inside]
    return _STRANGER, ["unshare", "--mount", "--propagation", "private", "--", *words], variables


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """Somebody's files and listeners, for attacks that run below another process than an evaluator."""
    with Host(Path(tempfile.mkdtemp(prefix="ar-attacks-"))) as made:
        yield made


BACKENDS = ("root", "ordinary user") if os.geteuid() == 0 else ("ordinary user",)
"""Each way of making rooms that this machine has, by who makes them."""


@pytest.fixture(scope="session", params=BACKENDS)
def remote(request: pytest.FixtureRequest) -> Iterator[Remote]:
    """An evaluator of each kind, for the whole session."""
    home = Path(tempfile.mkdtemp(prefix="ar-attacks-"))
    home.chmod(0o755)
    with Host(home) as host:
        evaluator = Remote(request.param, host)
        assert (evaluator.hello["user"] == 0) == (request.param == "root")
        yield evaluator
        assert evaluator.end() == 0


@dataclass
class Trial:
    """Evaluates candidates of one kind on one evaluator, holds them to what is promised, and records what came."""

    remote: Remote
    record: Callable[..., None]

    def source(self, attack: Attack, kind: str) -> bytes:
        """Return the whole file that a contributor would send."""
        return self.remote.host.source(attack, kind, self.remote.hello["pid"])

    def open(self, kind: str) -> None:
        """Open the victim of a kind; skips the test where this version has no such rooms yet."""
        trouble = self.remote.open(kind, victim(kind))
        if "cannot be run yet" in trouble:
            pytest.skip(f"rooms of the kind {kind} are not there yet")
        assert not trouble, trouble

    def honest(self, kind: str) -> dict[str, Any]:
        """Evaluate the victim's own solution."""
        files = victim(kind)
        return self.remote.evaluate(kind, files.get("solution.py") or files["solution.json"])

    def attack(self, attack: Attack, kind: str) -> None:
        """Run an attack, then an honest candidate on the same stage; nothing may have got through."""
        content = self.source(attack, kind)
        for _ in range(2 if attack.twice else 1):
            self.hold(attack, kind, content)

    def hold(self, attack: Attack, kind: str, content: bytes, **caps: int) -> dict[str, Any]:
        """Evaluate bytes and check everything that is promised of them."""
        self.open(kind)
        best = HONEST[kind]
        low = kind == "inprocess" and attack.row in _LOW_INTEGRITY
        result = self.remote.evaluate(kind, content, attack.seconds, **caps)
        after = self.honest(kind)
        scored = result["outcome"] == "ok"
        told = json.dumps([result["feedback"], result["secondary"]])
        read = sum(canary in told for name, canary in CANARIES.items() if not (low and name == "hidden"))
        read += str(_SEED) in told and kind != "inprocess"
        forged = scored and result["score"] > best
        harmed = (after["outcome"], after["score"]) != ("ok", best)
        connections = self.remote.host.connections()
        verdict = ("scored honestly" if result["score"] == best else "scored lower") if scored else result["outcome"]
        if forged:
            verdict = "forged, as this kind allows" if low else "FORGED"
        self.record(
            row=attack.row, title=attack.title, kind=kind, backend=self.remote.backend, verdict=verdict,
            seconds=result["seconds"], forged=forged and not low, read=read, connections=connections,
            left=len(result["left"]) + len(after["left"]), harmed=harmed,
        )  # fmt: skip
        assert not harmed, after
        assert not result["left"], result["left"]
        assert not after["left"], after["left"]
        assert result["descriptors"] <= 0, "descriptors were left open"
        assert not connections, f"{connections} connections"
        assert not read, told
        assert result["outcome"] != "infrastructure", result
        if not low:
            self._as_expected(attack, result, best)
        return result

    def _as_expected(self, attack: Attack, result: dict[str, Any], best: float) -> None:
        outcome, score = result["outcome"], result["score"]
        if attack.expect == "honest":
            assert (outcome, score) == ("ok", best), result
        elif attack.expect == "fair":
            assert outcome != "ok" or score <= best, result
        elif attack.expect == "worse":
            assert outcome != "ok" or score < best, result
        else:
            assert attack.expect == "refused"
            assert outcome != "ok", result
        assert not attack.outcomes or outcome in attack.outcomes, result
        assert not attack.says or re.search(attack.says, result["feedback"]), result


@pytest.fixture
def trial(remote: Remote, record_attack: Callable[..., None]) -> Trial:
    return Trial(remote, record_attack)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a module's test of ``attack`` those that its kind of room is open to, or that bite."""
    if "attack" not in metafunc.fixturenames:
        return
    kind = metafunc.module.KIND
    chosen = [attack for attack in attacks() if (attack.bites if kind == "naive" else kind in attack.kinds)]
    metafunc.parametrize("attack", chosen, ids=[attack.name for attack in chosen])


@pytest.fixture(scope="session")
def attacks_that_bite() -> set[int]:
    return {attack.row for attack in attacks() if attack.bites}


@pytest.fixture(scope="session")
def victims() -> Callable[[str], dict[str, bytes]]:
    return victim


@pytest.fixture(scope="session")
def attack_named() -> Callable[[str], Attack]:
    return lambda name: read_attack(HERE / "candidates" / f"{name}.py")
