"""Memory caps by control groups: which group is divided, and what a room's group is told.

The tree is a folder with the files that a kernel has there, so the choice can be tested anywhere. What the kernel
makes of it is tested where it lets us (``by the kernel`` below): not on a machine without a memory controller.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ar_core.errors import PoolError
from ar_sandbox import cgroup
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.memory_cap import Watched, choices
from ar_sandbox.policy import MIB
from ar_sandbox.rooms import Outcome, RunSeeds
from ar_sandbox.supervisor import End

ALL = "cpu io memory pids"


def group(folder: Path, *, controllers: str = ALL, divided: str = "", processes: str = "") -> Path:
    """Make a group as a kernel shows it; a file that was written to begins with what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("cgroup.controllers", controllers), ("cgroup.subtree_control", divided), ("cgroup.procs", processes),
        ("memory.max", "max"), ("memory.oom.group", "0"), ("memory.swap.max", "max"), ("pids.max", "max"),
    ):  # fmt: skip
        (folder / name).write_text(text)
    return folder


def test_reading_what_the_kernel_says():
    assert cgroup.own_group("9:pids:/\n4:memory:/old\n0::/user.slice/me.scope\n") == "user.slice/me.scope"
    assert cgroup.own_group("0::/\n") == ""
    assert cgroup.own_group("4:memory:/only/the/old/kind\n") == ""
    line = "30 24 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    other = "31 24 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    assert cgroup.mounted_at(other + line.format(root="/")) == (Path("/sys/fs/cgroup"), "")
    assert cgroup.mounted_at(line.format(root="/docker/abc")) == (Path("/sys/fs/cgroup"), "docker/abc")
    assert cgroup.mounted_at(other) is None


def test_the_nearest_group_that_can_be_divided(tmp_path):
    group(tmp_path, divided="memory pids")
    group(tmp_path / "slice", divided="cpu memory pids")
    group(tmp_path / "slice" / "own", divided="memory pids")
    assert list(cgroup.divisible(tmp_path, "slice/own")) == [
        tmp_path / "slice" / "own", tmp_path / "slice", tmp_path
    ]  # fmt: skip
    assert next(cgroup.divisible(tmp_path, "")) == tmp_path


def test_a_group_is_divided_where_it_was_not(tmp_path):
    group(tmp_path, divided="memory")
    assert list(cgroup.divisible(tmp_path, "")) == [tmp_path]
    assert (tmp_path / "cgroup.subtree_control").read_text().startswith("+pids")


def test_without_a_memory_controller_there_is_none(tmp_path):
    group(tmp_path, controllers="hugetlb")
    group(tmp_path / "own", controllers="cpu pids")
    assert list(cgroup.divisible(tmp_path, "own")) == []
    assert list(cgroup.divisible(tmp_path / "nothing", "")) == []


def test_never_outside_the_tree(tmp_path):
    group(tmp_path, divided=ALL)
    group(tmp_path / "mount", controllers="")
    assert list(cgroup.divisible(tmp_path / "mount", "../..")) == []
    assert list(cgroup.divisible(tmp_path / "mount", "")) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write whatever the mode is")
def test_somebody_elses_group_is_left_alone(tmp_path):
    closed = group(tmp_path / "closed", divided=ALL)
    closed.chmod(0o555)
    assert list(cgroup.divisible(closed, "")) == []
    closed.chmod(0o755)
    (closed / "cgroup.procs").chmod(0o444)
    assert list(cgroup.divisible(closed, "")) == []


def test_what_stepped_aside_is_not_divided_again(tmp_path):
    group(tmp_path, divided="memory pids")
    group(tmp_path / "ar-self")
    assert list(cgroup.divisible(tmp_path, "ar-self")) == [tmp_path]


def test_stepping_aside_moves_every_process(tmp_path):
    group(tmp_path, processes="11\n12\n")
    group(tmp_path / "ar-self")
    cgroup._step_aside(tmp_path)
    assert (tmp_path / "ar-self" / "cgroup.procs").read_text() == "12"  # one write each; this is the last


