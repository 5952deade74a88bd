"""Promise 3: nothing acknowledged is lost, whoever is killed with -9 while proposals are being verified."""

import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ar_client.identity import Home
from ar_client.pool import Pool, open_pool
from ar_client.records import Proposal
from ar_core.candidate import sha256
from ar_core.errors import PoolError

_DEADLINE = 90
PROBLEM = "zlib-dictionary"
NOISY = "noisy-sum"


@pytest.fixture(scope="module")
def pool(
    start_pool: Callable[..., Any], problems: Path, make_problem: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:  # fmt: skip
    running = start_pool("--verifiers", "1")
    running.alice = running.person(tmp_path_factory.mktemp("alice"), "alice")
    running.alice.publish(problems / PROBLEM)
    running.alice.publish(make_problem(NOISY, NOISY, window="[0.0, 14.0]", max_pairs="60"))
    return running


def connect(running: Any) -> Pool:
    return open_pool(Home(running.alice.home))


def propose(running: Any, problem: str, contents: list[bytes]) -> list[str]:
    """Propose several files at once; returns what the pool acknowledged."""
    with connect(running) as client:
        return [
            client.propose(
                Proposal(
                    problem=problem, content=content, sha256=sha256(content), size=len(content), note=f"try {n}",
                    claimed=None, idempotency_key=secrets.token_hex(16),
                )
            ).id
            for n, content in enumerate(contents)
        ]  # fmt: skip


def states(running: Any, ids: list[str]) -> list[str]:
    """Read how far each proposal is; nothing where the pool does not answer."""
    found = {x["id"]: x["status"] for problem in (PROBLEM, NOISY) for x in running.alice.log(problem)}
    return [found[i] for i in ids] if found else []


def settled(running: Any, ids: list[str]) -> bool:
    found = states(running, ids)
    return bool(found) and not {"queued", "verifying"} & set(found)


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what ``condition`` gives once it is true; a pool that restarts is asked again."""
    deadline = time.monotonic() + _DEADLINE
    pause = threading.Event()
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = condition()
        except PoolError as error:
            last = error
        else:
            if last:
                return last
        pause.wait(0.05)
    raise AssertionError(f"it did not happen in {_DEADLINE} s; last: {last!r}")


def child(running: Any, word: str) -> psutil.Process:
    """Return the child of ``serve`` whose program or command line has ``word``."""

    def find() -> psutil.Process | None:
        for process in psutil.Process(running.pid).children():
            if word in " ".join([process.name(), *process.cmdline(), process.cwd()]):
                return process
        return None

    found: psutil.Process = wait_for(find)
    return found


def kill_serve(running: Any) -> None:
    running.kill()
    running.start()


def kill_verifier(running: Any) -> None:
    child(running, " verify ").kill()


def kill_referee(running: Any) -> None:
    child(running, " referee ").kill()


def kill_redis(running: Any) -> None:
    child(running, f"{running.directory}/redis").kill()


def kill_all(running: Any) -> None:
    """Everything at once, as when the machine loses power."""
    processes = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    for process in processes:
        if process.is_running():
            process.kill()
    running.start()


def dictionaries(candidates: Path, n: int) -> list[bytes]:
    """Different dictionaries, longer and so better each time, with rubbish between."""
    best = (candidates / PROBLEM / "better.txt").read_bytes()
    salt = secrets.token_hex(4).encode()
    found = []
    for i in range(n):
        length = 200 + (len(best) - 300) * i // n
        found.append((salt if i % 3 == 2 else b"") + best[-length:].decode(errors="ignore").encode())
    return found


def check_agreement(running: Any, tmp_path: Path, problem: str, ids: list[str]) -> None:
    """Git, the log and the standings tell the same story, and no acknowledged proposal is missing from it."""
    with connect(running) as client:
        card = client.problem(problem)
    experiments = running.alice.log(problem)
    accepted = [x for x in experiments if x["status"] == "accepted"]
    clone = tmp_path / problem
    subprocess.run(["git", "clone", "-q", f"{running.web}/git/{problem}.git", str(clone)], check=True, timeout=60)
    log = subprocess.run(
        ["git", "-C", str(clone), "log", "--format=%H %(trailers:key=Experiment,valueonly,separator=%x20)"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    commits = [line.split() for line in log.stdout.splitlines()]
    in_git = {parts[1]: parts[0] for parts in commits if len(parts) == 2}
    assert {x["id"]: x["commit"] for x in accepted} == in_git
    assert len(in_git) == len(commits) - 1, "one commit for each accept, and the published one"
    assert card.head == commits[0][0]
    assert card.accepted == len(accepted)
    assert set(ids) <= {x["id"] for x in experiments}
    assert card.experiments == len(experiments)
    (row,) = running.alice.pool("leaderboard", problem, "--json").document["rows"]
    assert row["accepted"] == len(accepted)
    assert row["gain"] == pytest.approx(sum(x["publication"]["gain"] for x in accepted))


@pytest.mark.parametrize(
    "kill", [kill_verifier, kill_referee, kill_redis, kill_serve, kill_all], ids=lambda kill: kill.__name__
)
def test_every_acknowledged_proposal_gets_its_verdict(
    pool: Any, candidates: Path, tmp_path: Path, kill: Callable[[Any], None]
) -> None:
    ids = propose(pool, PROBLEM, dictionaries(candidates, 6))
    # The first is a gain that takes about twenty pairs to show, and the others are none beside it.
    noise = propose(pool, NOISY, [f"[1, 9.{secrets.randbelow(10**6)}]\n".encode()])

    wait_for(lambda: "verifying" in states(pool, ids + noise))
    kill(pool)
    wait_for(lambda: settled(pool, ids + noise))
    check_agreement(pool, tmp_path, PROBLEM, ids)
    check_agreement(pool, tmp_path, NOISY, noise)


def test_killed_again_and_again(pool: Any, candidates: Path, tmp_path: Path) -> None:
    """Each victim in turn, at random moments of one busy stretch of work."""
    ids: list[str] = []
    for kill in (kill_referee, kill_verifier, kill_redis, kill_referee, kill_serve, kill_referee):
        ids += propose(pool, PROBLEM, dictionaries(candidates, 3))
        threading.Event().wait(secrets.randbelow(300) / 1000)
        kill(pool)
        pool.wait_until_it_answers()
    wait_for(lambda: settled(pool, ids))
    check_agreement(pool, tmp_path, PROBLEM, ids)
