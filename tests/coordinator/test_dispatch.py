"""What tasks build on: shares, fairness, and that whatever comes out was put in."""

from collections import Counter
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator import dispatch
from ar_coordinator.dispatch import (
    INSPIRATIONS,
    POPULATION,
    Champion,
    Demand,
    Frontier,
    NoWork,
    Version,
    choose_problem,
    distinct,
    policy,
)  # fmt: skip
from ar_proto.v1 import work_pb2

CHAMPION = Champion()


def version(number: int, **more: int) -> Version:
    return Version(commit=f"c{number}", blob=f"b{number}", score=float(number), **more)  # type: ignore[arg-type]


def frontier(n: int, *, stalled: bool = False) -> Frontier:
    return Frontier(versions=tuple(version(i) for i in range(n)), stalled=stalled)


VERSIONS = st.lists(
    st.builds(version, st.integers(0, 60), children=st.integers(0, 50), in_flight=st.integers(0, 50)), min_size=1
)


@given(versions=VERSIONS, stalled=st.booleans(), seed=st.integers())
def test_a_pick_comes_from_the_frontier(versions: list[Version], stalled: bool, seed: int) -> None:
    pick = CHAMPION.pick(Frontier(versions=tuple(versions), stalled=stalled), Random(seed))
    assert pick.parent in versions
    assert set(pick.inspirations) <= set(versions)
    blobs = [pick.parent.blob, *(v.blob for v in pick.inspirations)]
    assert len(set(blobs)) == len(blobs), "an inspiration says something new"
    assert len(pick.inspirations) == min(INSPIRATIONS, len(distinct(versions)) - 1)
    assert stalled or not pick.explore


@given(versions=VERSIONS, seed=st.integers())
def test_the_same_chance_picks_the_same(versions: list[Version], seed: int) -> None:
    known = Frontier(versions=tuple(versions))
    assert CHAMPION.pick(known, Random(seed)) == CHAMPION.pick(known, Random(seed))


def test_the_best_is_picked_mostly_and_nothing_beyond_the_population() -> None:
    random = Random(1)
    picked = Counter(CHAMPION.pick(frontier(40), random).parent.commit for _ in range(5000))
    harmonic = sum(1 / rank for rank in range(1, POPULATION + 1))
    assert picked["c0"] / 5000 == pytest.approx(0.8 + 0.2 / harmonic, abs=0.02)
    assert picked["c1"] > picked["c9"] > 0
    assert not {f"c{n}" for n in range(POPULATION, 40)} & set(picked)


def test_a_parent_that_many_build_on_is_picked_less() -> None:
    crowded = replace(frontier(3), versions=(version(0), version(1, in_flight=20, children=20), version(2)))
    picked = Counter(CHAMPION.pick(crowded, Random(2)).parent.commit for _ in range(1))
    random = Random(2)
    picked = Counter(CHAMPION.pick(crowded, random).parent.commit for _ in range(4000))
    assert picked["c2"] > 5 * picked["c1"]


def test_a_tenth_explores_when_nothing_was_accepted_for_a_while() -> None:
    random = Random(3)
    asked = sum(CHAMPION.pick(frontier(3, stalled=True), random).explore for _ in range(4000))
    assert asked / 4000 == pytest.approx(0.1, abs=0.02)


def test_what_is_observed_counts() -> None:
    known = frontier(2)
    for happening in ("granted", "granted", "ended"):
        known = CHAMPION.observe(known, "c1", happening)  # type: ignore[arg-type]
    assert (known.versions[1].in_flight, known.versions[1].children) == (1, 1)
    known = CHAMPION.observe(known, "c1", "refused")
    assert (known.versions[1].in_flight, known.versions[1].children) == (0, 1)
    assert known.versions[0] == version(0)


def test_a_policy_that_is_not_there_is_the_default() -> None:
    assert isinstance(policy("champion"), Champion)
    assert policy("no-such-policy") is policy("champion")


