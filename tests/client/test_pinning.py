"""The first connection is safe already: the certificate is compared before anything secret is sent."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ar_client.address import Address
from ar_client.channel import read_certificate
from ar_core.errors import PoolError
from ar_core.tokens import JoinToken

Run = Callable[..., Any]


def wrong(token: str) -> str:
    return token[:5] + ("f" if token[5] != "f" else "e") + token[6:]


def test_the_right_digest_connects(pool: Any, ar_pool: Run, home: Path) -> None:
    ended = ar_pool("login", pool.address, "--token", pool.token, "--json")
    assert ended.code == 0, ended.err
    assert ended.document["fingerprint"] == pool.token[5:69]
    assert [name for name, _ in pool.script.asked] == ["Join"]
    assert pool.script.asked[0][1].secret == pool.secret


def test_the_wrong_digest_is_refused_before_any_call(pool: Any, ar_pool: Run, home: Path) -> None:
    ended = ar_pool("login", pool.address, "--token", wrong(pool.token), "--json")
    assert (ended.code, ended.error["code"]) == (4, "AR-I207")
    assert pool.script.asked == []
    assert not home.exists()


def test_another_certificate_after_login_is_refused(
    signed_in: Any, ar_pool: Run, home: Path, other_certificate: Any
) -> None:
    """As if somebody else answered at the pool's address: here the pin is what changes."""
    other = other_certificate
    file = home / "pool.json"
    key = next((home / "keys").iterdir())
    (home / "keys" / f"{other.digest[:16]}.pem").write_text(key.read_text())
    values = json.loads(file.read_text())
    file.write_text(json.dumps(values | {"digest": other.digest, "certificate": other.pem.decode()}))
    before = len(signed_in.script.asked)
    ended = ar_pool("problems", "--json")
    assert (ended.code, ended.error["code"]) == (4, "AR-I207")
    assert len(signed_in.script.asked) == before


def test_nobody_there(ar_pool: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: the port stays free of others
        token = JoinToken(digest="0" * 64, secret="0" * 32)
        ended = ar_pool("login", f"127.0.0.1:{taken.getsockname()[1]}", "--token", token, "--json")
    assert (ended.code, ended.error["code"]) == (8, "AR-A102")


def test_a_pool_that_went_away(signed_in: Any, ar_pool: Run, home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        file = home / "pool.json"
        gone = f"127.0.0.1:{taken.getsockname()[1]}"
        file.write_text(file.read_text().replace(signed_in.address, gone))
        ended = ar_pool("problems")
    assert ended.code == 8
    assert ended.err.startswith("error: No connection to the pool could be made: ")
    assert "hint: " in ended.err


def test_an_answer_that_is_not_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(PoolError) as caught:
            read_certificate(Address(host="127.0.0.1", port=server.getsockname()[1]))
        thread.join()
    assert caught.value.code == "AR-A102"
    assert "not a pool" in caught.value.message


def test_a_silent_server_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(PoolError) as caught:
            read_certificate(Address(host="127.0.0.1", port=server.getsockname()[1]), seconds=0.1)
    assert caught.value.code == "AR-A102"


@pytest.mark.parametrize("token", ["", "x", "ARJ1-", "ARJ2-" + "0" * 64 + "-" + "0" * 32, "ARJ1-" + "0" * 64])
def test_a_malformed_token(ar_pool: Run, token: str) -> None:
    ended = ar_pool("login", "127.0.0.1:1", "--token", token, "--json")
    assert (ended.code, ended.error["code"]) == (4, "AR-I202")
