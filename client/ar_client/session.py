"""Proving who the caller is: a signed challenge becomes a short-lived token, cached until it ends.

Not here: the key's place on disk (``identity``) and which calls need a session (``calls``).
"""

from collections.abc import Callable

import grpc

from ar_client.identity import CachedSession, Home
from ar_core.signing import SESSION_DOMAIN, PrivateKey, sign
from ar_core.wire import seconds_from_wire
from ar_proto.v1 import enrolment_pb2, enrolment_pb2_grpc

CALL_SECONDS = 20.0
_MARGIN_SECONDS = 30.0


class Session:
    """The caller's session at one pool; raises ``grpc.RpcError`` when the pool refuses one."""

    def __init__(
        self, channel: grpc.Channel, *, identity: str, key: PrivateKey, home: Home, clock: Callable[[], float]
    ) -> None:
        """``clock`` gives seconds since the epoch: the cached token outlives this process."""
        self._stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
        self._identity = identity
        self._key = key
        self._home = home
        self._clock = clock

    def token(self) -> str:
        """Return a token that should be good still, opening a session if there is none."""
        cached = self._home.session()
        if cached and cached.identity == self._identity and cached.expires > self._clock():
            return cached.token
        return self.renew()

    def renew(self) -> str:
        """Open a new session and return its token."""
        challenge = self._stub.Challenge(
            enrolment_pb2.ChallengeRequest(identity_id=self._identity), timeout=CALL_SECONDS
        )
        answer = self._stub.OpenSession(
            enrolment_pb2.OpenSessionRequest(
                identity_id=self._identity,
                nonce=challenge.nonce,
                signature=sign(self._key, SESSION_DOMAIN, challenge.nonce),
            ),
            timeout=CALL_SECONDS,
        )
        lifetime = seconds_from_wire(answer.lifetime)
        expires = self._clock() + max(0.0, lifetime - _MARGIN_SECONDS)
        self._home.save_session(CachedSession(identity=self._identity, token=answer.session_token, expires=expires))
        return answer.session_token
