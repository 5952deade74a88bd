"""What end-to-end tests need beside a pool: problems of their own, bare calls to the wire, waiting for an event."""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from ar_client.address import parse_address
from ar_client.channel import open_channel
from ar_client.identity import Home
from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.store import Store, open_store
from ar_core.signing import KEY_BYTES, SESSION_DOMAIN, PrivateKey, private_key_from_text, sign
from ar_core.tokens import parse_token
from ar_proto.v1 import administration_pb2, catalogue_pb2, enrolment_pb2, publishing_pb2, verification_pb2, work_pb2

_MODULES = (enrolment_pb2, work_pb2, verification_pb2, publishing_pb2, catalogue_pb2, administration_pb2)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for module in _MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""Every method of every service, by the path it is called with."""
_EVENT_SECONDS = 150.0


@dataclass(frozen=True)
class Answer:
    """What a call came to: its status, the pool's code for a failure, and the first message."""

    status: grpc.StatusCode
    code: str = ""
    message: str = ""
    retry_after: str = ""
    value: Any = None


class Wire:
    """Calls as any program may send them, with whatever session or none; failures are answers."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def call(self, path: str, *requests: Any, session: str = "", seconds: float = 20, **fields: Any) -> Answer:
        """Call a method by its whole path or by its name; without ``requests``, one with these ``fields``."""
        path = path if path in METHODS else next(p for p in METHODS if p.endswith(f"/{path}"))
        method = METHODS[path]
        request_class, response_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        messages = list(requests) or [request_class(**fields)]
        shape = (
            f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        )
        stub = getattr(self._channel, shape)(
            path, request_serializer=request_class.SerializeToString, response_deserializer=response_class.FromString
        )
        metadata = (("authorization", f"Bearer {session}"),) if session else ()
        try:
            answer = stub(
                iter(messages) if method.client_streaming else messages[0], metadata=metadata, timeout=seconds
            )
            if method.server_streaming:
                with contextlib.closing(_Cancelling(answer)):
                    return Answer(grpc.StatusCode.OK, value=next(answer, None))
            return Answer(grpc.StatusCode.OK, value=answer)
        except grpc.RpcError as error:
            said = dict(error.trailing_metadata() or ())
            return Answer(
                error.code(), said.get("ar-code", ""), error.details() or "", said.get("ar-retry-after", "")
            )

    def join(self, token: str, key: PrivateKey | None = None, **fields: Any) -> "Member":
        """Redeem a token with a key of its own."""
        key = key or PrivateKey(raw=secrets.token_bytes(KEY_BYTES))
        answer = self.call("Join", secret=parse_token(token).secret, public_key=key.public.raw, **fields)
        assert answer.status is grpc.StatusCode.OK, answer
        return Member(answer.value.identity.id, key, answer.value.identity.contributor)

    def session(self, member: "Member") -> str:
        """Open a session by a signed challenge."""
        nonce = self.call("Challenge", identity_id=member.identity).value.nonce
        answer = self.open_session(member, nonce, sign(member.key, SESSION_DOMAIN, nonce))
        assert answer.status is grpc.StatusCode.OK, answer
        return str(answer.value.session_token)

    def open_session(self, member: "Member", nonce: bytes, signature: bytes) -> Answer:
        """Answer a challenge in any way."""
        return self.call("OpenSession", identity_id=member.identity, nonce=nonce, signature=signature)


@dataclass(frozen=True)
class Member:
    """An identity with its key."""

    identity: str
    key: PrivateKey
    contributor: str


@dataclass(frozen=True)
class _Cancelling:
    call: Any

    def close(self) -> None:
        self.call.cancel()


@pytest.fixture(scope="session")
def methods() -> dict[str, MethodDescriptor]:
    """Every method of every service, by the path it is called with."""
    return METHODS


@pytest.fixture(scope="module")
def open_wire() -> Iterator[Callable[..., Wire]]:
    """Return a function that connects to a running pool."""
    with ExitStack() as stack:

        def connect(pool: Any) -> Wire:
            certificate = (pool.directory / "keys" / "tls.crt").read_text()
            return Wire(stack.enter_context(open_channel(parse_address(pool.grpc), certificate)))

        yield connect


@pytest.fixture
def raw_call() -> Callable[..., tuple[grpc.StatusCode, str]]:
    """Return a function that sends one message of any bytes and returns the status and the pool's code."""

    def call(pool: Any, path: str, message: bytes, session: str) -> tuple[grpc.StatusCode, str]:
        whole = path if path.startswith("/") else next(p for p in METHODS if p.endswith(f"/{path}"))
        certificate = (pool.directory / "keys" / "tls.crt").read_text()
        metadata = (("authorization", f"Bearer {session}"),) if session else ()
        with open_channel(parse_address(pool.grpc), certificate) as channel:
            stream = channel.stream_stream(whole, request_serializer=bytes, response_deserializer=bytes)
            answer: Any = stream(iter([message]), metadata=metadata, timeout=60)
            try:
                for _ in answer:
                    pass
            except grpc.RpcError:
                pass
            return answer.code(), dict(answer.trailing_metadata() or ()).get("ar-code", "")

    return call


