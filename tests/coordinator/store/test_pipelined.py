"""Many calls on one connection: their order, servers that forget or go away, and what cannot be a reply."""

import asyncio
import itertools
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.store import Store
from ar_coordinator.store.connection import connect
from ar_coordinator.store.line import connect as connect_line
from ar_coordinator.store.pipelined import Call, Pipelined, run_call
from ar_coordinator.store.resp import Replies, command

_SECONDS = 60


def push(value: object) -> Call[Any]:
    return Call("redis.call('RPUSH', 'pushed', ARGV[1]) return ARGV[1]", (value,), str)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, _SECONDS))


def test_calls_run_in_their_order(store: Store) -> None:
    async def many() -> list[str]:
        pipelined = Pipelined(store.connection.text)
        found = await asyncio.gather(*(pipelined.submit(push(n)) for n in range(500)))
        pipelined.close()
        return found

    expected = [str(n) for n in range(500)]
    assert run(many()) == expected
    assert store.connection.text.lrange("pushed", 0, -1) == expected


def test_a_script_that_the_server_forgot_is_sent_again(store: Store) -> None:
    async def forgetful() -> list[str]:
        pipelined = Pipelined(store.connection.text)
        found = [await pipelined.run(push("a"))]
        store.connection.text.script_flush()
        found += await asyncio.gather(*(pipelined.run(push(name)) for name in "bc"))
        pipelined.close()
        return found

    assert run(forgetful()) == ["a", "b", "c"]
    assert sorted(store.connection.text.lrange("pushed", 0, -1)) == ["a", "b", "c"]
    store.connection.text.script_flush()
    assert run_call(store.connection.text, push("d")) == "d"


def test_what_fails_fails_alone(store: Store) -> None:
    async def mixed() -> list[Any]:
        pipelined = Pipelined(store.connection.text)
        calls: list[Call[Any]] = [
            push("a"), Call("return redis.call('LPOP')", (), str), Call("return 7", (), lambda reply: reply / 0),
            push("é" * 10_000), Call("return {1, false, {'x', {}}}", (), list),
        ]  # fmt: skip
        found = await asyncio.gather(*(pipelined.run(call) for call in calls), return_exceptions=True)
        pipelined.close()
        return found

    a, wrong, unreadable, long, nested = run(mixed())
    assert (a, long, nested) == ("a", "é" * 10_000, [1, None, ["x", []]])
    assert isinstance(wrong, redis.ResponseError)
    assert isinstance(unreadable, ZeroDivisionError)


def test_what_cannot_be_sent_fails_alone(store: Store) -> None:
    """Not only that: the replies after it must not come to those who asked before."""

    async def mixed() -> list[Any]:
        pipelined = Pipelined(store.connection.text)
        # Before there is a connection, and on one.
        found = []
        for _ in range(2):
            calls = [push("a"), push("\ud800"), push("b"), Call("return '\ud800'", (), str), push("c")]
            found += await asyncio.gather(*(pipelined.run(call) for call in calls), return_exceptions=True)
        pipelined.close()
        return found

    found = run(mixed())
    for a, odd, b, odd_script, c in (found[:5], found[5:]):
        assert (a, b, c) == ("a", "b", "c")
        assert isinstance(odd, UnicodeEncodeError)
        assert isinstance(odd_script, UnicodeEncodeError)


def test_a_line_answers_whom_it_was_asked_by(store: Store) -> None:
    async def asked() -> list[Any]:
        line = await connect_line(store.connection.text.connection_pool)
        with pytest.raises(UnicodeEncodeError):
            await line.ask("ECHO", "\ud800")
        found = await asyncio.gather(line.ask("ECHO", "one"), line.ask("ECHO", "two"))
        line.close()
        # Nor does anybody wait for an answer from a line that has ended.
        with pytest.raises(redis.ConnectionError):
            await line.ask("ECHO", "three")
        return found

    assert run(asked()) == ["one", "two"]


