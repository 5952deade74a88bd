"""Rows 50 to 55 of the threats: somebody outside, against the coordinator; each test is named by its row."""

import pickle
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from rq import Queue
from rq.job import Job

from ar_core.lifecycle import ExperimentState
from ar_core.signing import KEY_BYTES, SESSION_DOMAIN, PrivateKey, sign
from ar_core.tokens import parse_token
from ar_proto.v1 import enrolment_pb2

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def sums(ada: Any, folder: Callable[..., dict[str, bytes]]) -> str:
    return str(ada.opened(folder("sums")).name)


def test_row_50_a_session_cannot_be_guessed_forged_or_replayed(site: Any, ada: Any, eve: Any) -> None:
    for session in (
        "",
        "x",
        ada.session[:-1],
        ada.session + "x",
        ada.session.swapcase(),
        ada.identity,
        "*",
        "ar:session:*",
    ):
        assert site.wire.call("WhoAmI", session=session).code == "AR-I201"

    def open_session(identity: str, nonce: bytes, signature: bytes) -> Any:
        return site.wire.call("OpenSession", identity_id=identity, nonce=nonce, signature=signature)

    def challenge(identity: str) -> bytes:
        return bytes(site.wire.call("Challenge", identity_id=identity).value.nonce)

    nonce = challenge(ada.identity)
    assert open_session(ada.identity, nonce, sign(eve.key, SESSION_DOMAIN, nonce)).code == "AR-I201"
    assert open_session(ada.identity, nonce, sign(ada.key, SESSION_DOMAIN, nonce)).code == "AR-I201", (
        "a nonce is good once"
    )
    theirs = challenge(eve.identity)
    assert open_session(ada.identity, theirs, sign(ada.key, SESSION_DOMAIN, theirs)).code == "AR-I201"
    own = secrets.token_bytes(32)
    assert open_session(ada.identity, own, sign(ada.key, SESSION_DOMAIN, own)).code == "AR-I201"
    other = challenge(ada.identity)
    assert open_session(ada.identity, other, sign(ada.key, "ar-report", other)).code == "AR-I201"
    good = challenge(ada.identity)
    signature = sign(ada.key, SESSION_DOMAIN, good)
    assert open_session(ada.identity, good, signature).ok
    assert open_session(ada.identity, good, signature).code == "AR-I201"


def test_row_50_a_ban_ends_a_session_at_once(site: Any) -> None:
    mallory = site.join("mallory")
    assert mallory.call("WhoAmI").ok
    assert site.operator.call("SetBan", identity=mallory.identity, banned=True, reason="flooding").ok
    assert mallory.call("WhoAmI").code == "AR-I209"
    assert mallory.propose("sums", b"[1]").code == "AR-I209"


def test_row_50_tokens_are_hashed_at_rest_and_good_for_what_they_say(site: Any) -> None:
    token = site.token(enrolment_pb2.ROLE_WORKER)
    secret = parse_token(token).secret

    def join(**fields: Any) -> Any:
        key = PrivateKey(raw=secrets.token_bytes(KEY_BYTES)).public.raw
        return site.wire.call("Join", **{"secret": secret, "public_key": key, **fields})

    assert join(role=enrolment_pb2.ROLE_PUBLISHER).code == "AR-I206"
    assert join(role=enrolment_pb2.ROLE_OPERATOR).code == "AR-I206"
    for name in ("eve\n", "a b", "../x", "-x", "x", "x" * 41, "\u0430da", "eve\x1b[31m", "ada:1"):
        assert join(contributor=name).code == "AR-I210", repr(name)
    for wrong in (secret + "\n", secret.upper(), secret[:-1], "*", "0" * 32):
        assert join(secret=wrong).code in {"AR-I202", "AR-I203"}
    assert join(public_key=b"short").code == "AR-A101"
    assert join().ok
    assert join().code == "AR-I204"
    kept = [path.read_bytes() for path in site.pool.directory.rglob("*") if path.is_file()]
    assert not any(secret.encode() in data for data in kept)


def test_row_51_a_message_too_large_is_refused(eve: Any, sums: str) -> None:
    answer = eve.propose(sums, bytes(3 * MIB))
    assert answer.status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert eve.call("WhoAmI").ok


