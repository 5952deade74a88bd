"""Enrolment: a token becomes an identity, a signed challenge becomes a session.

Not here: what an identity may do (``permissions``).
"""

import re
import secrets
from datetime import UTC, datetime
from typing import Any

from ar_coordinator.doorbell import Doorbell
from ar_coordinator.names import suggestions
from ar_coordinator.pool_info import PoolInfo
from ar_coordinator.services.caller import caller
from ar_coordinator.store import Store
from ar_coordinator.store.identities import SESSION_SECONDS
from ar_core.errors import PoolError
from ar_core.signing import KEY_BYTES, SESSION_DOMAIN, PublicKey, verify
from ar_core.wire import identity_to_wire, role_from_wire, seconds_to_wire, time_to_wire
from ar_proto.v1 import enrolment_pb2, enrolment_pb2_grpc

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,39}")
_SECRET = re.compile(r"[0-9a-f]{32}")


def is_name(text: str) -> bool:
    """Tell whether ``text`` may be a contributor's public name."""
    return _NAME.fullmatch(text) is not None


class Enrolment(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """`EnrolmentService`."""

    def __init__(self, store: Store, doorbell: Doorbell, pool: PoolInfo) -> None:
        self._store = store
        self._doorbell = doorbell
        self._pool = pool

    def Join(self, request: enrolment_pb2.JoinRequest, context: Any) -> enrolment_pb2.JoinResponse:  # noqa: N802
        """Redeem a token."""
        if not _SECRET.fullmatch(request.secret):
            raise PoolError("AR-I202")
        if len(request.public_key) != KEY_BYTES:
            raise PoolError("AR-A101", "a public key has 32 bytes")
        if request.contributor and not is_name(request.contributor):
            raise PoolError("AR-I210", repr(request.contributor[:60]))
        role = role_from_wire(request.role)
        # Who asks for the worker's role donates a machine or proposes by hand; another token is not spent on that.
        wanted = role.value if role else ""
        names = suggestions(secrets.SystemRandom(), 8, request.contributor)
        redeemed = self._store.identities.redeem(
            request.secret, request.public_key, wanted_role=wanted, wanted_name=request.contributor, names=names
        )
        if redeemed.answer != "joined":
            raise _refusal(redeemed.answer, redeemed.detail)
        identity = self._store.identities.get(redeemed.detail)
        if identity is None:
            raise PoolError("AR-I203")
        self._doorbell.look_around()
        return enrolment_pb2.JoinResponse(
            identity=identity_to_wire(identity), pool=self._pool.name, web=self._pool.web_url
        )

    def Leave(self, request: enrolment_pb2.LeaveRequest, context: Any) -> enrolment_pb2.LeaveResponse:  # noqa: N802
        """Delete the caller's identity."""
        identity = caller()
        if not identity.public_key:
            raise PoolError("AR-A101", "the operator of this machine did not join, and cannot leave")
        self._store.identities.remove(identity)
        return enrolment_pb2.LeaveResponse(contributor=identity.contributor)

    def WhoAmI(self, request: enrolment_pb2.WhoAmIRequest, context: Any) -> enrolment_pb2.WhoAmIResponse:  # noqa: N802
        """Tell the caller who it is."""
        return enrolment_pb2.WhoAmIResponse(
            identity=identity_to_wire(caller()),
            pool=self._pool.name,
            web=self._pool.web_url,
            server_time=time_to_wire(datetime.now(UTC)),
        )

    def Challenge(  # noqa: N802
        self, request: enrolment_pb2.ChallengeRequest, context: Any
    ) -> enrolment_pb2.ChallengeResponse:
        """Give a nonce; also for an identity that does not exist, so that nobody can look for those that do."""
        return enrolment_pb2.ChallengeResponse(nonce=self._store.identities.make_challenge(request.identity_id[:64]))

    def OpenSession(  # noqa: N802
        self, request: enrolment_pb2.OpenSessionRequest, context: Any
    ) -> enrolment_pb2.OpenSessionResponse:
        """Check a signed nonce and open a session."""
        owner = self._store.identities.take_challenge(request.nonce)
        identity = self._store.identities.get(request.identity_id[:64])
        if identity is None or owner != identity.id:
            raise PoolError("AR-I201")
        if not verify(PublicKey(raw=identity.public_key), SESSION_DOMAIN, request.nonce, request.signature):
            raise PoolError("AR-I201")
        if identity.banned is not None:
            raise PoolError("AR-I209", identity.banned)
        return enrolment_pb2.OpenSessionResponse(
            session_token=self._store.identities.open_session(identity.id),
            lifetime=seconds_to_wire(SESSION_SECONDS),
            server_time=time_to_wire(datetime.now(UTC)),
        )


def _refusal(answer: str, detail: str) -> PoolError:
    """Return the error for a token that was not redeemed."""
    match answer:
        case "expired":
            return PoolError("AR-I205")
        case "used":
            return PoolError("AR-I204")
        case "role":
            hint = {
                "worker": "sign in with --contributor to propose by hand, or ask for another token",
                "publisher": "use it with `ar-pool login`, or ask the pool's operator for a worker's token",
            }.get(detail, "")
            return PoolError("AR-I206", f"this token is for a {detail}", hint=hint)
        case "taken":
            return PoolError("AR-I208", hint=f"choose another with --name, for example {detail}" if detail else "")
        case _:
            return PoolError("AR-I203")