def test_whatever_keeps_it_from_connecting_nobody_waits_for_ever() -> None:
    """Settings that make no sense stand for what nobody thought of."""
    pool: Any = redis.ConnectionPool(connection_class=redis.UnixDomainSocketConnection, path=1.5)

    async def odd() -> list[Any]:
        pipelined = Pipelined(redis.Redis(connection_pool=pool))
        calls = [pipelined.run(push(n)) for n in range(2)]
        return await asyncio.gather(*calls, return_exceptions=True)

    assert [type(one) for one in run(odd())] == [TypeError, TypeError]


def test_nobody_waits_for_a_connection_that_was_given_up(tmp_path: Path) -> None:
    connection = connect(f"unix://{tmp_path}/nobody.sock")

    async def given_up() -> Any:
        pipelined = Pipelined(connection.text)
        waiting = pipelined.submit(push(1))
        await asyncio.sleep(0)
        assert pipelined._connecting is not None
        pipelined._connecting.cancel()
        return await asyncio.gather(waiting, return_exceptions=True)

    (answer,) = run(given_up())
    assert isinstance(answer, redis.ConnectionError)
    connection.close()


def test_a_server_that_is_started_again(tmp_path: Path) -> None:
    """What was under way when it ended fails; whatever is asked from then on waits for it."""
    server = EmbeddedRedis(tmp_path)
    server.start()
    connection = connect(server.url)

    async def through_a_restart() -> str:
        pipelined = Pipelined(connection.text)
        await pipelined.run(push("before"))
        sleeping = pipelined.submit(Call("while true do end", (), str))
        process = server._process
        assert process is not None
        process.kill()
        with pytest.raises(redis.ConnectionError):
            await sleeping
        waiting = pipelined.submit(push("after"))
        await asyncio.to_thread(process.wait)
        server.launch()
        await asyncio.to_thread(server.wait_until_ready)
        answer = await waiting
        pipelined.close()
        return answer

    try:
        assert run(through_a_restart()) == "after"
        assert connection.text.lrange("pushed", 0, -1) == ["before", "after"]
    finally:
        connection.close()
        server.stop()


def test_without_a_server_calls_fail_in_the_end(tmp_path: Path) -> None:
    connection = connect(f"unix://{tmp_path}/nobody.sock")

    async def nobody() -> None:
        pipelined = Pipelined(connection.text)
        await asyncio.gather(pipelined.run(push(1)), pipelined.run(push(2)))

    with pytest.raises(redis.ConnectionError):
        run(nobody())
    connection.close()


def test_signing_in_with_a_password_and_another_database(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    server.start()
    connection = connect(server.url)
    try:
        connection.text.config_set("requirepass", "a secret")
        named = connect(server.url.replace("unix://", "unix://:a%20secret@"))

        async def signed_in(client: Any) -> str:
            pipelined = Pipelined(client)
            answer = await pipelined.run(push("inside"))
            pipelined.close()
            return answer

        assert run(signed_in(named.text)) == "inside"
        unnamed = connect(server.url)
        with pytest.raises(redis.AuthenticationError):
            run(signed_in(unnamed.text))
        unnamed.close()
        named.close()
    finally:
        connection.close()
        server.stop()


_replies = st.recursive(
    st.none() | st.integers(-(2**62), 2**62) | st.text(max_size=30), lambda inner: st.lists(inner, max_size=5)
)


def written(reply: Any) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, str):
        return b"$%d\r\n%s\r\n" % (len(reply.encode()), reply.encode())
    return b"*%d\r\n" % len(reply) + b"".join(map(written, reply))


@given(expected=st.lists(_replies, max_size=5), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_replies_are_read_however_they_are_cut(expected: list[Any], cuts: list[int]) -> None:
    data, replies = b"".join(map(written, expected)), Replies()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = [reply for a, b in itertools.pairwise(places) for reply in replies.feed(data[a:b])]
    assert found == expected


def test_what_is_no_reply() -> None:
    with pytest.raises(redis.ResponseError):
        Replies().feed(b"HTTP/1.1 400 Bad Request\r\n")
    assert command(["SET", "é", 1, b"\r\n"]) == b"*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$1\r\n1\r\n$2\r\n\r\n\r\n"
