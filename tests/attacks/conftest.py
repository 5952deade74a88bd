"""What attacks on the coordinator need: a pool, people who call it as any program may, and a small problem."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from google.protobuf.message_factory import GetMessageClass
from tests.attacks.court import Court

from ar_client.address import parse_address
from ar_client.channel import open_channel
from ar_coordinator.commands.init import initialise
from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.referee_process import RefereeDesk
from ar_coordinator.store import open_store
from ar_core.lifecycle import SETTLED, ExperimentState, ProblemState
from ar_core.records import Experiment, Identity, ProblemCard, Role
from ar_core.signing import KEY_BYTES, SESSION_DOMAIN, PrivateKey, sign
from ar_core.tokens import parse_token
from ar_core.wire import experiment_from_wire, problem_from_wire
from ar_proto.v1 import administration_pb2, catalogue_pb2, enrolment_pb2, publishing_pb2

_METHODS = {
    method.name: (f"/{service.full_name}/{method.name}", method)
    for module in (enrolment_pb2, publishing_pb2, catalogue_pb2, administration_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
_MANIFEST = """\
name = "{name}"
title = "{title}"
summary = "Write numbers with a large sum."
licence = "CC0-1.0"
[files]
program = "program.md"
mutable = "numbers.json"
max_bytes = 4096
{files}
[metric]
name = "total"
direction = "maximize"
range = [0.0, 1000.0]
[evaluation]
kind = "data"
score = ["python", "score.py"]
time_budget = "5s"
[resources]
memory = "64MiB"
processes = 8
[acceptance]
noise = "none"
min_gain = 0.5
{acceptance}
"""
_SCORER = b"""\
import json, os, sys
text = open(os.environ["AR_MUTABLE"], encoding="utf-8").read()
if "AR_HIDDEN" in os.environ:
    for name in os.listdir(os.environ["AR_HIDDEN"]):
        secret = open(os.path.join(os.environ["AR_HIDDEN"], name)).read()
        print("checking against", secret, file=sys.stderr)
numbers = json.loads(text)
assert all(0 <= number <= 100 for number in numbers)
print(json.dumps({"total": sum(numbers)}))
"""


@dataclass(frozen=True)
class Answer:
    """What a call came to: its status, the pool's code and words for a failure, and the message."""

    status: grpc.StatusCode
    code: str = ""
    words: str = ""
    retry_after: str = ""
    value: Any = None

    @property
    def ok(self) -> bool:
        """Whether it came to an answer."""
        return self.status is grpc.StatusCode.OK


class Wire:
    """Calls as any program may send them; failures are answers."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def begin(self, name: str, /, requests: Any = None, session: str = "", seconds: float = 30, **fields: Any) -> Any:
        """Begin a call by its name and return it."""
        path, method = _METHODS[name]
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        kind = (
            f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        )
        stub = getattr(self._channel, kind)(
            path, request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )
        if not method.server_streaming:
            stub = stub.future
        metadata = (("authorization", f"Bearer {session}"),) if session else ()
        return stub(request(**fields) if requests is None else requests, metadata=metadata, timeout=seconds)

    def call(self, name: str, /, requests: Any = None, session: str = "", **fields: Any) -> Answer:
        """Make a call; of a stream, the first message."""
        call = self.begin(name, requests, session, **fields)
        try:
            value = next(call, None) if _METHODS[name][1].server_streaming else call.result()
        except grpc.RpcError as error:
            return failure(error)
        finally:
            call.cancel()
        return Answer(grpc.StatusCode.OK, value=value)


def failure(error: Any) -> Answer:
    said = dict(error.trailing_metadata() or ())
    detail, hint = (said.get(key, b"").decode() for key in ("ar-detail-bin", "ar-hint-bin"))
    words = f"{error.details()} {detail} {hint}"
    return Answer(error.code(), said.get("ar-code", ""), words, said.get("ar-retry-after", ""))


@dataclass
class Member:
    """Somebody with an identity."""

    wire: Wire
    identity: str
    key: PrivateKey
    session: str = ""

    def call(self, name: str, /, requests: Any = None, **fields: Any) -> Answer:
        """Make a call as this member."""
        return self.wire.call(name, requests, self.session, **fields)

    def publish(self, files: Mapping[str, bytes]) -> Answer:
        """Upload a folder, each file in one piece."""
        pieces = [publishing_pb2.PublishRequest(path=path, data=data) for path, data in files.items()]
        return self.call("Publish", iter(pieces))

    def opened(self, files: Mapping[str, bytes]) -> ProblemCard:
        """Upload a folder and wait until it is open."""
        answer = self.publish(files)
        assert answer.ok, answer
        card = self.settled(answer.value.problem.name)
        assert card.state is ProblemState.OPEN, card
        return card

    def settled(self, name: str) -> ProblemCard:
        """Wait until a problem's registration has ended."""
        watch = self.wire.begin("Watch", session=self.session, problem=name)
        card = self.problem(name)
        while card.state is ProblemState.REGISTERING:
            next(watch)
            card = self.problem(name)
        watch.cancel()
        return card

    def problem(self, name: str) -> ProblemCard:
        """Read a problem."""
        return problem_from_wire(self.call("GetProblem", name=name).value.problem)

    def propose(self, problem: str, content: bytes, **fields: Any) -> Answer:
        """Propose bytes."""
        fields = {"idempotency_key": secrets.token_hex(16), "size": len(content), **fields}
        return self.call("Propose", problem=problem, content=content, **fields)

    def proposed(self, problem: str, content: bytes, **fields: Any) -> Experiment:
        """Propose bytes and wait for their verdict."""
        answer = self.propose(problem, content, **fields)
        assert answer.ok, answer
        return self.verdict(answer.value.experiment.id)

    def verdict(self, experiment: str) -> Experiment:
        """Wait until an experiment is settled."""
        for response in self.wire.begin("Watch", session=self.session, experiment=experiment, seconds=60):
            x = experiment_from_wire(response.experiment)
            if x.state in SETTLED:
                return x
        raise AssertionError("the stream ended before the verdict")

    def experiment(self, experiment: str) -> Experiment:
        """Read an experiment."""
        return experiment_from_wire(self.call("GetExperiment", id=experiment).value.experiment)

    def states(self, problem: str) -> list[ExperimentState]:
        """Read the states of a problem's experiments, newest first."""
        found = self.call("ListExperiments", problem=problem, limit=1000).value.experiments
        return [experiment_from_wire(x).state for x in found]


