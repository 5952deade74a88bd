"""A verifier apart from its queue: what breaks or lasts too long is trouble, and bytes are what they are named."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ar_coordinator.remote.blobs import RemoteBlobs
from ar_coordinator.store.batches import Claim
from ar_coordinator.store.blobs import BlobMissingError
from ar_coordinator.this_machine import this_machine
from ar_coordinator.verifier import Verifier
from ar_coordinator.work_order import (
    PairOrder,
    PairResult,
    PairsOrder,
    PairsResult,
    RegistrationOrder,
    RegistrationResult,
    SideResult,
    decode_result,
    encode,
    shorter,
)
from ar_core.candidate import sha256
from ar_sandbox.rooms import Sandbox

FOLDER = Path(__file__).parents[1] / "e2e" / "problems" / "small-sum"
FILES = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}
BLOBS = {sha256(data): data for data in FILES.values()}


class Here:
    """Blobs in memory."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        self._blobs = blobs

    def get(self, name: str) -> bytes:
        return self._blobs[name]


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox.detect()


@pytest.fixture
def make(sandbox: Sandbox) -> Iterator[Any]:
    made: list[Verifier] = []

    def verifier(files: dict[str, bytes], **machine: int) -> Verifier:
        blobs = Here({sha256(data): data for data in files.values()})
        has = msgspec.structs.replace(this_machine(), **machine)
        made.append(Verifier("v", blobs, sandbox, has, "B"))
        return made[-1]

    yield verifier
    for one in made:
        one.close()


def pairs_order(files: dict[str, bytes]) -> PairsOrder:
    pair = PairOrder(index=0, run_seed=1, scorer_seed=2, hash_seed=3, first="candidate")
    names = {path: sha256(data) for path, data in files.items()}
    return PairsOrder(
        problem="small-sum", revision=1, experiment="x", attempt=1, files=names, candidate=names["numbers.json"],
        incumbent=names["numbers.json"], pairs=[pair], deterministic=True,
    )  # fmt: skip


def claim(order: Any, **fields: Any) -> Claim:
    return Claim(batch="b", fencing=1, spec=encode(order), **fields)


def test_a_batch_is_measured(make: Any) -> None:
    result = decode_result(make(FILES).run(claim(pairs_order(FILES))))
    assert isinstance(result, PairsResult)
    (pair,) = result.pairs
    assert pair.candidate is not None
    assert (pair.candidate.score, result.verifier, result.grade, result.trouble) == (3.0, "v", "B", "")


def test_a_batch_that_lasts_too_long_is_trouble_and_leaves_no_room(make: Any) -> None:
    before = signal.getsignal(signal.SIGALRM)
    slow = {**FILES, "score.py": b"import time\ntime.sleep(60)\n"}
    slow["problem.toml"] = slow["problem.toml"].replace(b'"5s"', b'"100s"')
    verifier = make(slow)
    result = decode_result(verifier.run(claim(pairs_order(slow), seconds=2.0)))
    assert isinstance(result, PairsResult)
    assert (result.pairs, result.trouble) == ([], "it took longer than 2 s")
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_batch_that_nobody_ever_finished_is_not_begun_again(make: Any) -> None:
    for order in (pairs_order(FILES), RegistrationOrder(problem="p", revision=1, files={}, runs=1, seeds=[])):
        result = decode_result(make(FILES).run(claim(order, tries=7)))
        assert result.trouble == "it was begun 6 times and never finished"


def test_bytes_that_are_missing_are_trouble(make: Any) -> None:
    result = decode_result(make({}).run(claim(pairs_order(FILES))))
    assert result.trouble == "KeyError"


def test_a_registration_that_this_machine_is_too_small_for_is_refused_with_the_reason(make: Any) -> None:
    order = RegistrationOrder(
        problem="small-sum", revision=1, files={path: sha256(data) for path, data in FILES.items()}, runs=2,
        seeds=[(1, 2)],
    )  # fmt: skip
    result = decode_result(make(FILES, memory=1024).run(claim(order)))
    assert isinstance(result, RegistrationResult)
    assert not result.ok
    assert [found.message for found in result.findings] == ["No verifier that is here now has 64 MiB of memory."]


def test_a_result_that_is_too_long_for_a_message_loses_feedback_and_no_score() -> None:
    side = SideResult(outcome="ok", score=1.0, secondary={}, feedback="\n" * 4096, seconds=0.1)
    pairs = [PairResult(index=n, candidate=side, incumbent=side) for n in range(200)]
    text = encode(PairsResult(verifier="v", pairs=pairs, seconds=1.0))
    assert shorter(text, len(text)) == text
    found = decode_result(shorter(text, len(text) // 2))
    assert isinstance(found, PairsResult)
    assert [pair.index for pair in found.pairs] == list(range(200))
    sides = [side for pair in found.pairs for side in (pair.candidate, pair.incumbent) if side is not None]
    assert [side.score for side in sides] == [1.0] * 400
    assert [bool(side.feedback) for side in sides] == [True] * 32 + [False] * 368
    assert len(encode(found)) < len(text) // 2


def test_blobs_are_fetched_once_checked_and_bounded() -> None:
    contents = {sha256(data): data for data in (os.urandom(40) for _ in range(4))}
    fetched: Counter[str] = Counter()

    def fetch(name: str) -> bytes:
        fetched[name] += 1
        return contents[name]

    blobs = RemoteBlobs(fetch, max_bytes=100)
    first, second, third, _ = contents
    assert [blobs.get(first), blobs.get(first), blobs.get(second), blobs.get(first)] == [
        contents[first], contents[first], contents[second], contents[first],
    ]  # fmt: skip
    assert fetched == {first: 1, second: 1}
    blobs.get(third)
    blobs.get(first)
    assert fetched[first] == 1, "what was used last stays"
    blobs.get(second)
    assert fetched[second] == 2, "what was not used for longest went"
    lying = RemoteBlobs(lambda _: b"something else")
    with pytest.raises(BlobMissingError):
        lying.get(first)