# --- Among problems

Machine = partial(dispatch.Machine, grade="B")


def demand(name: str, publisher: str = "ada", **more: object) -> Demand:
    return Demand(name=name, publisher=publisher, is_open=True, **more)  # type: ignore[arg-type]


def shares(demands: list[Demand], slots: int) -> Counter[str]:
    """Give out many slots one after the other, each counted before the next."""
    random, held = Random(4), Counter[str]()
    for _ in range(slots):
        found = choose_problem([replace(d, in_flight=held[d.name]) for d in demands], Machine(), random)
        assert isinstance(found, Demand)
        held[found.name] += 1
    return held


def test_problems_of_different_publishers_share_alike() -> None:
    assert shares([demand("a", "ada"), demand("b", "bob"), demand("c", "cy")], 300) == {"a": 100, "b": 100, "c": 100}


def test_a_publisher_of_many_problems_gets_more_but_not_that_many_times() -> None:
    held = shares([demand("lone", "bob"), *(demand(f"p{n}", "ada") for n in range(9))], 400)
    # Nine problems weigh as much as three of different people.
    assert held["lone"] == pytest.approx(100, abs=5)


MACHINES = {
    "cores": (demand("p", cpus=4), Machine(cpus=2, memory=2**40), Machine(cpus=4)),
    "memory": (demand("p", memory=2**30), Machine(memory=2**29), Machine(cpus=1, memory=2**30)),
    "graphics": (demand("p", gpus=1), Machine(), Machine(gpus=2)),
    "programs": (demand("p", programs=frozenset({"gcc"})), Machine(), Machine(programs=frozenset({"gcc", "ld"}))),
    "wish": (demand("p"), Machine(problems=frozenset({"q"})), Machine(problems=frozenset({"p", "q"}))),
}


@pytest.mark.parametrize("what", MACHINES)
def test_what_a_machine_can_do(what: str) -> None:
    asked, cannot, can = MACHINES[what]
    assert choose_problem([asked], cannot, Random(0)) is NoWork.NO_PROBLEM_MATCHES
    assert choose_problem([asked], can, Random(0)) == asked


def test_paused_is_a_reason_only_when_the_problem_fits() -> None:
    paused = replace(demand("p", cpus=4), is_open=False, is_paused=True)
    assert choose_problem([paused], Machine(), Random(0)) is NoWork.PAUSED
    assert choose_problem([paused], Machine(cpus=1), Random(0)) is NoWork.NO_PROBLEM_MATCHES
    assert choose_problem([], Machine(), Random(0)) is NoWork.NO_PROBLEM_MATCHES
    assert choose_problem([paused, demand("q")], Machine(), Random(0)) == demand("q")


def test_without_a_grade_there_is_nothing() -> None:
    assert choose_problem([demand("p")], Machine(grade=""), Random(0)) is NoWork.SANDBOX
    assert choose_problem([demand("p")], Machine(grade="A"), Random(0)) == demand("p")


def test_what_an_owner_has_not_agreed_to_is_not_given_out() -> None:
    asked = demand("p", revision=2)
    unwilling = Machine(declined=frozenset({("p", 2)}))
    assert choose_problem([asked], unwilling, Random(0)) is NoWork.CONSENT
    assert choose_problem([asked, demand("q")], unwilling, Random(0)) == demand("q")
    assert choose_problem([replace(asked, revision=3)], unwilling, Random(0)) == replace(asked, revision=3)
    # Nothing is asked of the owner that would change nothing.
    paused = replace(asked, is_open=False, is_paused=True)
    assert choose_problem([paused], unwilling, Random(0)) is NoWork.PAUSED


def test_every_reason_has_its_word_on_the_wire() -> None:
    words = {name.removeprefix("WAIT_REASON_").lower() for name in work_pb2.WaitReason.keys()}  # noqa: SIM118
    assert words == {reason.value for reason in NoWork} | {"unspecified"}
