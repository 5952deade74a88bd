"""What each task builds on: which problem a free slot gets, which version of it, and what it is shown beside.

Not here: reading any of it from Redis (``openings``) and handing it out (``services.work``). Everything is a value;
chance comes from the ``random.Random`` that is given.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import sqrt
from random import Random
from typing import Literal, Protocol

POPULATION = 32
"""Distinct versions that a task may build on."""
INSPIRATIONS = 2
STALLED_SECONDS = 1800.0
"""Without an accept for this long, some tasks ask for a new direction."""
_BEST_SHARE = 0.8
_EXPLORING_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A verified version with its bytes; ``children`` and ``in_flight`` are leases that built or build on it."""

    commit: str
    blob: str
    score: float | None
    note: str = ""
    children: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """What a problem's next task can build on: at least one version, the best first."""

    versions: tuple[Version, ...]
    stalled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What one task builds on, what it is shown beside, and whether it is to try a new direction."""

    parent: Version
    inspirations: tuple[Version, ...] = ()
    explore: bool = False


Happening = Literal["granted", "refused", "ended"]
"""A lease that builds on a version begins, turns out not to be granted, or ends."""


class Policy(Protocol):
    """Chooses what tasks build on."""

    def pick(self, frontier: Frontier, random: Random) -> Pick:
        """Return what the next task builds on."""
        ...

    def observe(self, frontier: Frontier, commit: str, happening: Happening) -> Frontier:
        """Return the frontier after something happened to a version."""
        ...


class Champion:
    """Mostly the best version; else one of the others, the better and the less tried the likelier."""

    def pick(self, frontier: Frontier, random: Random) -> Pick:
        """Build on the best with p = 0.8, else on one with p ∝ 1 / (rank · (1 + children + in flight))."""
        versions = distinct(frontier.versions)[:POPULATION]
        parent = versions[0]
        if len(versions) > 1 and random.random() >= _BEST_SHARE:
            weights = [1 / (rank * (1 + v.children + v.in_flight)) for rank, v in enumerate(versions, start=1)]
            (parent,) = random.choices(versions, weights)
        others = [version for version in versions if version is not parent]
        shown = random.sample(others[: 4 * INSPIRATIONS], min(INSPIRATIONS, len(others)))
        explore = frontier.stalled and random.random() < _EXPLORING_SHARE
        return Pick(parent=parent, inspirations=tuple(shown), explore=explore)

    def observe(self, frontier: Frontier, commit: str, happening: Happening) -> Frontier:
        """Count a lease that began on a version, or turn it into a child."""
        return replace(frontier, versions=tuple(
            _after(version, happening) if version.commit == commit else version for version in frontier.versions
        ))  # fmt: skip


POLICIES: Mapping[str, Policy] = {"champion": Champion()}


def policy(name: str) -> Policy:
    """Return the policy that a problem asks for; one that this pool does not have is ``champion``."""
    return POLICIES.get(name, POLICIES["champion"])


def distinct(versions: Sequence[Version]) -> list[Version]:
    """Return the versions without those whose bytes came before."""
    found: dict[str, Version] = {}
    for version in versions:
        found.setdefault(version.blob, version)
    return list(found.values())


def _after(version: Version, happening: Happening) -> Version:
    if happening == "granted":
        return replace(version, in_flight=version.in_flight + 1)
    children = version.children + (happening == "ended")
    return replace(version, in_flight=max(0, version.in_flight - 1), children=children)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a machine gives and wants; memory in bytes, 0 for anything it did not say."""

    cpus: int = 0
    memory: int = 0
    gpus: int = 0
    programs: frozenset[str] = frozenset()
    problems: frozenset[str] = frozenset()
    """Empty for any."""
    grade: str = ""
    """Of its sandbox; without one there is no work for it: nobody would know in what its numbers are measured."""
    declined: frozenset[tuple[str, int]] = frozenset()
    """Problems with the revisions of them that its owner has not agreed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A problem as far as it matters for who works on it; ``in_flight`` are its open leases."""

    name: str
    publisher: str
    is_open: bool
    is_paused: bool = False
    cpus: int = 1
    memory: int = 0
    gpus: int = 0
    programs: frozenset[str] = frozenset()
    in_flight: int = 0
    revision: int = 1


class NoWork(StrEnum):
    """Why a machine has nothing to do; the values of the wire's ``WaitReason``, primary cause first."""

    NO_PROBLEM_MATCHES = "no_problem_matches"
    PAUSED = "paused"
    QUOTA = "quota"
    COOL_DOWN = "cool_down"
    DRAINING = "draining"
    UPGRADE_NEEDED = "upgrade_needed"
    SANDBOX = "sandbox"
    CONSENT = "consent"


def fits(demand: Demand, machine: Machine) -> bool:
    """Tell whether a machine can and wants to work on a problem."""
    if machine.problems and demand.name not in machine.problems:
        return False
    if machine.cpus and machine.cpus < demand.cpus:
        return False
    if machine.memory and machine.memory < demand.memory:
        return False
    return demand.gpus <= machine.gpus and demand.programs <= machine.programs


def choose_problem(demands: Sequence[Demand], machine: Machine, random: Random) -> Demand | NoWork:
    """Return the problem that is furthest below its share of the open leases, or why there is none.

    A publisher's problems share: n of them weigh as much as the square root of n problems of different publishers.
    """
    if not machine.grade:
        return NoWork.SANDBOX
    matching = [demand for demand in demands if fits(demand, machine)]
    agreed = [demand for demand in matching if (demand.name, demand.revision) not in machine.declined]
    working = [demand for demand in agreed if demand.is_open]
    if not working:
        if any(demand.is_open for demand in matching):
            return NoWork.CONSENT
        return NoWork.PAUSED if any(demand.is_paused for demand in matching) else NoWork.NO_PROBLEM_MATCHES
    published = Counter(demand.publisher for demand in working)

    def load(demand: Demand) -> tuple[float, float]:
        return (demand.in_flight + 1) * sqrt(published[demand.publisher]), random.random()

    return min(working, key=load)
