"""A slot with real rooms: what it posts, and that a kill leaves nothing and nobody behind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil
import pytest

from ar_core.lifecycle import Reason
from ar_sandbox.policy import Caps
from ar_sandbox.rooms import Sandbox
from ar_search.agent import Inspiration
from ar_worker import events as on
from ar_worker.material import Material, UnusableTaskError, read_bundle, read_material
from ar_worker.slot import Slot
from ar_worker.task import LeaseName, Task

SECONDS = 60


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox.detect()


class Bench:
    """One slot and what it posted."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.posted: SimpleQueue[on.Event] = SimpleQueue()
        self.slot = Slot(sandbox, Caps(cpus=1), self.posted.put, "slot under test")

    def next(self) -> Any:
        return self.posted.get(timeout=SECONDS)


@pytest.fixture
def bench(sandbox: Sandbox) -> Iterator[Bench]:
    others = psutil.Process().children(recursive=True)
    one = Bench(sandbox)
    yield one
    one.slot.close()
    assert one.slot.join(SECONDS)
    assert [p for p in psutil.Process().children(recursive=True) if p not in others] == []


def material(folder: Path, number: int, parent: bytes | None = None) -> Material:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    mutable = files.pop("numbers.json")
    task = Task(
        lease=LeaseName(id=f"l-{number}", fencing=number), problem="sleepy-sum", revision=1, bundle="",
        parent_blob="", parent="", parent_score=None, box=60.0,
    )  # fmt: skip
    return read_material(task, files, parent or mutable, (Inspiration(content=b"[3, 4]", score=None),))


def test_a_lease_is_prepared_tried_and_learnt_from(bench: Bench, sleepy: Callable[..., Path]) -> None:
    given = material(sleepy(0), 1)
    bench.slot.begin(given, 1)
    prepared = bench.next()
    assert isinstance(prepared, on.Prepared)
    assert prepared.parent_score == 3.0
    claims = 0
    for _ in range(12):
        bench.slot.evaluate(given.task.lease)
        proposed, evaluated = bench.next(), bench.next()
        assert isinstance(proposed, on.Proposed)
        assert isinstance(evaluated, on.Evaluated)
        trial = evaluated.trial
        assert trial is not None
        assert trial.content_hash == proposed.content_hash
        assert trial.parent_score == 3.0
        assert (trial.content is not None) is (trial.reason is None)
        claims += trial.content is not None
        if trial.content is not None:
            assert trial.score is not None
            assert trial.score > 3.0
    assert claims > 0


def test_somebody_elses_version_is_the_parent_from_then_on(bench: Bench, sleepy: Callable[..., Path]) -> None:
    given = material(sleepy(0), 1)
    bench.slot.begin(given, 1)
    bench.next()
    bench.slot.go_on_from(given.task.lease, b"[9, 9]")
    rebased = bench.next()
    assert isinstance(rebased, on.Rebased)
    assert not rebased.claim_stands
    bench.slot.evaluate(given.task.lease)
    bench.next()
    assert bench.next().trial.parent_score == 18.0


def test_a_kill_in_the_middle_of_an_evaluation_ends_its_room_and_the_slot_goes_on(
    bench: Bench, sleepy: Callable[..., Path]
) -> None:
    folder = sleepy(50)
    first, second = material(folder, 1), material(folder, 2)
    bench.slot.begin(first, 1)
    assert isinstance(bench.next(), on.Prepared)
    bench.slot.evaluate(first.task.lease)
    assert isinstance(bench.next(), on.Proposed)
    bench.slot.kill(first.task.lease)
    bench.slot.kill(first.task.lease)
    bench.slot.evaluate(first.task.lease)
    bench.slot.begin(second, 2)
    prepared = bench.next()
    assert isinstance(prepared, on.Prepared), "of the killed lease nothing more was said"
    assert prepared.lease == second.task.lease


def test_a_parent_without_a_score_is_a_reason_to_give_the_lease_back(
    bench: Bench, sleepy: Callable[..., Path]
) -> None:
    bench.slot.begin(material(sleepy(0), 1, parent=b"no json"), 1)
    failed = bench.next()
    assert isinstance(failed, on.Failed)
    assert "no score on this machine: crash" in failed.why


def test_a_candidate_that_fails_says_how(bench: Bench, sleepy: Callable[..., Path]) -> None:
    given = material(sleepy(50), 1)
    bench.slot._caps = Caps(cpus=1, seconds=0.5)
    bench.slot.begin(given, 1)
    bench.next()
    reasons = set()
    for _ in range(3):
        bench.slot.evaluate(given.task.lease)
        bench.next()
        reasons.add(bench.next().trial.reason)
    assert Reason.TIMEOUT in reasons


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"\xff", b'{"../up": "' + b"a" * 64 + b'"}', b'{"/etc/x": "' + b"a" * 64 + b'"}', b'{"a": 1}',
     b'{"a": "../../x"}', b'{".git/config": "' + b"a" * 64 + b'"}', b"[" * 100_000],
)  # fmt: skip
def test_a_bundle_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(UnusableTaskError):
        read_bundle(data)


def test_a_bundle_is_a_table_of_files() -> None:
    assert read_bundle(b'{"data/a.json": "' + b"a" * 64 + b'"}') == {"data/a.json": "a" * 64}
    assert read_bundle(b"{}") == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b'python = ">=3.11"', b'python = ">=3.99"'), "needs Python"),
        ((b'kind = "data"', b'kind = "telepathy"'), "kind"),
        ((b"[files]", b"[fi"), "manifest"),
    ],
)
def test_a_problem_that_this_machine_cannot_run_is_refused(
    change: tuple[bytes, bytes], why: str, sleepy: Callable[..., Path]
) -> None:
    folder = sleepy(0)
    manifest = folder / "problem.toml"
    assert change[0] in manifest.read_bytes()
    manifest.write_bytes(manifest.read_bytes().replace(*change))
    with pytest.raises(UnusableTaskError, match=why):
        material(folder, 1)