@dataclass
class Site:
    """A running pool, the operator, and a way in for others."""

    pool: Any
    wire: Wire
    operator: Member
    redis: Any = field(repr=False)

    def token(self, role: int, **fields: Any) -> str:
        """Return a new token."""
        return str(self.operator.call("CreateToken", role=role, **fields).value.token)

    def join(self, name: str = "", role: int = enrolment_pb2.ROLE_PUBLISHER) -> Member:
        """Let somebody in."""
        key = PrivateKey(raw=secrets.token_bytes(KEY_BYTES))
        answer = self.wire.call(
            "Join",
            secret=parse_token(self.token(role)).secret,
            public_key=key.public.raw,
            role=role,
            contributor=name,
        )
        assert answer.ok, answer
        member = Member(self.wire, answer.value.identity.id, key)
        nonce = self.wire.call("Challenge", identity_id=member.identity).value.nonce
        opened = self.wire.call(
            "OpenSession", identity_id=member.identity, nonce=nonce, signature=sign(key, SESSION_DOMAIN, nonce)
        )
        assert opened.ok, opened
        member.session = opened.value.session_token
        return member


@pytest.fixture(scope="session")
def folder() -> Callable[..., dict[str, bytes]]:
    """Make a small problem: the sum of some numbers."""

    def make(
        name: str, *, title: str = "A sum", files: str = "", acceptance: str = "", **more: bytes
    ) -> dict[str, bytes]:
        manifest = _MANIFEST.format(name=name, title=title, files=files, acceptance=acceptance)
        return {
            "problem.toml": manifest.encode(), "program.md": b"# A sum\n", "numbers.json": b"[1, 2]\n",
            "score.py": _SCORER, **more,
        }  # fmt: skip

    return make


@pytest.fixture(scope="module")
def site(start_pool: Callable[..., Any]) -> Iterator[Site]:
    """A pool with one verifier, for the tests of a module."""
    running = start_pool("--verifiers", "1")
    certificate = (running.directory / "keys" / "tls.crt").read_text()
    with ExitStack() as stack:
        wire = Wire(stack.enter_context(open_channel(parse_address(running.grpc), certificate)))
        session = json.loads((running.directory / "run" / "admin.json").read_text())["session"]
        operator = Member(wire, "i-operator", PrivateKey(raw=bytes(KEY_BYTES)), session)
        folder = Path(running.directory) / "redis" / "redis.sock"
        client = stack.enter_context(redis.Redis(unix_socket_path=str(folder), decode_responses=False))
        yield Site(running, wire, operator, client)
        with suppress(redis.RedisError):
            client.close()


@pytest.fixture(scope="module")
def ada(site: Site) -> Member:
    """An honest publisher."""
    return site.join("ada")


@pytest.fixture(scope="module")
def eve(site: Site) -> Member:
    """A contributor who cheats."""
    return site.join("eve")


@pytest.fixture
def record_attack(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Note what came of one attack, for the table that ``make attacks`` prints (``table.py`` has the fields)."""

    def record(**fields: Any) -> None:
        request.node.user_properties.append(("attack", fields))

    return record


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """Run one Redis for the courts of a module."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def court(redis_server: EmbeddedRedis, tmp_path: Path) -> Iterator[Court]:
    """Give a referee's desk of its own, with a store that is empty."""
    directory = DataDirectory(tmp_path / "data")
    initialise(directory, "Test Pool")
    store = open_store(redis_server.url, directory.blobs)
    store.connection.text.flushall()
    publisher = Identity(
        id="i-1",
        role=Role.PUBLISHER,
        contributor="ada",
        machine="m-1",
        joined=datetime.now(UTC),
        public_key=bytes(32),
    )
    yield Court(store, directory, RefereeDesk(store, directory, "Test Pool", 2), publisher)
    store.connection.close()


@pytest.fixture
def noisy(folder: Callable[..., dict[str, bytes]]) -> dict[str, bytes]:
    """Make the small problem as one with noise."""
    files = folder("noisy")
    files["problem.toml"] = files["problem.toml"].replace(b'noise = "none"', b'noise = "seed"\nmax_pairs = 40')
    return files
