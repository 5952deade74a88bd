"""Administration: tokens, identities, held experiments; for the operator.

Not here: who is the operator. On the pool's own machine that is whoever can read the data directory.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from ar_coordinator.doorbell import Doorbell
from ar_coordinator.services.enrolment import is_name
from ar_coordinator.store import Store
from ar_coordinator.store.connection import now_ms
from ar_coordinator.store.leases import Trust
from ar_core.errors import PoolError
from ar_core.lifecycle import SETTLED, ExperimentState, ProblemState, Reason
from ar_core.records import Experiment, Identity, Role, TokenRecord
from ar_core.text import one_line
from ar_core.tokens import JoinToken
from ar_core.wire import (
    experiment_to_wire,
    identity_to_wire,
    role_from_wire,
    seconds_from_wire,
    time_to_wire,
    token_to_wire,
)
from ar_proto.v1 import administration_pb2, administration_pb2_grpc

_LIFETIME = 7 * 86_400.0
_LONGEST = 10 * 365 * 86_400.0


class Administration(administration_pb2_grpc.AdministrationServiceServicer):
    """`AdministrationService`."""

    def __init__(self, store: Store, doorbell: Doorbell, certificate_digest: str) -> None:
        self._store = store
        self._doorbell = doorbell
        self._digest = certificate_digest

    def CreateToken(  # noqa: N802
        self, request: administration_pb2.CreateTokenRequest, context: Any
    ) -> administration_pb2.CreateTokenResponse:
        """Make a token; only the hash of its secret is kept."""
        lifetime = seconds_from_wire(request.lifetime) if request.HasField("lifetime") else _LIFETIME
        if not 0 < lifetime <= _LONGEST or not 0 <= request.uses <= 100_000:
            raise PoolError("AR-A101", "a token has 1 to 100000 uses and expires in the next ten years")
        if request.contributor and not is_name(request.contributor):
            raise PoolError("AR-I210", repr(one_line(request.contributor, 60)))
        secret = secrets.token_hex(16)
        token = TokenRecord(
            id=f"t-{secrets.token_hex(4)}",
            role=role_from_wire(request.role) or Role.WORKER,
            contributor=request.contributor,
            uses=request.uses or 1,
            used=0,
            expires=datetime.now(UTC) + timedelta(seconds=lifetime),
        )
        self._store.identities.add_token(secret, token)
        self._doorbell.look_around()
        whole = str(JoinToken(digest=self._digest, secret=secret))
        return administration_pb2.CreateTokenResponse(token=whole, description=token_to_wire(token))

    def ListTokens(  # noqa: N802
        self, request: administration_pb2.ListTokensRequest, context: Any
    ) -> administration_pb2.ListTokensResponse:
        """List the tokens."""
        return administration_pb2.ListTokensResponse(
            tokens=[token_to_wire(token) for token in self._store.identities.tokens()]
        )

    def RevokeToken(  # noqa: N802
        self, request: administration_pb2.RevokeTokenRequest, context: Any
    ) -> administration_pb2.RevokeTokenResponse:
        """Make a token worthless."""
        token = self._store.identities.revoke_token(request.id)
        if token is None:
            raise PoolError("AR-A108", request.id[:40])
        self._doorbell.look_around()
        return administration_pb2.RevokeTokenResponse(token=token_to_wire(token))

    def ListIdentities(  # noqa: N802
        self, request: administration_pb2.ListIdentitiesRequest, context: Any
    ) -> administration_pb2.ListIdentitiesResponse:
        """List the identities."""
        found = self._store.identities.all()
        trust = self._store.leases.trust([identity.id for identity in found])
        return administration_pb2.ListIdentitiesResponse(
            identities=[_status(identity, one) for identity, one in zip(found, trust, strict=True)]
        )

    def SetBan(  # noqa: N802
        self, request: administration_pb2.SetBanRequest, context: Any
    ) -> administration_pb2.SetBanResponse:
        """Ban an identity or lift the ban."""
        wanted = request.identity
        identity = next((i for i in self._store.identities.all() if wanted in {i.id, i.machine}), None)
        if identity is None:
            raise PoolError("AR-A109", wanted[:40])
        reason = (one_line(request.reason) or "no reason given") if request.banned else None
        (trust,) = self._store.leases.trust([identity.id])
        changed = self._store.identities.set_ban(identity, reason)
        return administration_pb2.SetBanResponse(identity=_status(changed, trust))

    def ResolveHeld(  # noqa: N802
        self, request: administration_pb2.ResolveHeldRequest, context: Any
    ) -> administration_pb2.ResolveHeldResponse:
        """Release a held experiment into the queue, or refuse it."""
        if self._store.experiments.get(request.id) is None:
            raise PoolError("AR-X400", request.id[:40])
        why = one_line(request.reason)
        if request.release:
            moved = self._store.experiments.move(
                request.id, ExperimentState.HELD, ExperimentState.QUEUED, released=True, reason=None,
                explanation=f"Released by the operator{': ' + why if why else ''}.", updated=datetime.now(UTC),
            )  # fmt: skip
        else:
            moved = self._store.experiments.move(
                request.id, ExperimentState.HELD, ExperimentState.REJECTED, reason=Reason.IMPLAUSIBLE,
                explanation=f"Refused by the operator{': ' + why if why else ''}.", updated=datetime.now(UTC),
            )  # fmt: skip
        if not moved:
            raise PoolError("AR-X404", request.id)
        self._doorbell.look_around()
        x = self._store.experiments.get(request.id)
        if x is None:
            raise PoolError("AR-X400", request.id[:40])
        return administration_pb2.ResolveHeldResponse(experiment=experiment_to_wire(x))

    def Requeue(  # noqa: N802
        self, request: administration_pb2.RequeueRequest, context: Any
    ) -> administration_pb2.RequeueResponse:
        """Ring again for what is being verified, and for what waits."""
        waiting = [request.id] if request.id else self._store.experiments.verifying()
        for experiment_id in waiting:
            x = self._store.experiments.get(experiment_id)
            if x is None:
                raise PoolError("AR-X400", experiment_id[:40])
            if request.id and x.state in SETTLED:
                raise _settled(x)
            self._doorbell.look_at_experiment(experiment_id)
        self._doorbell.look_around()
        return administration_pb2.RequeueResponse(count=len(waiting))

    def Audit(  # noqa: N802
        self, request: administration_pb2.AuditRequest, context: Any
    ) -> administration_pb2.AuditResponse:
        """Have best versions measured again beside older ones; the referee begins with it in a moment."""
        known = self._store.problems.names()
        if request.problem and request.problem not in known:
            raise PoolError("AR-P300", request.problem[:80])
        wanted = [request.problem] if request.problem else known
        found = [name for name in wanted if self._store.problems.field(name, "state") == ProblemState.OPEN]
        for name in found:
            self._store.problems.update(name, audit_asked=True)
        self._doorbell.look_around()
        return administration_pb2.AuditResponse(problems=found)

    def Drain(  # noqa: N802
        self, request: administration_pb2.DrainRequest, context: Any
    ) -> administration_pb2.DrainResponse:
        """Start no further verification until told otherwise; what runs is finished, what comes is queued."""
        self._store.set_draining(request.drain)
        if not request.drain:
            self._doorbell.look_around()
        return administration_pb2.DrainResponse(draining=self._store.draining())


def _settled(x: Experiment) -> PoolError:
    held = x.state is ExperimentState.HELD
    hint = f"decide about it with `ar-coordinator experiments release {x.id}`" if held else ""
    return PoolError("AR-X405", f"{x.id} is {x.state.value}", hint=hint)


def _status(identity: Identity, trust: Trust) -> administration_pb2.IdentityStatus:
    cools = trust.cool_until_ms > now_ms()
    until = time_to_wire(datetime.fromtimestamp(trust.cool_until_ms / 1000, UTC)) if cools else None
    return administration_pb2.IdentityStatus(
        identity=identity_to_wire(identity), banned=identity.banned is not None, reason=identity.banned or "",
        sandbox_grade=trust.grade, claims_held=trust.held, claims_failed=trust.failed_in_a_row, cool_until=until,
    )  # fmt: skip