@pytest.fixture(scope="session")
def member_of() -> Callable[[Path], Member]:
    """Return a function that reads the identity a command signed in with."""

    def read(home: Path) -> Member:
        login = Home(home).login()
        return Member(
            login.identity, private_key_from_text(Home(home).key_text(login.digest) or ""), login.contributor
        )

    return read


@pytest.fixture(scope="session")
def operator_session() -> Callable[..., str]:
    """Return a function that reads the session of the operator's commands."""
    return lambda pool: str(json.loads((pool.directory / "run" / "admin.json").read_text())["session"])


@pytest.fixture(scope="module")
def make_problem(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Copy one of the problems here under another name, with other lines in its manifest."""

    def make(kind: str, name: str, **lines: str) -> Path:
        folder = tmp_path_factory.mktemp("problem") / name
        shutil.copytree(Path(__file__).parent / "problems" / kind, folder)
        manifest = folder / "problem.toml"
        text = manifest.read_text()
        for key, value in {"name": f'"{name}"', **lines}.items():
            text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
            assert found == 1, key
        manifest.write_text(text)
        return folder

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file to propose."""

    def write_file(content: str | bytes, name: str = "candidate") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Wait until something becomes true and return it; for what the pool announces to nobody."""

    def wait(condition: Callable[[], Any], seconds: float = 30) -> Any:
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not (found := condition()):
            assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
            pause.wait(0.1)
        return found

    return wait


class Volunteer:
    """``ar-worker --json`` in a session of its own, as in a terminal; what it says is read as it comes."""

    again: Callable[..., "Volunteer"]
    """Run another command in the same home."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self.events: list[dict[str, Any]] = []
        self._errors = home.with_suffix(".err").open("w+")
        code = "from ar_worker.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self._errors, text=True, start_new_session=True,
            env={**os.environ, "NO_COLOR": "1", "AR_HOME": str(home), "AR_DEBUG": "1"},
        )  # fmt: skip
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def until(self, name: str, wanted: Callable[[dict[str, Any]], Any] = lambda _: True, *, after: int = 0) -> int:
        """Wait for an event of this name among those ``after`` so many; return how many there are up to it."""

        def find() -> int | None:
            found = (n for n, e in enumerate(self.events[after:], after + 1) if e["event"] == name and wanted(e))
            return next(found, None)

        with self._news:
            self._news.wait_for(lambda: find() is not None or self._ended, _EVENT_SECONDS)
            found = find()
        assert found is not None, f"no {name}: {self.events[-20:]}\n{self.errors()}"
        return found

    def all(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def errors(self) -> str:
        return Path(self._errors.name).read_text()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def until_a_scorer_runs(self) -> list[psutil.Process]:
        """Wait until a scorer is at work; return every process of this machine."""
        while not any("score.py" in word for process in self.family() for word in _words(process)):
            assert self.process.poll() is None, self.errors()
            threading.Event().wait(0.02)
        return self.family()

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal to it alone, wait until it has ended, and return its exit code."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=_EVENT_SECONDS)
        self._reader.join(_EVENT_SECONDS)
        return code

    def clear_away(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.end()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture
def join(tmp_path: Path) -> Iterator[Callable[..., Volunteer]]:
    """Let somebody join a pool with one slot; they end with the test."""
    with ExitStack() as stack:

        def begin(home: Path, *words: str) -> Volunteer:
            volunteer = Volunteer(home, *words)
            volunteer.again = partial(begin, home)
            stack.callback(volunteer.clear_away)
            return volunteer

        def start(pool: Any, name: str, *options: str) -> Volunteer:
            words = ("join", pool.grpc, "--token", pool.token("worker"), "--name", name, "--slots", "1")
            return begin(tmp_path / name, *words, *options)

        yield start


@pytest.fixture(scope="session")
def records() -> Callable[[Any], contextlib.AbstractContextManager[Store]]:
    """Look into the Redis of a running pool."""

    @contextmanager
    def look(pool: Any) -> Iterator[Store]:
        directory = DataDirectory(pool.directory)
        store = open_store(EmbeddedRedis(directory.redis).url, directory.blobs)
        try:
            yield store
        finally:
            store.connection.close()

    return look