def test_row_51_one_caller_holds_a_bounded_number_of_streams(ada: Any, eve: Any, sums: str) -> None:
    x = eve.propose(sums, b"[0, 0, 0]\n").value.experiment.id
    eve.verdict(x)
    with ExitStack() as stack:
        for _ in range(100):
            stack.callback(eve.wire.begin("Watch", session=eve.session, problem=sums).cancel)
        answers = [eve.call("Watch", experiment=x) for _ in range(20)]
        assert answers[-1].status is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert answers[-1].code == "AR-A103"
        assert ada.call("Watch", experiment=x).ok


class Poison:
    """What writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self._path,))


def test_row_52_a_poisoned_queue_is_not_executed(site: Any, ada: Any, sums: str, tmp_path: Path) -> None:
    marks = [tmp_path / name for name in ("pickled", "called", "told")]
    for name in ("verify", "referee"):
        queue = Queue(name, connection=site.redis)
        pickled = Job.create("builtins.len", args=["x"], connection=site.redis)
        pickled.save()
        site.redis.hset(f"rq:job:{pickled.id}", "data", pickle.dumps(("len", None, (Poison(marks[0]),), {})))
        site.redis.rpush(queue.key, pickled.id)
        called = Job.create("pathlib.Path.touch", args=[str(marks[1])], connection=site.redis)
        called.save()
        site.redis.hset(
            f"rq:job:{called.id}", "data", b'["pathlib.Path.touch", null, ["%s"], {}]' % str(marks[1]).encode()
        )
        for callback in ("success", "failure", "stopped"):
            site.redis.hset(f"rq:job:{called.id}", f"{callback}_callback_name", "os.mkdir")
        site.redis.rpush(queue.key, called.id, "no-such-job", "")
    # Whoever answers the queues is still there to verify this.
    assert ada.proposed(sums, b"[10, 10]\n").state is ExperimentState.ACCEPTED
    assert not [mark for mark in marks if mark.exists()]
    assert site.redis.llen("rq:queue:verify") == 0


def test_row_52_redis_is_behind_a_socket_of_its_owner(site: Any) -> None:
    assert b"tcp_port:0\r\n" in site.redis.execute_command("INFO server", NEVER_DECODE=True)
    assert (site.pool.directory / "redis" / "redis.sock").stat().st_mode & 0o077 == 0
    assert site.pool.directory.stat().st_mode & 0o077 == 0


def test_row_53_only_what_is_named_can_be_set(eve: Any, sums: str) -> None:
    x = eve.proposed(sums, b"[0, 1, 0]\n", parent="../../" + "0" * 34, note="n")
    assert (x.contributor, x.agent, x.state.value) == ("eve", "hand", "rejected")
    assert x.parent == eve.problem(sums).head
    for wrong in ("", "x-0", "x-000000000000000\n", "../x-0000000000000000", "X-0000000000000000", "i-operator", "*"):
        assert eve.call("GetExperiment", id=wrong).status is grpc.StatusCode.NOT_FOUND, wrong
        assert eve.call("Watch", experiment=wrong or "x").status is grpc.StatusCode.NOT_FOUND, wrong


def test_row_55_who_guesses_is_stopped_and_who_is_known_is_not(site: Any, ada: Any) -> None:
    """The last test of this module: it uses up what this address may do without a session."""
    key = PrivateKey(raw=secrets.token_bytes(KEY_BYTES)).public.raw
    # What may be guessed is counted by the minute, and one may end in between: twice as many, then, and one.
    for _ in range(2 * 120 + 1):
        answer = site.wire.call("Join", secret=secrets.token_hex(16), public_key=key)
        if answer.status is grpc.StatusCode.RESOURCE_EXHAUSTED:
            break
    assert answer.status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert float(answer.retry_after) > 0
    codes: set[grpc.StatusCode] = set()
    for _ in range(13):
        calls = [site.wire.begin("WhoAmI", session=secrets.token_hex(16)) for _ in range(100)]
        codes |= {call.exception().code() for call in calls}
        if grpc.StatusCode.RESOURCE_EXHAUSTED in codes:
            break
    assert codes == {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert ada.call("WhoAmI").ok
    assert len(site.redis.keys("ar:challenge:*")) < 200
