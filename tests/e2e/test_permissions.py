"""Who may call what, over the wire: every method with every kind of session, and sessions that are none."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.services.permissions import ANYBODY, PERMISSIONS
from ar_coordinator.store import keys, open_store
from ar_core.candidate import sha256
from ar_core.records import Role
from ar_core.signing import REPORT_DOMAIN, SESSION_DOMAIN, sign

OK, NOBODY, NOT_ALLOWED = (
    grpc.StatusCode.OK,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)
BY_NAME = {method.rpartition("/")[2]: method for method in PERMISSIONS}
LAST = BY_NAME["Leave"]


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool("--verifiers", "0")


@pytest.fixture(scope="module")
def wire(pool: Any, open_wire: Callable[..., Any]) -> Any:
    return open_wire(pool)


@pytest.fixture(scope="module")
def new_member(pool: Any, wire: Any, operator_session: Callable[..., str]) -> Callable[..., Any]:
    """Make somebody of a role, as the operator's commands and a machine do it together."""

    def make(role: Role, **fields: Any) -> Any:
        number = list(Role).index(role) + 1
        answer = wire.call("CreateToken", session=operator_session(pool), role=number)
        assert answer.status is OK, answer
        return wire.join(answer.value.token, **fields)

    return make


def test_the_table_is_complete(methods: dict[str, MethodDescriptor]) -> None:
    served = {method for method in PERMISSIONS if not method.startswith("/grpc.")}
    assert served == set(methods)


def test_the_table_says_what_the_roles_are_for() -> None:
    may = {role: {name for name, method in BY_NAME.items() if role in PERMISSIONS[method]} for role in Role}
    assert {"Work", "Propose"} <= may[Role.WORKER]
    assert not {"Publish", "SetState"} & may[Role.WORKER]
    assert {"Publish", "SetState", "Propose"} <= may[Role.PUBLISHER]
    assert not {"Work", "FetchBlob"} & may[Role.PUBLISHER]
    assert not {"Publish", "SetState", "Propose", "Work"} & may[Role.VERIFIER]
    administration = {name for name, method in BY_NAME.items() if "Administration" in method}
    assert len(administration) >= 8
    for role in Role:
        assert may[role] & administration == (administration if role is Role.OPERATOR else set())


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: str(role or "nobody"))
def test_every_method(
    wire: Any, new_member: Callable[..., Any], methods: dict[str, MethodDescriptor], role: Role | None
) -> None:
    session = wire.session(new_member(role)) if role else ""
    got, expected = {}, {}
    # Leaving comes last: the session is worth nothing after it.
    for method in sorted(methods, key=lambda name: (name == LAST, name)):
        answer = wire.call(method, session=session, seconds=5 if not methods[method].server_streaming else 0.5)
        if "WorkService" in method and answer.status is grpc.StatusCode.UNIMPLEMENTED:
            continue  # a pool that gives out no work yet serves it to nobody
        allowed = PERMISSIONS[method]
        if role is None:
            refused = None if allowed is ANYBODY else (NOBODY, "AR-I201")
        else:
            refused = None if allowed is ANYBODY or role in allowed else (NOT_ALLOWED, "AR-I206")
        expected[method] = refused
        came = (answer.status, answer.code)
        # Joining and opening a session without anything to show are refused by the method itself.
        itself = allowed is ANYBODY and method != BY_NAME["Challenge"]
        got[method] = came if answer.status in {NOBODY, NOT_ALLOWED} and not itself else None
        assert answer.status not in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}, (method, answer)
    assert got == expected
    assert len(got) >= len(methods) - 2


@pytest.mark.parametrize("session", ["nonsense", "x" * 4000, "a" * 43])
def test_a_session_that_the_pool_did_not_give(wire: Any, session: str) -> None:
    answer = wire.call("WhoAmI", session=session)
    assert (answer.status, answer.code) == (NOBODY, "AR-I201")


def test_a_session_ends(pool: Any, wire: Any, new_member: Callable[..., Any], until: Callable[..., Any]) -> None:
    session = wire.session(new_member(Role.WORKER))
    assert wire.call("WhoAmI", session=session).status is OK
    directory = DataDirectory(pool.directory)
    store = open_store(EmbeddedRedis(directory.redis).url, directory.blobs)
    name = keys.session(sha256(session.encode()))
    assert 0 < store.connection.text.ttl(name) <= 3600
    assert not any(session in key for key in store.connection.text.scan_iter())
    store.connection.text.pexpire(name, 1)
    until(lambda: not store.connection.text.exists(name))
    store.connection.close()
    answer = wire.call("WhoAmI", session=session)
    assert (answer.status, answer.code) == (NOBODY, "AR-I201")


def test_a_session_is_one_identitys(wire: Any, new_member: Callable[..., Any]) -> None:
    ada, bob = new_member(Role.PUBLISHER), new_member(Role.WORKER)
    sessions = {member.identity: wire.session(member) for member in (ada, bob)}
    for identity, session in sessions.items():
        answer = wire.call("WhoAmI", session=session)
        assert answer.value.identity.id == identity


