"""Real rooms for the tests of the sandbox, and a check after each test that no process of one is left."""

import base64
import ctypes
import gc
import hashlib
import http.server
import io
import json
import os
import textwrap
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from ar_core.manifest import read_manifest
from ar_sandbox.bwrap import Bind
from ar_sandbox.evaluation import OnStart
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.policy import Caps, Limits
from ar_sandbox.rooms import PreparedProblem, Result, RunSeeds, Sandbox
from ar_sandbox.supervisor import RoomRun

_PR_SET_CHILD_SUBREAPER = 36
SEEDS = RunSeeds(run=11, scorer=22)


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox.detect()


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a room leaves behind becomes a child of this process, and fails the test."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    files = set(Path("/proc/self/fd").iterdir())
    before = set(psutil.Process().children(recursive=True))  # servers that other tests share, for example
    yield
    left = [process for process in psutil.Process().children(recursive=True) if process not in before]
    for process in left:
        # A dead orphan of a program that a test started waits for us, who adopted it.
        if process.status() == psutil.STATUS_ZOMBIE:
            os.waitpid(process.pid, 0)
    assert [process for process in left if process.is_running()] == []
    # An exception may come when the system has made a pipe and Python has not yet said so to anybody.
    spared = 2 if request.node.get_closest_marker("interrupted") else 1
    gc.collect()  # an exception's frames may still hold what they had open
    found = set(Path("/proc/self/fd").iterdir()) - files
    names = [str(fd.readlink()) for fd in found if fd.is_symlink()]
    assert len(found) <= spared, f"a descriptor was left open: {names}"


MANIFEST = """
name = "under-test"
title = "A problem under test"
[files]
program = "program.md"
mutable = "{mutable}"
hidden = [{hidden}]
[metric]
name = "x"
direction = "maximize"
range = [-1000.0, 1000.0]
[evaluation]
kind = "{kind}"
score = ["python", "score.py"]
time_budget = "{budget}"
{evaluation}
[resources]
memory = "{memory}"
disk = "{disk}"
processes = {processes}
{more}
"""


@dataclass
class Folder:
    """A problem's folder in the making."""

    score: str = "print('x: 1')"
    kind: str = "data"
    mutable: str = "solution.json"
    baseline: bytes = b"1"
    budget: str = "20s"
    memory: str = "256MiB"
    disk: str = "16MiB"
    processes: int = 32
    more: str = ""
    timeout: str = ""
    hidden: dict[str, str] = field(default_factory=dict)
    others: dict[str, bytes] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        run = f'run = ["python", "{self.mutable}"]' if self.kind in {"artifact", "service"} else ""
        if self.timeout:
            run += f'\nscore_timeout = "{self.timeout}"'
        manifest = MANIFEST.format(
            mutable=self.mutable, hidden='"hidden/"' if self.hidden else "", kind=self.kind, budget=self.budget,
            evaluation=run, memory=self.memory, disk=self.disk, processes=self.processes, more=self.more,
        )  # fmt: skip
        return {
            "problem.toml": manifest.encode(),
            "program.md": b"# A problem\n",
            "score.py": textwrap.dedent(self.score).encode(),
            self.mutable: self.baseline,
            **{f"hidden/{name}": text.encode() for name, text in self.hidden.items()},
            **self.others,
        }

    def prepared(self, *, with_hidden: bool = True) -> PreparedProblem:
        files = self.files()
        return PreparedProblem.of(read_manifest(files["problem.toml"]), files, with_hidden=with_hidden)


Score = Callable[..., Result]


@pytest.fixture
def score(sandbox: Sandbox) -> Score:
    """Run one ``data`` evaluation of a scorer's source."""

    def run(source: str, candidate: bytes = b"1", *, caps: Caps | None = None, **settings: Any) -> Result:
        return sandbox.evaluate(Folder(score=source, **settings).prepared(), candidate, SEEDS, caps=caps)

    return run


@pytest.fixture
def train(sandbox: Sandbox) -> Score:
    """Run one ``artifact`` evaluation of a candidate's source beside a scorer's."""

    def run(candidate: str, source: str = "print('x: 1')", **settings: Any) -> Result:
        folder = Folder(kind="artifact", mutable="train.py", score=source, **settings)
        return sandbox.evaluate(folder.prepared(), textwrap.dedent(candidate).encode(), SEEDS)

    return run


