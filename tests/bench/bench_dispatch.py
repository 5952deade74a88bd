"""Bench ``dispatch``: lease → report → durable receipt, by simulated machines on a real pool.

Each machine has a TLS connection, a session and a key of its own, reports one experiment (signed) with which its
lease ends, and asks for the next; a cycle is over when it has the receipt and the next lease. Beside it, in the same
rounds: a ceiling (``dispatch_echo``) and RQ, one worker on empty tasks and a server with the pool's configuration.
"""

import argparse
import json
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import redis  # noqa: E402
import rq  # noqa: E402
from conftest import RunningPool  # noqa: E402
from figures import keep, tell  # noqa: E402

from ar_coordinator.data_directory import DataDirectory  # noqa: E402
from ar_coordinator.embedded_redis import EmbeddedRedis  # noqa: E402
from ar_coordinator.store import Store, keys, open_store  # noqa: E402
from ar_core.records import Role, TokenRecord  # noqa: E402
from ar_core.signing import KEY_BYTES, PrivateKey  # noqa: E402

PROBLEM = "small-sum"
MACHINES, ROUNDS, SECONDS, WARM = "64,256", 5, 3.0, 1.0
RQ_TASKS = 300
_FLUSHED_SECONDS = 120.0
_LOADERS = max(1, min(4, (os.cpu_count() or 2) // 2))
"""Processes that the load is spread over."""


@dataclass(slots=True)
class Measured:
    """Cycles a second of each round, and the seconds of all cycles."""

    rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    """Measure, print a table, and add to bench/results.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", default=MACHINES, help="how many at a time; also 1000 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement (default: %(default)s)")
    options = parser.parse_args()
    counts = [int(number) for number in options.machines.split(",")]
    pool: dict[int, Measured] = {n: Measured() for n in counts}
    ceiling: dict[int, Measured] = {n: Measured() for n in counts}
    peer: list[float] = []
    forgetful: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = RunningPool(folder / "data", "--verifiers", "1").start()
        stack.callback(running.stop)
        running.person(folder / "alice", "alice").publish(ROOT / "tests" / "e2e" / "problems" / PROBLEM)
        directory = DataDirectory(running.directory)
        store = open_store(EmbeddedRedis(directory.redis).url, directory.blobs)
        stack.callback(store.connection.close)
        machines = join(store, max(counts))
        orders = {
            "kind": "work", "address": running.grpc, "certificate": (directory.keys / "tls.crt").read_text(),
            "problem": PROBLEM, "warm": WARM, "seconds": options.seconds,
        }  # fmt: skip
        echo = {"kind": "echo", "address": stack.enter_context(echoing(folder / "echo"))}
        for _ in range(options.rounds):
            for n in counts:
                measure({**orders, **echo}, machines[:n], ceiling[n])
                measure(orders, machines[:n], pool[n])
                wait_until_flushed(store)
            peer.append(rq_rate(folder / "rq", durable=True))
            forgetful.append(rq_rate(folder / "rq", durable=False))
    report(pool, ceiling, peer, forgetful)


def join(store: Store, number: int) -> list[dict[str, str]]:
    """Return the keys and sessions of new machines.

    They are written into the pool's records, since it lets one address make 120 calls a minute without a session.
    """
    secret, now = secrets.token_hex(16), datetime.now(UTC)
    token = TokenRecord(
        id="t-bench", role=Role.WORKER, contributor="bench", uses=number, used=0, expires=now + timedelta(hours=1)
    )
    store.identities.add_token(secret, token)
    found = []
    for _ in range(number):
        key = PrivateKey(raw=secrets.token_bytes(KEY_BYTES))
        joined = store.identities.redeem(secret, key.public.raw, wanted_role="", wanted_name="", names=[])
        if joined.answer != "joined":
            raise RuntimeError(joined)
        found.append({"key": key.raw.hex(), "session": store.identities.open_session(joined.detail)})
    return found


@contextmanager
def echoing(folder: Path) -> Iterator[str]:
    """Run the ceiling's server; gives its address."""
    folder.mkdir()
    with part("dispatch_echo.py", str(folder)) as process:
        yield said(process)


def measure(orders: dict[str, Any], machines: list[dict[str, str]], into: Measured) -> None:
    """Let ``machines`` run for a while."""
    with ExitStack() as stack:
        processes = [stack.enter_context(part("dispatch_load.py")) for _ in range(_LOADERS)]
        for number, process in enumerate(processes):
            say(process, json.dumps({**orders, "machines": machines[number::_LOADERS]}))
        for process in processes:
            if said(process) != "connected":
                raise RuntimeError("the load did not connect")
        for process in processes:
            say(process, "go")
        found = [json.loads(said(process)) for process in processes]
    into.rates.append(sum(len(one["cycles"]) / one["seconds"] for one in found))
    for one in found:
        into.seconds += one["cycles"]


@contextmanager
def part(name: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run another file of this folder, until its standard input ends."""
    command = [sys.executable, str(Path(__file__).parent / name), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def say(process: "subprocess.Popen[str]", line: str) -> None:
    if process.stdin is None:
        raise RuntimeError("this process does not listen")
    process.stdin.write(line + "\n")
    process.stdin.flush()


def said(process: "subprocess.Popen[str]") -> str:
    """Return the next line that a part prints; raises when it ended without."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError("a part of the bench ended early")
    return line.strip()


def wait_until_flushed(store: Store) -> None:
    """Wait until the referee has written what was measured into git, so that the next measurement is alone."""
    deadline = time.monotonic() + _FLUSHED_SECONDS
    while store.connection.text.zcard(keys.ledger_tail(PROBLEM)):
        if time.monotonic() > deadline:
            raise RuntimeError("the ledger is not flushed")
        threading.Event().wait(0.2)


def rq_rate(folder: Path, *, durable: bool) -> float:
    """Return the empty tasks a second of one RQ worker; putting them into the queue is not counted.

    ``durable`` is the pool's own setting, where each command is on disk before it is answered.
    """
    folder.mkdir(exist_ok=True)
    embedded = EmbeddedRedis(folder)
    embedded.start()
    try:
        with redis.Redis(unix_socket_path=embedded.socket) as client:
            client.config_set("appendonly", "yes" if durable else "no")
            queue = rq.Queue("bench", connection=client)
            for _ in range(RQ_TASKS):
                queue.enqueue("time.monotonic", result_ttl=60)
            worker = rq.SimpleWorker([queue], connection=client)
            worker.log_job_description = False
            begun = time.perf_counter()
            worker.work(burst=True, logging_level="ERROR")
            return RQ_TASKS / (time.perf_counter() - begun)
    finally:
        embedded.stop()


def report(
    pool: dict[int, Measured], ceiling: dict[int, Measured], peer: list[float], forgetful: list[float]
) -> None:
    """Print the table and write the figures."""
    figures: dict[str, object] = {
        "bench": "dispatch", "cores": os.cpu_count(), "rounds": len(peer), "python": platform.python_version(),
        "rq_durable_per_second": round(statistics.median(peer)), "rq_durable_spread": spread(peer),
        "rq_in_memory_per_second": round(statistics.median(forgetful)), "rq_in_memory_spread": spread(forgetful),
    }  # fmt: skip
    for n, measured in pool.items():
        shares = [a / b for a, b in zip(measured.rates, ceiling[n].rates, strict=True)]
        multiples, of_memory = (
            statistics.median(a / b for a, b in zip(measured.rates, rates, strict=True))
            for rates in (peer, forgetful)
        )
        cuts = statistics.quantiles(measured.seconds, n=100)
        figures |= {
            f"cycles_per_second_{n}": round(statistics.median(measured.rates)),
            f"spread_{n}": spread(measured.rates),
            f"ceiling_per_second_{n}": round(statistics.median(ceiling[n].rates)),
            f"ceiling_spread_{n}": spread(ceiling[n].rates),
            f"share_of_ceiling_{n}": round(statistics.median(shares), 3),
            f"multiple_of_durable_rq_{n}": round(multiples, 1),
            f"multiple_of_rq_in_memory_{n}": round(of_memory, 1),
            f"p50_ms_{n}": round(cuts[49] * 1000, 1),
            f"p99_ms_{n}": round(cuts[98] * 1000, 1),
        }
    tell(f"dispatch: lease, report, durable receipt; medians of {len(peer)}", figures)
    keep("dispatch", figures)


def spread(rates: list[float]) -> list[int]:
    """Return the least and the most."""
    return [round(min(rates)), round(max(rates))]


if __name__ == "__main__":
    main()
