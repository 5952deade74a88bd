"""What a problem needs of the machine that measures it, and what a verifier's machine has.

Not here: finding out what this machine has (``this_machine``) and which verifiers are present (``store.verifiers``).
"""

import functools
from collections.abc import Iterable

import msgspec

from ar_core.manifest import read_manifest
from ar_core.problem import Problem
from ar_core.quantities import format_size
from ar_sandbox.environment import satisfies

_SHOWN = 3


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch asks for; memory in bytes."""

    cpus: int = 1
    memory: int = 0
    gpus: int = 0
    python: str = ""
    programs: frozenset[str] = frozenset()
    refusable: bool = False
    """A registration: where no machine has this, any may take it, and tell the publisher."""


class VerifierMachine(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier's rooms have; memory in bytes."""

    cpus: int
    memory: int
    gpus: int = 0
    python: tuple[int, int, int]
    programs: frozenset[str] = frozenset()


def needs_of(problem: Problem, *, refusable: bool = False) -> Needs:
    """Return what a problem asks for."""
    resources, environment = problem.resources, problem.environment
    return Needs(
        cpus=resources.cpus, memory=resources.memory, gpus=resources.gpus, python=environment.python,
        programs=frozenset(environment.system), refusable=refusable,
    )  # fmt: skip


def needs_text(needs: Needs) -> str:
    """Return what a batch's record says of its needs."""
    return msgspec.json.encode(needs, order="sorted").decode()


@functools.lru_cache(maxsize=512)
def needs_of_manifest(manifest: str) -> Needs:
    """Return what the problem of a manifest asks for."""
    return needs_of(read_manifest(manifest.encode()))


def too_small(needs: Needs, machine: VerifierMachine) -> str:
    """Return which of the sizes asked for a machine has not, or nothing."""
    wanting = []
    if needs.cpus > machine.cpus:
        wanting.append(f"{needs.cpus} cores")
    if needs.memory > machine.memory:
        wanting.append(f"{format_size(needs.memory)} of memory")
    return " and ".join(wanting)


def lacks(needs: Needs, machine: VerifierMachine) -> str:
    """Return what a machine has not of what is asked for, in words; nothing where it can run it."""
    wanting = [too_small(needs, machine)]
    if needs.gpus > machine.gpus:
        wanting.append(f"{needs.gpus} GPU{'s' if needs.gpus > 1 else ''}")
    if needs.python and not _fits(machine.python, needs.python):
        wanting.append(f"Python {needs.python}")
    missing = sorted(needs.programs - machine.programs)
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        wanting.append(f"the program{'s' if len(missing) > 1 else ''} {', '.join(missing[:_SHOWN])}{more}")
    return ", ".join(words for words in wanting if words)


def what_none_has(needs: Needs, machines: Iterable[VerifierMachine]) -> str:
    """Return what no machine has, told of the one that comes closest; nothing where one can run it."""
    return min((lacks(needs, machine) for machine in machines), key=lambda words: (words.count(","), len(words)))


def _fits(version: tuple[int, int, int], wanted: str) -> bool:
    try:
        return satisfies(version, wanted)
    except ValueError:
        return True  # registration tells its publisher
