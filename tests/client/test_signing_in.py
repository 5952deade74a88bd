from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from ar_core.records import Role
from ar_proto.v1 import enrolment_pb2

Run = Callable[..., Any]


def names(pool: Any) -> list[str]:
    return [name for name, _ in pool.script.asked]


def test_login_tells_who_one_is(pool: Any, ar_pool: Run) -> None:
    ended = ar_pool("login", pool.address, "--token", pool.token, "--name", "ada", "--json")
    assert ended.code == 0
    assert ended.document == {
        "schema": "ar.identity/1", "pool": "test pool", "address": pool.address, "fingerprint": pool.token[5:69],
        "web": "http://127.0.0.1:1", "id": "i-0123456789abcdef", "role": "publisher", "contributor": "ada",
        "machine": "m-abcdef",
    }  # fmt: skip
    assert "ada" in ar_pool("login", pool.address, "--token", pool.token).out


def test_login_again_shows_the_same_key(pool: Any, ar_pool: Run) -> None:
    for _ in range(2):
        assert ar_pool("login", pool.address, "--token", pool.token).code == 0
    first, second = pool.script.requests("Join")
    assert first == second
    assert len(first.public_key) == 32


def test_a_failed_join_keeps_the_key_for_the_next_try(pool: Any, ar_pool: Run, home: Path) -> None:
    """The pool may have spent the token on it, and its answer got lost."""
    pool.script.failures["Join"] = [pool.failing(grpc.StatusCode.INTERNAL)]
    assert ar_pool("login", pool.address, "--token", pool.token).code == 1
    assert not (home / "pool.json").exists()
    assert ar_pool("login", pool.address, "--token", pool.token).code == 0
    first, second = pool.script.requests("Join")
    assert first.public_key == second.public_key


def test_the_role_asked_for(pool: Any, ar_pool: Run) -> None:
    ar_pool("login", pool.address, "--token", pool.token)
    ar_pool("login", pool.address, "--token", pool.token, "--contributor")
    roles = [request.role for request in pool.script.requests("Join")]
    assert roles == [enrolment_pb2.ROLE_PUBLISHER, enrolment_pb2.ROLE_WORKER]


def test_whoami_asks_the_pool(signed_in: Any, ar_pool: Run) -> None:
    signed_in.script.role = Role.OPERATOR
    assert ar_pool("whoami", "--json").document["role"] == "operator"


def test_one_session_serves_many_commands(signed_in: Any, ar_pool: Run) -> None:
    for _ in range(3):
        assert ar_pool("problems").code == 0
    assert names(signed_in).count("OpenSession") == 1


def test_a_session_that_the_pool_forgot_is_opened_again_once(signed_in: Any, ar_pool: Run) -> None:
    assert ar_pool("problems").code == 0
    signed_in.script.sessions = 40  # restarted: no old token is good any more
    assert ar_pool("problems").code == 0
    assert names(signed_in)[-4:] == ["ListProblems", "Challenge", "OpenSession", "ListProblems"]


def test_an_unknown_identity_does_not_try_for_ever(signed_in: Any, ar_pool: Run) -> None:
    signed_in.script.public_key = b"\x01" * 32
    ended = ar_pool("problems", "--json")
    assert (ended.code, ended.error["code"]) == (4, "AR-I201")
    assert names(signed_in).count("OpenSession") == 1


def test_a_ban_is_not_answered_with_a_new_session(signed_in: Any, ar_pool: Run) -> None:
    signed_in.script.failures["ListProblems"] = [
        signed_in.failing(grpc.StatusCode.PERMISSION_DENIED, "AR-I209", "for spam")
    ]
    ended = ar_pool("problems", "--json")
    assert (ended.code, ended.error["code"]) == (5, "AR-I209")
    assert "for spam" in ended.error["message"]
    assert names(signed_in).count("OpenSession") == 1


def test_a_lost_key_says_what_to_do(signed_in: Any, ar_pool: Run, home: Path) -> None:
    next((home / "keys").iterdir()).unlink()
    ended = ar_pool("problems", "--json")
    assert (ended.code, ended.error["code"]) == (2, "AR-A106")
