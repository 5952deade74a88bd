"""A pool as its callers see it: one method for each call, records in and out, every failure a ``PoolError``.

Not here: protobuf beyond this border, and anything printed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

import grpc

from ar_client.address import Address
from ar_client.calls import Calls
from ar_client.channel import open_channel, pinned_certificate
from ar_client.failure import NO_CONNECTION, translate
from ar_client.identity import Home
from ar_client.records import Event, Membership, PoolFile, Proposal
from ar_client.session import Session
from ar_core import wire
from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState, ProblemState
from ar_core.records import Experiment, Identity, LeaderboardRow, ProblemCard, Role
from ar_core.signing import KeyFormatError, PrivateKey, private_key_from_text
from ar_proto.v1 import (
    catalogue_pb2,
    catalogue_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    publishing_pb2,
    publishing_pb2_grpc,
)

CHUNK_BYTES = 1024**2
PAGE = 200


class Order(StrEnum):
    """How a leaderboard is ordered."""

    GAIN = "gain"
    ACCEPTED = "accepted"
    RECENT = "recent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Where a pool is and the certificate it must show."""

    address: Address
    digest: str
    certificate: str


class Pool:
    """One pool over one connection; use it as a context manager."""

    def __init__(
        self, pin: Pin, *, key: PrivateKey | None = None, identity: str = "", home: Home | None = None
    ) -> None:
        """Without ``key``, ``identity`` and ``home`` only ``join`` can be called: nobody is signed in."""
        self._pin = pin
        self._channel = open_channel(pin.address, pin.certificate)
        session = None
        if key is not None and home is not None:
            session = Session(self._channel, identity=identity, key=key, home=home, clock=time.time)
        self._calls = Calls(session, self._explain)
        self._enrolment = enrolment_pb2_grpc.EnrolmentServiceStub(self._channel)
        self._catalogue = catalogue_pb2_grpc.CatalogueServiceStub(self._channel)
        self._publishing = publishing_pb2_grpc.PublishingServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and every call on it."""
        self._channel.close()

    # --- Who the caller is

    def join(self, secret: str, public_key: bytes, *, contributor: str, role: Role) -> Membership:
        """Redeem a token's ``secret`` for an identity of this key; the same again answers the same."""
        answer = self._calls.unary(
            self._enrolment.Join,
            enrolment_pb2.JoinRequest(
                secret=secret, public_key=public_key, contributor=contributor, role=wire.role_to_wire(role)
            ),
        )
        return _membership(answer)

    def whoami(self) -> Membership:
        """Return who the caller is to the pool."""
        return _membership(self._calls.unary(self._enrolment.WhoAmI, enrolment_pb2.WhoAmIRequest()))

    # --- What there is to read

    def problems(self, *, everything: bool = False) -> list[ProblemCard]:
        """Return the published problems by name; with ``everything`` also withdrawn and refused ones."""
        request = catalogue_pb2.ListProblemsRequest(all=everything)
        answer = self._calls.unary(self._catalogue.ListProblems, request)
        return [wire.problem_from_wire(message) for message in answer.problems]

    def problem(self, name: str) -> ProblemCard:
        """Return one problem; AR-P300 when there is none of this name."""
        request = catalogue_pb2.GetProblemRequest(name=name)
        return wire.problem_from_wire(self._calls.unary(self._catalogue.GetProblem, request).problem)

    def experiments(
        self, problem: str, *, state: ExperimentState | None = None, limit: int | None = None
    ) -> Iterator[Experiment]:
        """Yield the experiments of a problem, newest first, page by page; at most ``limit``."""
        page_token, left = "", limit
        while left is None or left > 0:
            answer = self._calls.unary(
                self._catalogue.ListExperiments,
                catalogue_pb2.ListExperimentsRequest(
                    problem=problem,
                    state=wire.experiment_state_to_wire(state),
                    limit=PAGE if left is None else min(PAGE, left),
                    page_token=page_token,
                ),
            )
            messages = answer.experiments[:left]
            yield from map(wire.experiment_from_wire, messages)
            left = None if left is None else left - len(messages)
            page_token = answer.next_page_token
            if not page_token:
                return

    def experiment(self, identifier: str) -> Experiment:
        """Return one experiment as it is now; AR-X400 when there is none."""
        request = catalogue_pb2.GetExperimentRequest(id=identifier)
        return wire.experiment_from_wire(self._calls.unary(self._catalogue.GetExperiment, request).experiment)

    def leaderboard(self, problem: str = "", *, order: Order | None = None, limit: int = 0) -> list[LeaderboardRow]:
        """Return the verified contributions, best first; without ``problem`` of the whole pool."""
        name = f"LEADERBOARD_ORDER_{order.name if order else 'UNSPECIFIED'}"
        request = catalogue_pb2.GetLeaderboardRequest(
            problem=problem, order=catalogue_pb2.LeaderboardOrder.Value(name), limit=limit
        )
        answer = self._calls.unary(self._catalogue.GetLeaderboard, request)
        return [wire.row_from_wire(message) for message in answer.rows]

    def file(self, problem: str, *, commit: str = "", path: str = "") -> PoolFile:
        """Return a file at a commit of ``main``; by default the mutable file of the best version."""
        request = catalogue_pb2.GetFileRequest(problem=problem, commit=commit, path=path)
        answer = self._calls.unary(self._catalogue.GetFile, request)
        score = answer.score if answer.HasField("score") else None
        return PoolFile(path=answer.path, content=answer.content, commit=answer.commit, score=score)

    def watch(self, *, problem: str = "", experiment: str = "", seconds: float | None = None) -> Iterator[Event]:
        """Yield what happens from now on; for one ``experiment`` its present state first, until it is settled.

        After ``seconds`` the call ends with AR-A105.
        """
        request = catalogue_pb2.WatchRequest(problem=problem, experiment=experiment)
        for message in self._calls.stream(self._catalogue.Watch, request, seconds=seconds):
            what = message.WhichOneof("event")
            when = wire.time_from_wire(message.time)
            if what == "experiment":
                yield Event(time=when, subject=wire.experiment_from_wire(message.experiment))
            elif what == "problem":
                yield Event(time=when, subject=wire.problem_from_wire(message.problem))

    # --- What a publisher or contributor does

    def publish(self, files: Mapping[str, bytes]) -> ProblemCard:
        """Upload a problem's folder (path to content) and return it, registering or refused."""
        answer = self._calls.upload(self._publishing.Publish, lambda: _chunks(files))
        return wire.problem_from_wire(answer.problem)

    def set_state(self, problem: str, state: ProblemState, *, reason: str = "") -> ProblemCard:
        """Pause, resume (open) or withdraw a problem."""
        request = publishing_pb2.SetStateRequest(
            problem=problem, state=wire.problem_state_to_wire(state), reason=reason
        )
        return wire.problem_from_wire(self._calls.unary(self._publishing.SetState, request).problem)

    def propose(self, proposal: Proposal) -> Experiment:
        """Propose a candidate; the same idempotency key again answers with the same experiment."""
        answer = self._calls.unary(
            self._publishing.Propose,
            publishing_pb2.ProposeRequest(
                problem=proposal.problem,
                content=proposal.content,
                sha256=proposal.sha256,
                size=proposal.size,
                note=proposal.note,
                claimed=proposal.claimed,
                idempotency_key=proposal.idempotency_key,
            ),
        )
        return wire.experiment_from_wire(answer.experiment)

    def _explain(self, error: grpc.RpcError) -> PoolError:
        """Return the failure; where no connection was made, look why, since gRPC tells it to its log only."""
        failure = translate(error)
        if failure.code == NO_CONNECTION and not failure.detail:
            try:
                pinned_certificate(self._pin.address, self._pin.digest)
            except PoolError as found:
                return found
            return PoolError(NO_CONNECTION, f"{self._pin.address} did not take the call", hint=failure.hint)
        return failure


def open_pool(home: Home) -> Pool:
    """Return the pool that this machine has signed in to; raises ``PoolError`` AR-I200 before that."""
    login = home.login()
    text = home.key_text(login.digest)
    try:
        key = private_key_from_text(text or "")
    except KeyFormatError:
        raise PoolError(
            "AR-A106",
            f"the key below {home.folder} is missing or damaged",
            hint="restore it, or sign in with a new token",
        ) from None
    pin = Pin(address=login.address, digest=login.digest, certificate=login.certificate)
    return Pool(pin, key=key, identity=login.identity, home=home)


def _membership(answer: enrolment_pb2.JoinResponse | enrolment_pb2.WhoAmIResponse) -> Membership:
    identity: Identity = wire.identity_from_wire(answer.identity)
    return Membership(identity=identity, pool=answer.pool, web=answer.web)


def _chunks(files: Mapping[str, bytes]) -> Iterator[publishing_pb2.PublishRequest]:
    for path, data in sorted(files.items()):
        for start in range(0, max(1, len(data)), CHUNK_BYTES):
            yield publishing_pb2.PublishRequest(path=path, data=data[start : start + CHUNK_BYTES])