@pytest.fixture
def serve(sandbox: Sandbox) -> Score:
    """Run one ``service`` evaluation of a candidate's source beside a scorer's."""

    def run(candidate: str, source: str, *, on_start: OnStart | None = None, **settings: Any) -> Result:
        made = Folder(kind="service", mutable="serve.py", score=source, **settings)
        return sandbox.evaluate(made.prepared(), textwrap.dedent(candidate).encode(), SEEDS, on_start=on_start)

    return run


InRoom = Callable[..., RoomRun]


@pytest.fixture
def in_room(sandbox: Sandbox) -> InRoom:
    """Run Python source in a bare room of its own."""

    def run(source: str, *words: str, limits: Limits = TRIAL_LIMITS) -> RoomRun:
        command = ("python", "-I", "-S", "/problem/main.py", *words)
        with sandbox.machine.stage({}, room_for=65536) as stage:
            stage.write("main/main.py", textwrap.dedent(source).encode())
            bind = Bind(source=f"{stage.path}/main", target="/problem")
            return sandbox.machine.run(stage, command, limits=limits, binds=(bind,), folder="/problem")

    return run


@pytest.fixture
def seen(in_room: InRoom) -> Callable[..., Any]:
    """Run Python source in a room and return the JSON that it printed."""

    def run(source: str, *words: str, limits: Limits = TRIAL_LIMITS) -> Any:
        done = in_room(
            "import json, os, sys, errno, socket, ctypes\n" + textwrap.dedent(source), *words, limits=limits
        )
        assert done.status == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return run


@pytest.fixture
def folder() -> type[Folder]:
    return Folder


class PackageIndex:
    """A package index on the loopback interface, as pip's owner would set it up; it counts what is fetched."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.held = threading.Event()
        """While it is clear, files are announced and not sent."""
        self.held.set()
        self.waiting = threading.Event()
        """Set when somebody waits for a file."""
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                body, kind = index.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                if kind != "text/html" and not index.held.is_set():
                    index.waiting.set()
                    index.held.wait(100)
                self.wfile.write(body or b"")

            def log_message(self, *words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/index/"

    def answer(self, path: str) -> tuple[bytes | None, str]:
        if path.startswith("/index/"):
            name = path.removeprefix("/index/").strip("/")
            found = [file for file in self.files if file.lower().replace("_", "-").startswith(f"{name}-")]
            page = "".join(f'<a href="/files/{file}">{file}</a>' for file in found)
            return (page.encode() if found else None), "text/html"
        return self.files.get(path.removeprefix("/files/")), "application/octet-stream"

    def add(self, file: str, data: bytes) -> str:
        """Offer a file; return its digest."""
        self.files[file] = data
        return hashlib.sha256(data).hexdigest()

    def wheel(
        self, name: str, contents: Mapping[str, str | bytes], *, version: str = "1.0", tag: str = "py3-none-any",
        change: Callable[[zipfile.ZipFile], None] | None = None,
    ) -> str:  # fmt: skip
        """Make a wheel and offer it; return the line of a requirements file that names it."""
        about = f"{name}-{version}.dist-info"
        files = {path: text.encode() if isinstance(text, str) else text for path, text in contents.items()}
        files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        files[f"{about}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
        record = "".join(
            f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
            for path, data in files.items()
        )
        files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, data in files.items():
                archive.writestr(path, data)
            if change is not None:
                change(archive)
        digest = self.add(f"{name}-{version}-{tag}.whl", made.getvalue())
        return f"{name}=={version} --hash=sha256:{digest}\n"

    def fetched(self) -> list[str]:
        """What was fetched, beside the pages that list files."""
        return [path.removeprefix("/files/") for path in self.asked if path.startswith("/files/")]

    def close(self) -> None:
        self.held.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def package_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The owner of this machine has set pip up to use one index, and no other source."""
    index = PackageIndex()
    for name in list(os.environ):
        if name.upper().startswith("PIP_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setenv("PIP_RETRIES", "0")
    yield index
    index.close()
