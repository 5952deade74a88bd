"""The coordinator's small parts: seeds, names, addresses, certificate, orders, bundles, rates, sweeps, children."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator import sweeper as sweeper_module
from ar_coordinator.address import Address, parse_address
from ar_coordinator.child_process import Child
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.names import suggestions
from ar_coordinator.opening import check_bundle
from ar_coordinator.seeds import constant_seeds, derive_seed
from ar_coordinator.services import interceptor
from ar_coordinator.services.enrolment import is_name
from ar_coordinator.store import Store, keys, open_store
from ar_coordinator.store import batches as batches_module
from ar_coordinator.sweeper import Sweeper
from ar_coordinator.work_order import (
    PairOrder,
    PairResult,
    PairsOrder,
    PairsResult,
    RegistrationOrder,
    SideResult,
    decode_order,
    decode_result,
    encode,
)  # fmt: skip
from ar_core.errors import PoolError

NOW = datetime(2026, 3, 4, tzinfo=UTC)
KEY = bytes(32)


texts = st.text(max_size=5)
parts = st.tuples(
    st.sampled_from(["run", "scorer"]), texts, st.integers(1, 30), texts, st.integers(0, 30), st.integers(0, 30)
)


@given(parts, parts)
def test_a_seed_depends_on_every_part_and_on_nothing_else(one: tuple, two: tuple) -> None:  # type: ignore[type-arg]
    seed = derive_seed(KEY, *one)
    assert 0 <= seed < 2**63
    assert (seed == derive_seed(KEY, *two)) == (one == two)
    assert seed != derive_seed(b"\x01" * 32, *one)


def test_without_noise_a_revision_has_one_seed_for_each_room() -> None:
    run, scorer = constant_seeds(KEY, "p", 1)
    assert run != scorer
    assert (run, scorer) == constant_seeds(KEY, "p", 1) != constant_seeds(KEY, "p", 2)


@given(
    st.integers(), st.integers(1, 9), st.just("") | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{1,39}", fullmatch=True)
)
def test_suggestions_are_names(seed: int, n: int, near: str) -> None:
    found = suggestions(random.Random(seed), n, near)
    assert len(found) >= n
    assert all(is_name(name) for name in found)


@pytest.mark.parametrize(("text", "host", "port", "local"), [
    ("0.0.0.0:7443", "0.0.0.0", 7443, False), ("127.0.0.1:0", "127.0.0.1", 0, True),
    ("localhost:1", "localhost", 1, True),
    ("[::1]:80", "::1", 80, True), ("[2001:db8::1]:65535", "2001:db8::1", 65535, False),
    (" a-b.example:1\n", "a-b.example", 1, False),
])  # fmt: skip
def test_addresses(text: str, host: str, port: int, *, local: bool) -> None:
    address = parse_address(text)
    assert (address, address.is_local) == (Address(host, port), local)
    assert parse_address(str(address)) == address
    assert address.shown_host not in {"0.0.0.0", "::"}


@pytest.mark.parametrize("text", [
    "", ":", "host", "host:", ":1", "host:65536", "host:-1", "host:1x", "[::1]", "::1:80", "[1.2]:3", "[:::::]:1",
    "ho st:1", "http://a:1", "host:١", "a/b:1",
])  # fmt: skip
def test_no_addresses(text: str) -> None:
    with pytest.raises(PoolError) as caught:
        parse_address(text)
    assert caught.value.code == "AR-A107"


finite = st.floats(allow_nan=False, allow_infinity=False)
safe = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
seeds = st.integers(0, 2**63 - 1)
sides = st.none() | st.builds(
    SideResult, outcome=safe, score=st.none() | finite, secondary=st.dictionaries(safe, finite, max_size=2),
    feedback=safe, seconds=finite,
)  # fmt: skip


@given(st.builds(
    PairsOrder, problem=safe, revision=st.integers(1, 9), experiment=safe, attempt=st.integers(1, 9),
    files=st.dictionaries(safe, safe, max_size=2), candidate=safe, incumbent=safe, deterministic=st.booleans(),
    pairs=st.lists(st.builds(PairOrder, index=st.integers(0, 9), run_seed=seeds, scorer_seed=seeds,
                             hash_seed=st.integers(0, 2**32 - 1), first=st.sampled_from(["candidate", "incumbent"])),
                   max_size=2),
) | st.builds(
    RegistrationOrder, problem=safe, revision=st.integers(1, 9), files=st.dictionaries(safe, safe, max_size=2),
    runs=st.integers(1, 9), seeds=st.lists(st.tuples(seeds, seeds), max_size=2),
))  # fmt: skip
def test_an_order_comes_back_from_json(order: PairsOrder | RegistrationOrder) -> None:
    assert decode_order(encode(order)) == order


@given(st.builds(
    PairsResult, verifier=safe, seconds=finite, trouble=safe,
    pairs=st.lists(st.builds(PairResult, index=st.integers(0, 9), candidate=sides, incumbent=sides), max_size=3),
))  # fmt: skip
def test_a_result_comes_back_from_json(result: PairsResult) -> None:
    assert decode_result(encode(result)) == result


MANIFEST = b"""
name = "p-1"
title = "P"
files = { program = "program.md", mutable = "a.json" }
metric = { name = "m", direction = "max" }
evaluation = { kind = "data", score = ["./s"], time_budget = "1s" }
"""
FOLDER = {"problem.toml": MANIFEST, "program.md": b"", "a.json": b"[]"}


def test_a_folder_is_a_problem() -> None:
    assert check_bundle(FOLDER).name == "p-1"


@pytest.mark.parametrize(("folder", "code", "named"), [
    ({}, "AR-P302", "problem.toml"),
    ({"problem.toml": b"name = "}, "AR-P301", "problem.toml"),
    ({"problem.toml": b""}, "AR-P301", r"name: is missing \(and \d+ more\)"),
    ({"problem.toml": MANIFEST.replace(b'"p-1"', b'"P"')}, "AR-P301", "^[^(]*name: [^(]*$|name"),
    ({k: v for k, v in FOLDER.items() if k != "a.json"}, "AR-P301", "files.mutable"),
    ({**FOLDER, "../x": b""}, "AR-P301", r"\.\./x"),
    ({**FOLDER, "a.json/b": b""}, "AR-P301", "a.json/b"),
])  # fmt: skip
def test_a_folder_that_is_none(folder: dict[str, bytes], code: str, named: str) -> None:
    with pytest.raises(PoolError, match=named) as caught:
        check_bundle(folder)
    assert caught.value.code == code
    assert caught.value.hint


def test_calls_are_counted_by_caller_and_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=90.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(interceptor, "time", clock)
    rates = interceptor.Rates()
    for _ in range(3):
        rates.check("ada", 3)
    with pytest.raises(PoolError) as caught:
        rates.check("ada", 3)
    assert caught.value.code == "AR-A103"
    assert caught.value.retry_after == 30.0
    rates.check("bob", 3)
    clock.now = 120.0
    rates.check("ada", 3)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    server = EmbeddedRedis(tmp_path)
    try:
        server.start()
        store = open_store(server.url, tmp_path / "blobs")
        yield store
        store.connection.close()
    finally:
        server.stop()


def test_a_sweep_rings_for_what_waits_too_long_with_its_own_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=10_000_000)
    for module in (sweeper_module, batches_module):
        monkeypatch.setattr(module, "now_ms", lambda: clock.now)
    bell = Doorbell(store.connection)
    sweeper = Sweeper(store, bell)
    store.batches.create("b-1", "spec", 7200)
    sweeper.sweep()
    assert (bell.waiting_for_verifiers(), bell.waiting_for_referee()) == (0, 0)
    clock.now += batches_module.RING_MS
    sweeper.sweep()
    sweeper.sweep()
    assert bell.waiting_for_verifiers() == 1, "rung once, then given time"
    job = store.connection.raw.lrange("rq:queue:verify", 0, 0)[0].decode()
    assert int(store.connection.raw.hget(f"rq:job:{job}", "timeout")) == 7200
    store.connection.text.zadd(keys.VERIFYING, {"x-1": clock.now})
    store.connection.text.sadd(keys.REGISTRY_DIRTY, "identity:i-1")
    clock.now += 60_000
    sweeper.sweep()
    assert bell.waiting_for_referee() == 1, "one bell suffices: whoever comes looks around"


def test_a_child_is_started_again_and_ends_when_it_is_told(tmp_path: Path) -> None:
    # Every start is a line in a pipe, so that nothing has to be waited for by the clock.
    pipe = tmp_path / "starts"
    os.mkfifo(pipe)
    code = f"import os, signal; open({str(pipe)!r}, 'w').write(f'{{os.getpid()}}\\n'); signal.pause()"

    async def run() -> tuple[list[int], int | None]:
        loop = asyncio.get_running_loop()
        with os.fdopen(os.open(pipe, os.O_RDWR)) as starts:
            child = Child("test", [sys.executable, "-c", code])
            child.start()
            first = int(await loop.run_in_executor(None, starts.readline))
            assert child.pid == first
            os.kill(first, signal.SIGKILL)
            second = int(await loop.run_in_executor(None, starts.readline))
            await child.stop()
        return [first, second], child.pid

    pids, left = asyncio.run(asyncio.wait_for(run(), 60))
    assert pids[0] != pids[1]
    assert left is None
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
