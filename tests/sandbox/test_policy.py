"""The smaller of wish and cap, whatever the two are."""

from hypothesis import given
from hypothesis import strategies as st

from ar_core.problem import Resources
from ar_sandbox.policy import ADDRESS_SPACE_SLACK, LEAST_MEMORY, Caps, environment, limits

SIZES = st.integers(1, 2**50)
OPTIONAL = st.none() | SIZES


@given(
    wish=st.builds(
        Resources, cpus=SIZES, memory=SIZES, disk=SIZES, processes=SIZES, limit_address_space=st.booleans()
    ),
    cap=st.builds(Caps, cpus=OPTIONAL, memory=OPTIONAL, disk=OPTIONAL, processes=OPTIONAL),
)
def test_never_more_than_either(wish, cap):
    got = limits(10.0, wish, cap)
    for name in ("cpus", "memory", "disk", "processes"):
        assert getattr(got, name) <= getattr(wish, name)
        assert getattr(cap, name) is None or getattr(got, name) <= getattr(cap, name)
    assert got.disk <= got.memory, "what a room writes lies in memory"
    assert got.address_space == (got.memory + ADDRESS_SPACE_SLACK if wish.limit_address_space else None)


def test_no_cap_is_the_wish():
    got = limits(1.5, Resources(cpus=3))
    assert (got.seconds, got.memory, got.processes, got.cpu_seconds) == (1.5, 1024**3, 64, 6)
    assert limits(1.5, Resources(), Caps(seconds=0.5)).seconds == 0.5


@given(memory=st.integers(2 * LEAST_MEMORY, 2**50), kept=SIZES)
def test_rooms_that_are_there_at_once_share_what_the_owner_gives(memory, kept):
    caps = Caps(memory=memory, cpus=3)
    halved, beside = caps.halved().memory, caps.beside(kept).memory
    assert memory - 1 <= 2 * halved <= memory
    assert beside == max(LEAST_MEMORY, memory - kept)
    assert caps.halved().cpus == 3
    assert Caps().halved() == Caps().beside(kept) == Caps()


def test_only_known_variables():
    assert set(environment("/bin", 4, {"AR_SEED": "1"})) == {
        "PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE", "AR_SEED", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    }  # fmt: skip
    assert environment("/bin", 4, {})["OMP_NUM_THREADS"] == "4"
