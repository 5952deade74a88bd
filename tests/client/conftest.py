# ruff: noqa: N802 - gRPC names methods as the .proto does
"""A real gRPC server with a certificate of its own, whose answers a test scripts, and the command line in-process."""

import json
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ar_client.main import run
from ar_core.lifecycle import ExperimentState, ProblemState
from ar_core.records import Experiment, Identity, ProblemCard, Role
from ar_core.signing import SESSION_DOMAIN, PublicKey, verify
from ar_core.tokens import CERTIFICATE_NAME, JoinToken, certificate_digest
from ar_core.wire import (
    experiment_to_wire,
    identity_to_wire,
    problem_to_wire,
    seconds_to_wire,
    time_to_wire,
)
from ar_proto.v1 import (
    catalogue_pb2,
    catalogue_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    publishing_pb2,
    publishing_pb2_grpc,
)

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SECRET = "0123456789abcdef" * 2
NONCE = b"n" * 32


def make_card(**changes: Any) -> ProblemCard:
    values: dict[str, Any] = {
        "name": "packing", "title": "Packing", "summary": "Pack.", "revision": 1, "state": ProblemState.OPEN,
        "kind": "data", "metric": "excess", "direction": "minimize", "unit": "%", "decimals": 3,
        "baseline": 5.4, "best": 3.25, "accepted": 2, "experiments": 17, "head": "c" * 40, "contributors": 2,
        "publisher": "ada", "mutable_path": "priority.json", "max_bytes": 64, "published": NOW,
    }  # fmt: skip
    return ProblemCard(**(values | changes))


def make_experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "id": "x-0123456789abcdef", "problem": "packing", "revision": 1, "state": ExperimentState.QUEUED,
        "contributor": "ada", "note": "sorted", "created": NOW, "updated": NOW,
    }  # fmt: skip
    return Experiment(**(values | changes))


@dataclass(frozen=True)
class Certificate:
    key: bytes
    pem: bytes
    digest: str


