"""What a problem needs against what a machine has, in words that an operator can act on."""

from pathlib import Path

import msgspec
import pytest

from ar_coordinator.this_machine import this_machine
from ar_coordinator.verifier_machine import (
    Needs,
    VerifierMachine,
    lacks,
    needs_of_manifest,
    needs_text,
    too_small,
    what_none_has,
)

GIB = 1024**3
MACHINE = VerifierMachine(cpus=4, memory=8 * GIB, python=(3, 11, 2), programs=frozenset({"gcc", "make"}))


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Needs(), ""),
        (Needs(cpus=4, memory=8 * GIB, python=">=3.11,<4", programs=frozenset({"gcc"})), ""),
        (Needs(cpus=5), "5 cores"),
        (Needs(memory=9 * GIB), "9 GiB of memory"),
        (Needs(cpus=5, memory=9 * GIB), "5 cores and 9 GiB of memory"),
        (Needs(gpus=1), "1 GPU"),
        (Needs(gpus=2), "2 GPUs"),
        (Needs(python=">=3.12"), "Python >=3.12"),
        (Needs(programs=frozenset({"gcc", "ghc"})), "the program ghc"),
        (Needs(programs=frozenset("abcde")), "the programs a, b, c and 2 more"),
        (Needs(cpus=5, gpus=1, programs=frozenset({"ghc"})), "5 cores, 1 GPU, the program ghc"),
        (Needs(python="as you like"), ""),
    ],
)
def test_what_a_machine_lacks(needs: Needs, words: str) -> None:
    assert lacks(needs, MACHINE) == words


def test_only_sizes_are_too_small() -> None:
    assert too_small(Needs(cpus=5, gpus=1, python=">=4"), MACHINE) == "5 cores"


def test_what_none_has_is_told_of_the_one_that_comes_closest() -> None:
    small = msgspec.structs.replace(MACHINE, cpus=1)
    needs = Needs(cpus=2, programs=frozenset({"ghc"}))
    assert what_none_has(needs, [small, MACHINE]) == "the program ghc"
    assert what_none_has(Needs(cpus=2), [small, MACHINE]) == ""


def test_needs_are_those_of_the_manifest_and_survive_their_record() -> None:
    folder = Path(__file__).parents[1] / "e2e" / "problems" / "small-sum"
    needs = needs_of_manifest((folder / "problem.toml").read_text())
    assert needs == Needs(cpus=1, memory=64 * 1024**2, python=">=3.11")
    assert msgspec.json.decode(needs_text(needs), type=Needs) == needs


def test_this_machine_can_measure_an_ordinary_problem() -> None:
    machine = this_machine()
    assert lacks(Needs(cpus=1, memory=1024**2, python=">=3.11", programs=frozenset({"sh"})), machine) == ""
    assert lacks(Needs(programs=frozenset({"no-such-program"})), machine) == "the program no-such-program"
    assert machine.gpus == 0, "rooms have none"
