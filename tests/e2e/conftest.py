"""What end-to-end tests need beside a pool: problems of their own, bare calls to the wire, waiting for an event."""

import contextlib
import importlib
import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from ar_client.address import parse_address
from ar_client.channel import open_channel
from ar_client.identity import Home
from ar_core.signing import KEY_BYTES, SESSION_DOMAIN, PrivateKey, private_key_from_text, sign
from ar_core.tokens import parse_token
from ar_proto.v1 import administration_pb2, catalogue_pb2, enrolment_pb2, publishing_pb2, work_pb2

_MODULES = (enrolment_pb2, work_pb2, publishing_pb2, catalogue_pb2, administration_pb2)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for module in _MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""Every method of every service, by the path it is called with."""


@dataclass(frozen=True)
class Told:
    """What a command answered: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def error(self) -> dict[str, str]:
        """The error document on stderr."""
        found: dict[str, str] = json.loads(self.err.splitlines()[-1])["error"]
        return found


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


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Run a command line within this process, which is quicker where there are many; it talks to a real pool."""
    monkeypatch.setenv("NO_COLOR", "1")

    def run(package: str, *arguments: str, home: Path | None = None) -> Told:
        monkeypatch.setenv("AR_HOME", str(home or "/nonexistent"))
        capsys.readouterr()
        code = importlib.import_module(f"{package}.main").run(list(arguments))
        return Told(code, *capsys.readouterr())

    return run


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