def test_a_challenge_is_good_once(wire: Any, new_member: Callable[..., Any]) -> None:
    ada = new_member(Role.PUBLISHER)
    nonce = wire.call("Challenge", identity_id=ada.identity).value.nonce
    assert len(nonce) == 32
    signature = sign(ada.key, SESSION_DOMAIN, nonce)
    assert wire.open_session(ada, nonce, signature).status is OK
    again = wire.open_session(ada, nonce, signature)
    assert (again.status, again.code) == (NOBODY, "AR-I201")


def test_a_signature_that_is_not_the_identitys(wire: Any, new_member: Callable[..., Any]) -> None:
    ada, eve = new_member(Role.PUBLISHER), new_member(Role.WORKER)

    def challenge(identity: str) -> bytes:
        return bytes(wire.call("Challenge", identity_id=identity).value.nonce)

    def refused(member: Any, nonce: bytes, signature: bytes) -> bool:
        answer = wire.open_session(member, nonce, signature)
        return (answer.status, answer.code, answer.value) == (NOBODY, "AR-I201", None)

    nonce = challenge(ada.identity)
    assert refused(ada, nonce, sign(eve.key, SESSION_DOMAIN, nonce))
    nonce = challenge(ada.identity)
    assert refused(ada, nonce, sign(ada.key, REPORT_DOMAIN, nonce))
    for forged in (b"", b"\0" * 64, b"x" * 10_000):
        assert refused(ada, challenge(ada.identity), forged)
    # A challenge is for the identity that asked for it, whoever signs it.
    nonce = challenge(eve.identity)
    assert refused(ada, nonce, sign(ada.key, SESSION_DOMAIN, nonce))
    # A nonce of the caller's own is none.
    assert refused(ada, b"n" * 32, sign(ada.key, SESSION_DOMAIN, b"n" * 32))
    assert refused(ada, b"", sign(ada.key, SESSION_DOMAIN, b""))
    # Nobody can find out who there is.
    assert len(challenge("i-0000000000000000")) == 32
    assert wire.session(ada)


def test_a_ban_ends_a_session_at_once(
    pool: Any, wire: Any, new_member: Callable[..., Any], operator_session: Callable[..., str]
) -> None:
    eve = new_member(Role.WORKER)
    session, operator = wire.session(eve), operator_session(pool)
    assert wire.call("SetBan", session=operator, identity=eve.identity, banned=True, reason="x").status is OK
    answer = wire.call("WhoAmI", session=session)
    assert (answer.status, answer.code) == (NOT_ALLOWED, "AR-I209")
    nonce = wire.call("Challenge", identity_id=eve.identity).value.nonce
    answer = wire.open_session(eve, nonce, sign(eve.key, SESSION_DOMAIN, nonce))
    assert (answer.status, answer.code) == (NOT_ALLOWED, "AR-I209")


def test_leaving_ends_a_session_and_keeps_the_name(wire: Any, new_member: Callable[..., Any]) -> None:
    leaver = new_member(Role.WORKER, contributor="leaver")
    session = wire.session(leaver)
    assert wire.call("Leave", session=session).value.contributor == "leaver"
    assert wire.call("WhoAmI", session=session).status is NOBODY
    with pytest.raises(AssertionError, match="AR-I208"):
        new_member(Role.WORKER, contributor="leaver")
    assert new_member(Role.WORKER, contributor="leaver", key=leaver.key).contributor == "leaver"


def test_a_token_becomes_one_identity_for_one_key(
    pool: Any, wire: Any, operator_session: Callable[..., str], new_member: Callable[..., Any]
) -> None:
    token = wire.call("CreateToken", session=operator_session(pool), role=1, uses=2).value.token
    first = wire.join(token)
    assert wire.join(token, first.key).identity == first.identity
    second = wire.join(token)
    assert second.identity != first.identity
    assert second.contributor != first.contributor
    listed = wire.call("ListTokens", session=operator_session(pool)).value.tokens
    assert next(t.used for t in listed if t.uses == 2) == 2


@pytest.mark.parametrize("key", [b"", b"short", b"k" * 33])
def test_a_key_that_is_none(pool: Any, wire: Any, operator_session: Callable[..., str], key: bytes) -> None:
    token = wire.call("CreateToken", session=operator_session(pool)).value.token
    secret = token.rpartition("-")[2]
    answer = wire.call("Join", secret=secret, public_key=key)
    assert (answer.status, answer.code) == (grpc.StatusCode.INVALID_ARGUMENT, "AR-A101")


@pytest.mark.parametrize(("method", "field"), [("Propose", "content"), ("Join", "public_key"), ("Publish", "data")])
def test_a_message_that_is_too_large(wire: Any, new_member: Callable[..., Any], method: str, field: str) -> None:
    session = wire.session(new_member(Role.PUBLISHER))
    answer = wire.call(method, session=session, **{field: b"x" * (3 << 20)})
    assert answer.status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert wire.call("WhoAmI", session=session).status is OK


def test_asking_too_often_without_a_session(start_pool: Callable[..., Any], open_wire: Callable[..., Any]) -> None:
    wire = open_wire(start_pool("--verifiers", "0"))
    for _ in range(300):
        answer = wire.call("Challenge", identity_id="i-0000000000000000")
        if answer.status is not OK:
            break
    assert (answer.status, answer.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "AR-A103")
    assert 0 < float(answer.retry_after) <= 60