def make_certificate() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, CERTIFICATE_NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(CERTIFICATE_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(
        key=private,
        pem=certificate.public_bytes(serialization.Encoding.PEM),
        digest=certificate_digest(certificate.public_bytes(serialization.Encoding.DER)),
    )


@dataclass
class Failing:
    """What the server answers instead: a status and the pool's words about it."""

    status: grpc.StatusCode
    code: str = ""
    detail: str = ""
    hint: str = ""
    retry_after: str = ""

    def raise_in(self, context: grpc.ServicerContext) -> None:
        pairs: list[tuple[str, str | bytes]] = []
        if self.code:
            pairs.append(("ar-code", self.code))
        if self.detail:
            pairs.append(("ar-detail-bin", self.detail.encode()))
        if self.hint:
            pairs.append(("ar-hint-bin", self.hint.encode()))
        if self.retry_after:
            pairs.append(("ar-retry-after", self.retry_after))
        context.set_trailing_metadata(tuple(pairs))
        context.abort(self.status, "internal words")


@dataclass
class Script:
    """What the pool answers, what it was asked, and the sessions it accepts."""

    card: ProblemCard = field(default_factory=make_card)
    cards: list[ProblemCard] = field(default_factory=list)
    """Answers to GetProblem, one after the other, before ``card``."""
    experiment: Experiment = field(default_factory=make_experiment)
    experiments: list[Experiment] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    """Content by commit."""
    watched: list[list[Any]] = field(default_factory=list)
    """What each further Watch yields: experiments, problems, failures."""
    failures: dict[str, list[Failing]] = field(default_factory=dict)
    """What a method answers before it works, by its name."""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    published: dict[str, bytes] = field(default_factory=dict)
    role: Role = Role.PUBLISHER
    public_key: bytes = b""
    sessions: int = 0

    def requests(self, method: str) -> list[Any]:
        return [request for name, request in self.asked if name == method]


class ScriptedPool(
    enrolment_pb2_grpc.EnrolmentServiceServicer,
    catalogue_pb2_grpc.CatalogueServiceServicer,
    publishing_pb2_grpc.PublishingServiceServicer,
):
    """The three services, as the script says; sessions are real: signed challenge, token in every call."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def _asked(self, name: str, request: Any, context: Any, *, signed_in: bool = True) -> None:
        self.script.asked.append((name, request))
        failures = self.script.failures.get(name)
        if failures:
            failures.pop(0).raise_in(context)
        metadata = dict(context.invocation_metadata())
        if signed_in and metadata.get("authorization") != f"Bearer session-{self.script.sessions}":
            Failing(grpc.StatusCode.UNAUTHENTICATED, "AR-I201").raise_in(context)

    def _identity(self) -> Identity:
        return Identity(
            id="i-0123456789abcdef", role=self.script.role, contributor="ada", machine="m-abcdef", joined=NOW
        )

    def Join(self, request: Any, context: Any) -> Any:
        self._asked("Join", request, context, signed_in=False)
        self.script.public_key = request.public_key
        return enrolment_pb2.JoinResponse(
            identity=identity_to_wire(self._identity()), pool="test pool", web="http://127.0.0.1:1"
        )

    def Leave(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    def WhoAmI(self, request: Any, context: Any) -> Any:
        self._asked("WhoAmI", request, context)
        return enrolment_pb2.WhoAmIResponse(
            identity=identity_to_wire(self._identity()), pool="test pool", server_time=time_to_wire(NOW)
        )

    def Challenge(self, request: Any, context: Any) -> Any:
        self._asked("Challenge", request, context, signed_in=False)
        return enrolment_pb2.ChallengeResponse(nonce=NONCE)

    def OpenSession(self, request: Any, context: Any) -> Any:
        self._asked("OpenSession", request, context, signed_in=False)
        key = PublicKey(raw=self.script.public_key)
        if request.nonce != NONCE or not verify(key, SESSION_DOMAIN, NONCE, request.signature):
            Failing(grpc.StatusCode.UNAUTHENTICATED, "AR-I201").raise_in(context)
        self.script.sessions += 1
        return enrolment_pb2.OpenSessionResponse(
            session_token=f"session-{self.script.sessions}", lifetime=seconds_to_wire(3600)
        )

    def ListProblems(self, request: Any, context: Any) -> Any:
        self._asked("ListProblems", request, context)
        return catalogue_pb2.ListProblemsResponse(problems=[problem_to_wire(self.script.card)])

    def GetProblem(self, request: Any, context: Any) -> Any:
        self._asked("GetProblem", request, context)
        card = self.script.cards.pop(0) if self.script.cards else self.script.card
        return catalogue_pb2.GetProblemResponse(problem=problem_to_wire(card))

    def ListExperiments(self, request: Any, context: Any) -> Any:
        self._asked("ListExperiments", request, context)
        start = int(request.page_token or 0)
        end = start + min(2, request.limit)  # small pages, so that the client has to turn them
        page = self.script.experiments[start:end]
        return catalogue_pb2.ListExperimentsResponse(
            experiments=[experiment_to_wire(x) for x in page],
            next_page_token=str(end) if end < len(self.script.experiments) else "",
        )

    def GetExperiment(self, request: Any, context: Any) -> Any:
        self._asked("GetExperiment", request, context)
        return catalogue_pb2.GetExperimentResponse(experiment=experiment_to_wire(self.script.experiment))

    def GetLeaderboard(self, request: Any, context: Any) -> Any:
        self._asked("GetLeaderboard", request, context)
        row = catalogue_pb2.LeaderboardRow(
            rank=1, contributor="ada", accepted=2, gain=2.15 if request.problem else None, share=1.0,
            experiments=17, donated=seconds_to_wire(7200),
        )  # fmt: skip
        return catalogue_pb2.GetLeaderboardResponse(rows=[row])

    def Watch(self, request: Any, context: Any) -> Any:
        self._asked("Watch", request, context)
        for event in self.script.watched.pop(0) if self.script.watched else []:
            if isinstance(event, Failing):
                event.raise_in(context)
            elif isinstance(event, Experiment):
                yield catalogue_pb2.WatchResponse(experiment=experiment_to_wire(event), time=time_to_wire(NOW))
            else:
                yield catalogue_pb2.WatchResponse(problem=problem_to_wire(event), time=time_to_wire(NOW))

    def GetFile(self, request: Any, context: Any) -> Any:
        self._asked("GetFile", request, context)
        commit = request.commit or self.script.card.head
        return catalogue_pb2.GetFileResponse(
            content=self.script.files[commit], path="priority.json", commit=commit, score=3.25
        )

    def Publish(self, request_iterator: Any, context: Any) -> Any:
        self._asked("Publish", None, context)
        for request in request_iterator:
            assert len(request.data) <= 1024**2
            self.script.published[request.path] = self.script.published.get(request.path, b"") + request.data
        return publishing_pb2.PublishResponse(
            problem=problem_to_wire(self.script.cards.pop(0) if self.script.cards else self.script.card)
        )

    def SetState(self, request: Any, context: Any) -> Any:
        self._asked("SetState", request, context)
        return publishing_pb2.SetStateResponse(problem=problem_to_wire(self.script.card))

    def Propose(self, request: Any, context: Any) -> Any:
        self._asked("Propose", request, context)
        return publishing_pb2.ProposeResponse(experiment=experiment_to_wire(self.script.experiment))


@dataclass
class RunningPool:
    """What a test has of the server: its script, where it is, and what its answers are made of."""

    script: Script
    address: str
    token: str
    secret: str = SECRET
    card = staticmethod(make_card)
    experiment = staticmethod(make_experiment)
    failing = Failing
    status = grpc.StatusCode


@pytest.fixture(scope="session")
def certificate() -> Certificate:
    return make_certificate()


@pytest.fixture(scope="session")
def other_certificate() -> Certificate:
    return make_certificate()


@pytest.fixture
def pool(certificate: Certificate) -> Iterator[RunningPool]:
    script = Script()
    servicer = ScriptedPool(script)
    with futures.ThreadPoolExecutor(max_workers=4) as threads:
        server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
        enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(servicer, server)
        catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(servicer, server)
        publishing_pb2_grpc.add_PublishingServiceServicer_to_server(servicer, server)
        credentials = grpc.ssl_server_credentials([(certificate.key, certificate.pem)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        token = str(JoinToken(digest=certificate.digest, secret=SECRET))
        yield RunningPool(script=script, address=f"127.0.0.1:{port}", token=token)
        server.stop(None).wait()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("AR_HOME", str(folder))
    monkeypatch.delenv("AR_DEBUG", raising=False)
    return folder


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        (line,) = self.out.splitlines()
        document: dict[str, Any] = json.loads(line)
        assert document["schema"].startswith("ar.")
        return document

    @property
    def error(self) -> dict[str, Any]:
        """What --json says of a failure."""
        body: dict[str, Any] = json.loads(self.err)["error"]
        return body


@pytest.fixture
def ar_pool(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run ``ar-pool`` in this process."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def signed_in(pool: RunningPool, ar_pool: Callable[..., Ended]) -> RunningPool:
    assert ar_pool("login", pool.address, "--token", pool.token).code == 0
    return pool