def test_what_a_rooms_group_is_told(tmp_path):
    made = cgroup._CgroupRoom(group(tmp_path / "room"), replace(TRIAL_LIMITS, memory=77 * MIB, processes=9))
    made.set_limits()
    made.take(4711)

    def says(name: str) -> str:
        return (tmp_path / "room" / name).read_text()

    assert says("memory.max") == str(77 * MIB)
    assert says("memory.oom.group") == "1"
    assert says("memory.swap.max").startswith("0")
    assert says("pids.max").startswith("13")  # and four that are ours
    assert says("cgroup.procs") == "4711"
    assert made.watched.memory > 77 * MIB, "the kernel has to be first"
    assert (made.words, dict(made.variables)) == ((), {})


def test_a_kernel_that_does_not_count_swap(tmp_path):
    room = group(tmp_path / "room")
    (room / "memory.swap.max").unlink()
    cgroup._CgroupRoom(room, TRIAL_LIMITS).set_limits()
    (room / "memory.max").unlink()
    with pytest.raises(FileNotFoundError):
        cgroup._CgroupRoom(room, TRIAL_LIMITS).set_limits()


@pytest.mark.parametrize(
    ("events", "out"), [("oom 1\noom_kill 9\n", True), ("oom 3\noom_kill 0\n", False), ("", False)]
)
def test_who_killed_it(tmp_path, events, out):
    room = group(tmp_path / "room")
    (room / "memory.events").write_text(f"low 0\nhigh 0\nmax 12\n{events}oom_group_kill 0\n" if events else "")
    assert cgroup._CgroupRoom(room, TRIAL_LIMITS).ran_out() is out


def test_groups_of_the_dead_are_removed(tmp_path):
    mine, theirs = tmp_path / f"ar-room-{os.getpid()}-0", tmp_path / "ar-room-0-0"
    mine.mkdir()
    theirs.mkdir()
    cgroup._sweep(tmp_path)
    assert mine.is_dir()
    assert not theirs.exists()


def test_a_folder_that_is_no_control_group_does_not_work(tmp_path):
    """The trial asks the kernel, which knows nothing of this folder."""
    assert cgroup._works(cgroup.Cgroup(group(tmp_path, divided=ALL))) is False


def test_the_last_choice_is_the_watcher():
    found = list(choices())
    assert isinstance(found[-1], Watched)
    assert all(cap.by_kernel for cap in found[:-1])
    assert found[-1].room(TRIAL_LIMITS).watched == TRIAL_LIMITS


# by the kernel: with cgroup v2 and a memory controller only


@pytest.fixture
def kernel_cap(sandbox):
    if not sandbox.machine.memory_cap.by_kernel:
        pytest.skip("this machine has no memory cap of the kernel for us")
    return sandbox.machine.memory_cap


TREE = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        block = bytearray(40 << 20)
        time.sleep(600)
time.sleep(600)
"""


def test_the_kernel_ends_the_whole_room(kernel_cap, in_room):
    run = in_room(TREE, limits=replace(TRIAL_LIMITS, memory=96 * MIB))
    assert run.end is End.OUT_OF_MEMORY
    assert run.detail == "more than 96 MiB of memory", "the watcher's words are others"


def test_files_in_memory_count_for_the_kernel(kernel_cap, in_room):
    source = """
    kept = bytearray(60 << 20)
    open("/tmp/f", "wb").write(bytes(60 << 20))
    import time; time.sleep(600)
    """
    run = in_room(source, limits=replace(TRIAL_LIMITS, memory=96 * MIB, disk=80 * MIB))
    assert (run.end, run.detail) == (End.OUT_OF_MEMORY, "more than 96 MiB of memory")


def test_a_room_that_kills_itself_is_no_room_out_of_memory(kernel_cap, score):
    result = score("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert result.outcome is Outcome.CRASH


def test_nothing_of_a_room_stays_in_the_tree(kernel_cap, score):
    if not isinstance(kernel_cap, cgroup.Cgroup):
        pytest.skip("here a service manager removes them")
    assert score("print('x: 1')").score == 1
    assert list(kernel_cap.parent.glob(f"ar-room-{os.getpid()}-*")) == []


def test_a_cap_that_cannot_be_set_is_our_failure(kernel_cap, sandbox, folder):
    if not isinstance(kernel_cap, cgroup.Cgroup):
        pytest.skip("systemd sets it")
    sandbox.machine.memory_cap = cgroup.Cgroup(kernel_cap.parent / "missing")
    try:
        with pytest.raises(PoolError, match="memory cap"):
            sandbox.evaluate(folder().prepared(), b"1", RunSeeds(run=1, scorer=1))
    finally:
        sandbox.machine.memory_cap = kernel_cap
