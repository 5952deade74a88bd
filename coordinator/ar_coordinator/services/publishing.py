"""Publishing: folders in, states changed, candidates proposed by hand.

Not here: measuring them. `Propose` answers when the proposal is durable; the verdict comes later.
"""

import asyncio
import math
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ar_coordinator.doorbell import Doorbell
from ar_coordinator.opening import take_in
from ar_coordinator.read_model import ReadModel
from ar_coordinator.services.caller import caller
from ar_coordinator.store import Store, keys
from ar_coordinator.store.experiments import PROPOSALS_PER_HOUR
from ar_core.candidate import check_policy, content_hash, oversize, sha256
from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState, IllegalTransitionError, ProblemState, Reason
from ar_core.manifest import MAX_BUNDLE_BYTES, MAX_FILES
from ar_core.problem import MAX_MUTABLE_BYTES
from ar_core.records import Experiment, Identity, ProblemCard, Role
from ar_core.text import one_line
from ar_core.wire import experiment_to_wire, problem_state_from_wire, problem_to_wire
from ar_proto.v1 import publishing_pb2, publishing_pb2_grpc

_ARRIVING = 8
"""Folders that arrive at a time, of different publishers: each may take 64 MiB of memory meanwhile."""
_ARRIVAL_SECONDS = 900
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[A-Za-z0-9-]{1,64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Publishing(publishing_pb2_grpc.PublishingServiceServicer):
    """`PublishingService`."""

    def __init__(self, store: Store, doorbell: Doorbell, read: ReadModel, seed_key: bytes) -> None:
        self._store = store
        self._doorbell = doorbell
        self._read = read
        self._seed_key = seed_key
        self._arriving: set[str] = set()

    async def Publish(  # noqa: N802
        self, requests: AsyncIterator[publishing_pb2.PublishRequest], context: Any
    ) -> publishing_pb2.PublishResponse:
        """Take in a folder; its size is bounded while it arrives, and what is held of all folders at a time."""
        publisher = caller()
        if publisher.id in self._arriving or len(self._arriving) >= _ARRIVING:
            raise PoolError("AR-A103", "other folders are being taken in", hint="try again when it has arrived",
                            retry_after=5.0)  # fmt: skip
        self._arriving.add(publisher.id)
        try:
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                files = await _arrival(requests)
            return await asyncio.to_thread(self._take_in, files, publisher)
        except TimeoutError:
            raise PoolError("AR-P302", f"it did not arrive within {_ARRIVAL_SECONDS} s") from None
        finally:
            self._arriving.discard(publisher.id)

    def _take_in(self, files: dict[str, bytes], publisher: Identity) -> publishing_pb2.PublishResponse:
        taken = take_in(self._store, self._doorbell, self._seed_key, files, publisher)
        card = self._read.existing(taken.name)
        # A state that is no registration tells that nothing changed.
        if not taken.unchanged:
            card = replace(card, revision=taken.revision, state=ProblemState.REGISTERING, findings=())
        return publishing_pb2.PublishResponse(problem=problem_to_wire(card))

    def SetState(  # noqa: N802
        self, request: publishing_pb2.SetStateRequest, context: Any
    ) -> publishing_pb2.SetStateResponse:
        """Pause, resume or withdraw."""
        card = self._own(request.problem)
        after = problem_state_from_wire(request.state)
        if after not in {ProblemState.OPEN, ProblemState.PAUSED, ProblemState.WITHDRAWN}:
            raise PoolError("AR-A101", "a problem can be paused, resumed or withdrawn")
        if card.state is not after:
            reason = one_line(request.reason) if after is not ProblemState.OPEN else ""
            try:
                moved = self._store.problems.set_state(card.name, card.state, after, state_reason=reason)
            except IllegalTransitionError as error:
                raise PoolError("AR-P306", f"{card.name}: {error}") from None
            if not moved:
                raise PoolError("AR-P306", f"{card.name} changed meanwhile", hint="try again")
            if after is ProblemState.WITHDRAWN:
                self._withdraw_queued(card.name)
            self._doorbell.look_around()
        return publishing_pb2.SetStateResponse(problem=problem_to_wire(self._read.existing(card.name)))

    def _withdraw_queued(self, name: str) -> None:
        for experiment_id in self._store.experiments.in_state(name, ExperimentState.QUEUED):
            self._store.experiments.move(
                experiment_id, ExperimentState.QUEUED, ExperimentState.WITHDRAWN, reason=Reason.WITHDRAWN,
                explanation="Its problem was withdrawn before it was verified.", updated=datetime.now(UTC),
            )  # fmt: skip

    def Propose(  # noqa: N802
        self, request: publishing_pb2.ProposeRequest, context: Any
    ) -> publishing_pb2.ProposeResponse:
        """Record a candidate by hand and queue it; what breaks the one-file rule is rejected here."""
        who = caller()
        card = self._read.existing(request.problem)
        content = request.content if request.HasField("content") else None
        if not _KEY.fullmatch(request.idempotency_key):
            raise PoolError("AR-A101", "an idempotency key has 1 to 64 letters, digits or '-'")
        digest = sha256(content) if content is not None else request.sha256
        if not _SHA256.fullmatch(digest) or (request.sha256 and request.sha256 != digest):
            raise PoolError("AR-A101", "the bytes do not have the hash that was sent with them")
        x = self._experiment(request, card, who, digest)
        finding = oversize(request.size, card.max_bytes) if content is None else check_policy(content, card.max_bytes)
        if content is None and request.size <= card.max_bytes:
            raise PoolError("AR-A101", "the file's bytes are missing")
        kept = None
        if finding is None and content is not None:
            kept = content
            hashed = content_hash(content)
        else:
            explanation = f"{finding.message}; {finding.hint}." if finding else ""
            x = _rejected(x, explanation[:1].upper() + explanation[1:])
            hashed = ""
        free = card.publisher == who.contributor or who.role is Role.OPERATOR
        added = self._store.experiments.add(
            x,
            content_hash=hashed,
            once=keys.once(who.id, f"{card.name}:{request.idempotency_key}"),
            quota=keys.quota(who.contributor.lower(), card.name),
            limit=0 if free else PROPOSALS_PER_HOUR,
            content=kept,
        )
        match added.answer:
            case "missing":
                raise PoolError("AR-P300", card.name)
            case "closed":
                raise _closed(card)
            case "quota":
                wait = float(added.detail) / 1000
                raise PoolError("AR-X401", f"{PROPOSALS_PER_HOUR} are allowed; wait {wait:.0f} s", retry_after=wait)
        found = self._store.experiments.get(added.detail)
        if found is None:
            raise PoolError("AR-X400", added.detail)
        if found.state is ExperimentState.QUEUED:
            self._doorbell.look_at_experiment(found.id)
        return publishing_pb2.ProposeResponse(experiment=experiment_to_wire(found))

    def _experiment(
        self, request: publishing_pb2.ProposeRequest, card: ProblemCard, who: Identity, digest: str
    ) -> Experiment:
        now = datetime.now(UTC)
        claimed = request.claimed if request.HasField("claimed") else None
        if claimed is not None and not math.isfinite(claimed):
            claimed = None
        return Experiment(
            id=f"x-{secrets.token_hex(8)}",
            problem=card.name,
            revision=card.revision,
            state=ExperimentState.QUEUED,
            contributor=who.contributor,
            worker=who.machine,
            agent="hand",
            note=one_line(request.note),
            claimed=claimed,
            parent=request.parent if _COMMIT.fullmatch(request.parent) else card.head,
            blob=digest if request.HasField("content") and len(request.content) <= MAX_MUTABLE_BYTES else "",
            created=now,
            updated=now,
        )

    def _own(self, name: str) -> ProblemCard:
        """Return a problem that the caller may steer; raises ``PoolError``."""
        card = self._read.existing(name)
        who = caller()
        owner = self._store.problems.field(name, "publisher_id")
        if who.role is not Role.OPERATOR and owner != who.id and card.publisher != who.contributor:
            raise PoolError("AR-P303", name)
        return card


async def _arrival(requests: AsyncIterator[publishing_pb2.PublishRequest]) -> dict[str, bytes]:
    """Return the files of an upload; raises ``PoolError`` AR-P302 as soon as it is more than a folder may be."""
    files: dict[str, bytearray] = {}
    total = 0
    async for request in requests:
        if request.path not in files:
            # Names count too: they are held like bytes.
            total += len(request.path)
            files[request.path] = bytearray()
        total += len(request.data)
        if total > MAX_BUNDLE_BYTES or len(files) > MAX_FILES:
            raise PoolError(
                "AR-P302", f"it is over {MAX_BUNDLE_BYTES >> 20} MiB or {MAX_FILES} files",
                hint="leave out what the scorer does not need",
            )  # fmt: skip
        files[request.path] += request.data
    return {path: bytes(data) for path, data in files.items()}


def _rejected(x: Experiment, explanation: str) -> Experiment:
    return replace(x, state=ExperimentState.REJECTED, reason=Reason.POLICY, explanation=explanation, blob="")


def _closed(card: ProblemCard) -> PoolError:
    if card.state is ProblemState.WITHDRAWN:
        return PoolError("AR-P304", card.name)
    why = f"it is {card.state.value}" + (f" ({card.state_reason})" if card.state_reason else "")
    return PoolError("AR-P305", f"{card.name}: {why}", hint=f"see `ar-pool show {card.name}`")
