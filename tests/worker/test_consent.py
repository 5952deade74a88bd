"""What a machine's owner agreed to: more is asked about, less is not, and the file never says yes by itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.errors import PoolError
from ar_core.manifest import read_manifest
from ar_core.problem import Kind
from ar_worker.consent import Asks, asks_of, more
from ar_worker.consents import Consents, asked_document
from ar_worker.material import UnusableTaskError
from ar_worker.task import LeaseName, Task

PLAIN = Asks(kind="data", cpus=1, memory=2**30, disk=2**26, processes=64, gpus=0, seconds=60.0)
NAMES = st.lists(st.sampled_from(["gcc", "sqlite3", "node"]), unique=True).map(lambda names: tuple(sorted(names)))
ASKS = st.builds(
    Asks, kind=st.sampled_from(list(Kind)).map(str), cpus=st.integers(1, 4), memory=st.integers(1, 2**40),
    disk=st.integers(1, 2**40), processes=st.integers(1, 99), gpus=st.integers(0, 2), seconds=st.floats(0.1, 1e6),
    any_address_space=st.booleans(), programs=NAMES, packages=NAMES,
)  # fmt: skip


def task(revision: int = 1, bundle: str = "b", problem: str = "packing") -> Task:
    return Task(
        lease=LeaseName(id="l-1", fencing=1), problem=problem, revision=revision, bundle=bundle, parent_blob="",
        parent="", parent_score=None, box=1.0,
    )  # fmt: skip


@pytest.fixture
def consents(tmp_path: Path) -> Consents:
    return Consents.load(tmp_path / "consents" / "pool.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"memory": 2**31}, "memory 2 GiB instead of 1 GiB"),
        ({"cpus": 8}, "processor cores 8 instead of 1"),
        ({"gpus": 1}, "graphics processors 1 instead of 0"),
        ({"seconds": 120.0}, "time for one evaluation 2m instead of 1m"),
        ({"kind": "artifact"}, "rooms of the kind artifact instead of data"),
        ({"kind": "inprocess"}, "rooms of the kind inprocess instead of data"),
        ({"any_address_space": True}, "no limit of address space"),
        ({"programs": ("gcc",)}, "the program gcc"),
        ({"packages": ("torch==2.9.1",)}, "the package torch==2.9.1"),
    ],
)
def test_every_way_to_ask_for_more(change: dict[str, Any], words: str) -> None:
    assert more(PLAIN, replace(PLAIN, **change)) == [words]
    assert more(replace(PLAIN, **change), PLAIN) == []


def test_rooms_that_may_do_as_much_in_another_way_are_asked_about() -> None:
    artifact, service = replace(PLAIN, kind="artifact"), replace(PLAIN, kind="service")
    assert more(artifact, service)
    assert more(service, artifact)


@given(ASKS, ASKS)
def test_what_is_agreed_to_asks_for_no_more_than_itself(a: Asks, b: Asks) -> None:
    assert more(a, a) == []
    assert Asks.from_document(json.loads(json.dumps(a.document()))) == a
    if a != b and not more(a, b):
        assert b.memory <= a.memory
        assert set(b.packages) <= set(a.packages)


def test_what_a_manifest_asks_for(problems: Path) -> None:
    folder = problems / "tiny-gpt"
    files = {name: (folder / name).read_bytes() for name in ("problem.toml", "requirements.txt")}
    problem = read_manifest(files["problem.toml"])
    asks = asks_of(problem, files)
    assert (asks.kind, asks.memory, asks.seconds) == (
        problem.evaluation.kind.value, problem.resources.memory, problem.evaluation.seconds_at_most,
    )  # fmt: skip
    assert any(name.startswith("numpy==") for name in asks.packages)
    assert asks_of(problem, {**files, "requirements.txt": b"torch\n"}).packages == ("packages that cannot be read",)


def test_the_first_time_is_agreed_and_a_wish_is_kept_until_it_is_granted(consents: Consents) -> None:
    assert consents.refusal(task(1), PLAIN) == ""
    assert consents.refusal(task(2, "c"), replace(PLAIN, memory=2**20)) == "", "less is not asked about"
    assert consents.refusal(task(3, "d"), PLAIN) == "memory 1 GiB instead of 1 MiB"
    assert consents.declined == (("packing", 3),)
    again = Consents.load(consents.path)
    assert again == consents
    assert again.refusal(task(3, "d"), PLAIN) != ""
    (asked,) = asked_document(again.asked)
    assert asked["accept"] == "ar-worker start --accept packing@3"
    again.accept([("packing", 2)])
    assert again.declined == (("packing", 3),), "a yes to one revision is none to another"
    again.accept([("packing", 3)])
    assert again.declined == ()
    assert Consents.load(consents.path).refusal(task(3, "d"), PLAIN) == ""


def test_a_wish_that_was_withdrawn_is_forgotten(consents: Consents) -> None:
    consents.refusal(task(1), PLAIN)
    assert consents.refusal(task(2, "c"), replace(PLAIN, cpus=9))
    assert consents.refusal(task(3, "d"), PLAIN) == ""
    assert Consents.load(consents.path).declined == ()


def test_other_files_under_the_same_revision_are_refused(consents: Consents) -> None:
    assert consents.refusal(task(1, "b"), PLAIN) == ""
    assert consents.refusal(task(1, "b"), PLAIN) == ""
    assert "other files" in consents.refusal(task(1, "c"), PLAIN)
    assert consents.declined == (("packing", 1),)


@pytest.mark.parametrize("text", ["", "[]", '{"agreed": 1}', '{"agreed": {}, "asked": {}}', "\0"])
def test_a_damaged_file_is_no_yes(consents: Consents, text: str) -> None:
    consents.accept([("packing", 2)])
    consents.path.write_text(text)
    with pytest.raises(PoolError) as failure:
        Consents.load(consents.path)
    assert (failure.value.code, failure.value.hint) == ("AR-A106", "remove it to agree anew to what comes")


def test_what_cannot_be_written_down_is_not_agreed_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    consents = Consents.load(tmp_path / "consents.json")
    consents.path = tmp_path / "file" / "consents.json"
    with pytest.raises(UnusableTaskError):
        consents.refusal(task(), PLAIN)
    with pytest.raises(PoolError):
        consents.accept([("packing", 2)])
