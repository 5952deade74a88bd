"""Bench ``verify``: from a proposal to its verdict, beside the bare evaluations that it takes.

One pool on this machine with one verifier, the problem ``zlib-dictionary``: every verdict needs four evaluations
(candidate and incumbent twice). The ceiling is the same four in this process, without pool, Redis, git or gRPC.
"""

import platform
import secrets
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from conftest import RunningPool  # noqa: E402
from figures import keep, tell  # noqa: E402

from ar_client.identity import Home  # noqa: E402
from ar_client.pool import Pool, open_pool  # noqa: E402
from ar_client.records import Proposal  # noqa: E402
from ar_core.candidate import sha256  # noqa: E402
from ar_core.lifecycle import SETTLED  # noqa: E402
from ar_core.manifest import read_manifest  # noqa: E402
from ar_sandbox.registration import load_folder  # noqa: E402
from ar_sandbox.rooms import PreparedProblem, RunSeeds, Sandbox  # noqa: E402

PROBLEM = "zlib-dictionary"
SEQUENTIAL, BURST, ROUNDS = 40, 60, 5
EVALUATIONS = 4


def main() -> None:
    """Measure, print a table, and add to bench/results.json."""
    bare: list[float] = []
    alone: list[float] = []
    rates: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pool = RunningPool(folder / "data", "--verifiers", "1").start()
        stack.callback(pool.stop)
        alice = pool.person(folder / "alice", "alice")
        alice.publish(ROOT / "problems" / PROBLEM)
        client = stack.enter_context(open_pool(Home(alice.home)))
        for _ in range(ROUNDS):
            bare += bare_evaluations(SEQUENTIAL // ROUNDS)
            alone += [verdict_seconds(client) for _ in range(SEQUENTIAL // ROUNDS)]
            rates.append(burst(client, BURST // ROUNDS))
    report(bare, alone, rates)


def bare_evaluations(n: int) -> list[float]:
    """Return the seconds of four evaluations, ``n`` times."""
    files = load_folder(ROOT / "problems" / PROBLEM)
    problem = read_manifest(files["problem.toml"])
    incumbent = files[problem.files.mutable]
    found = []
    with Sandbox.detect().open(PreparedProblem.of(problem, files)) as stage:
        for _ in range(n):
            begun = time.perf_counter()
            for content, _ in zip(cycle([candidate(), incumbent]), range(EVALUATIONS), strict=False):
                stage.evaluate(content, RunSeeds(run=1, scorer=1), hash_seed=1)
            found.append(time.perf_counter() - begun)
    return found


def candidate() -> bytes:
    """Return a dictionary that nobody proposed before."""
    return f"nothing of use {secrets.token_hex(16)}\n".encode()


def verdict_seconds(client: Pool) -> float:
    """Propose one file and wait for its verdict; seconds."""
    begun = time.perf_counter()
    x = propose(client)
    for _ in client.watch(experiment=x):
        pass
    return time.perf_counter() - begun


def burst(client: Pool, n: int) -> float:
    """Propose ``n`` files at once and wait for all verdicts; verdicts a second."""
    begun = time.perf_counter()
    ids = [propose(client) for _ in range(n)]
    for x in ids:
        for _ in client.watch(experiment=x):
            pass
    seconds = time.perf_counter() - begun
    unsettled = [x for x in ids if client.experiment(x).state not in SETTLED]
    if unsettled:
        raise RuntimeError(f"without a verdict: {unsettled}")
    return n / seconds


def propose(client: Pool) -> str:
    content = candidate()
    proposal = Proposal(
        problem=PROBLEM, content=content, sha256=sha256(content), size=len(content), note="bench", claimed=None,
        idempotency_key=secrets.token_hex(16),
    )  # fmt: skip
    return client.propose(proposal).id


def report(bare: list[float], alone: list[float], rates: list[float]) -> None:
    """Print the table and write the figures."""
    ceiling = statistics.median(bare)
    p50, p99 = statistics.median(alone), statistics.quantiles(alone, n=100)[98]
    rate = statistics.median(rates)
    figures = {
        "bench": "verify",
        "evaluations_ms": round(ceiling * 1000, 1),
        "verdict_p50_ms": round(p50 * 1000, 1),
        "verdict_p99_ms": round(p99 * 1000, 1),
        "beyond_evaluations_p50_ms": round((p50 - ceiling) * 1000, 1),
        "verdict_over_evaluations": round(p50 / ceiling, 2),
        "verdicts_per_second": round(rate, 2),
        "share_of_bare_rate": round(rate * ceiling, 2),
        "spread_of_rates": [round(min(rates), 2), round(max(rates), 2)],
        "python": platform.python_version(),
    }
    tell("verify: from a proposal to its verdict (zlib-dictionary, 1 verifier, 4 evaluations each)", figures)
    keep("verify", figures)


if __name__ == "__main__":
    main()
