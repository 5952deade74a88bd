"""Who needs packages: a publisher's check, the pool's verifiers, a volunteer's slot."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil
import pytest

from ar_sandbox.policy import Caps
from ar_sandbox.rooms import Sandbox
from ar_worker import events as on
from ar_worker.material import Material, read_material
from ar_worker.slot import Slot
from ar_worker.task import LeaseName, Task

SECONDS = 100
NEEDS = '[environment]\nrequirements = "requirements.txt"'
# The best is the number that the package knows.
SCORE = """
    import os, sys
    import demo
    try:
        number = float(open(os.environ["AR_MUTABLE"]).read())
    except ValueError:
        sys.exit("invalid: not a number")
    if not abs(number) < 1000:
        sys.exit("invalid: too large")
    print("x:", -abs(number - demo.BEST))
"""


class Bench:
    """One slot and what it posted."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.posted: SimpleQueue[on.Event] = SimpleQueue()
        self.slot = Slot(sandbox, Caps(cpus=1), self.posted.put, "slot under test")

    def next(self) -> Any:
        return self.posted.get(timeout=SECONDS)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(Sandbox.detect(environments=tmp_path / "environments"))
    yield one
    one.slot.close()
    assert one.slot.join(SECONDS)


@pytest.fixture
def write(tmp_path: Path, folder: Any) -> Callable[[str], Path]:
    """Write a problem that requires these lines."""

    def run(lines: str) -> Path:
        target = tmp_path / "problem"
        target.mkdir(exist_ok=True)
        others = {"requirements.txt": lines.encode()}
        for name, data in folder(score=SCORE, baseline=b"1\n", more=NEEDS, others=others).files().items():
            (target / name).write_bytes(data)
        return target

    return run


def material(target: Path, number: int = 1) -> Material:
    files = {path.name: path.read_bytes() for path in target.iterdir()}
    parent = files.pop("solution.json")
    task = Task(
        lease=LeaseName(id=f"l-{number}", fencing=number), problem="under-test", revision=1, bundle="",
        parent_blob="", parent="", parent_score=None, box=60.0,
    )  # fmt: skip
    return read_material(task, files, parent, ())


def test_a_slot_installs_what_its_problem_requires(
    package_index: Any, bench: Bench, write: Callable[[str], Path]
) -> None:
    bench.slot.begin(material(write(package_index.wheel("demo", {"demo.py": "BEST = 4.0\n"}))), 1)
    prepared = bench.next()
    assert isinstance(prepared, on.Prepared)
    assert prepared.parent_score == -3.0
    assert prepared.opening > 0


def test_a_slot_that_cannot_install_gives_the_lease_back_with_the_reason(
    package_index: Any, bench: Bench, write: Callable[[str], Path]
) -> None:
    given = material(write(f"absent==1.0 --hash=sha256:{'0' * 64}\n"))
    for number in range(2):
        bench.slot.begin(given, number)
        failed = bench.next()
        assert isinstance(failed, on.Failed)
        assert "The problem's packages cannot be installed" in failed.why
        assert "no wheel of absent==1.0" in failed.why
    assert package_index.fetched() == []


def test_a_kill_while_packages_are_fetched_ends_that_at_once(
    package_index: Any, bench: Bench, write: Callable[[str], Path]
) -> None:
    before = psutil.Process().children(recursive=True)
    package_index.held.clear()
    given = material(write(package_index.wheel("demo", {"demo.py": "BEST = 4.0\n"})))
    bench.slot.begin(given, 1)
    assert package_index.waiting.wait(SECONDS)
    bench.slot.kill(given.task.lease)
    bench.slot.close()
    assert bench.slot.join(SECONDS)
    assert [p for p in psutil.Process().children(recursive=True) if p not in before] == []
    assert bench.posted.empty()


def test_a_check_says_what_is_wrong_with_the_requirements(
    package_index: Any, command: Callable[..., Any], write: Callable[[str], Path], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    bad = command("ar_client", "check", str(write("demo==1.0\n")), "--json", home=home)
    assert bad.code == 9, bad
    assert "line 1: demo has no hash" in json.dumps(bad.document["findings"])
    good = write(package_index.wheel("demo", {"demo.py": "BEST = 4.0\n"}))
    done = command("ar_client", "check", str(good), "--json", home=home)
    assert done.code == 0, done
    assert done.document["baseline"] == -3.0
    assert list((home / "environments").glob("*/packages/demo.py"))


@pytest.mark.timeout(300)
def test_a_pool_publishes_verifies_and_gives_out_a_problem_with_packages(
    package_index: Any, start_pool: Callable[..., Any], command: Callable[..., Any], write: Callable[[str], Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    pool = start_pool("--verifiers", "1")
    try:
        ada = pool.person(tmp_path / "ada", "ada")
        refused = ada.pool("publish", str(write(f"absent==1.0 --hash=sha256:{'0' * 64}\n")), "--json")
        assert refused.code == 9, refused
        assert refused.document["state"] == "refused"
        assert "no wheel of absent==1.0" in refused.document["findings"][0]["message"]
        target = write(package_index.wheel("demo", {"demo.py": "BEST = 4.0\n"}))
        assert ada.publish(target)["baseline"] == -3.0
        better = tmp_path / "better.json"
        better.write_text("3\n")
        verdict = ada.propose("under-test", better)
        assert verdict.code == 0, verdict
        assert verdict.document["verified"] == -1.0
        assert len(list((pool.directory / "environments").glob("*/packages/demo.py"))) == 1
        grace = tmp_path / "grace"
        donated = command(
            "ar_worker", "join", pool.grpc, "--token", pool.token("worker"), "--name", "grace", "--json",
            "--slots", "1", "--max-experiments", "2", home=grace,
        )  # fmt: skip
        assert donated.code == 0, donated
        assert sum(event["event"] == "scored" for event in donated.documents) == 2, donated
        assert len(list((grace / "environments").glob("*/packages/demo.py"))) == 1
        assert len(package_index.fetched()) == 2
    finally:
        pool.stop()


def test_nothing_of_pip_is_loaded_where_no_problem_needs_it() -> None:
    import subprocess

    code = "import sys; from ar_sandbox.rooms import Sandbox; print('pip' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
