"""The probe: all holds here, each hole would be seen, and a machine that hides /proc gets rooms without one."""

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ar_core.errors import Exit, PoolError
from ar_sandbox import probe
from ar_sandbox.grade import Grade, demanded, refuse_below
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.memory_cap import Watched, behind_the_kernel
from ar_sandbox.policy import MIB
from ar_sandbox.probe import Check, ProbeReport
from ar_sandbox.supervisor import End

CLOSED = {
    "canaries": [], "environment": {"PATH": "/bin"}, "first_environment": [""], "first_command": "bwrap --args 5",
    "mounts": "5 4 0:41 / /python ro - overlay stage ro,lowerdir=/mnt/python.from", "send buffer": 0,
    "processes": 2, "tcp": "EPERM", "udp": "EPERM", "abstract": "ECONNREFUSED", "writes": [], "unshare": "EPERM",
    "capabilities": 0, "no_new_privileges": 1, "seccomp": 2, "memfd": "EPERM", "shared memory": "EPERM",
    "descriptors": [0, 1, 2], "user": 65534,
}  # fmt: skip
HOLES = [
    ("files", {"canaries": ["/home/x/canary"]}),
    ("environment", {"environment": {"PATH": "/bin", "SECRET": "1"}}),
    ("environment", {"environment": {"PATH": "/home/x/bin"}}),
    ("environment", {"environment": {"AR_HOME": "/home/x"}}),
    ("environment", {"first_environment": ["KEY=1", ""]}),
    ("command line", {"first_command": "bwrap --ro-bind /home/x/python /python"}),
    ("mounts", {"mounts": "5 4 254:0 /home/x/python /python ro - ext4 /dev/vda rw"}),
    ("processes", {"processes": 9}),
    ("network", {"tcp": ""}),
    ("network", {"udp": ""}),
    ("network", {"abstract": ""}),
    ("writes", {"writes": ["/"]}),
    ("namespaces", {"unshare": ""}),
    ("rights", {"capabilities": 1 << 21}),
    ("rights", {"no_new_privileges": 0}),
    ("system calls", {"seccomp": 0}),
    ("system calls", {"memfd": ""}),
    ("system calls", {"shared memory": ""}),
    ("system calls", {"send buffer": 4096}),
    ("descriptors", {"descriptors": [0, 1, 2, 5]}),
    ("user", {"user": 0}),
]


def judge(seen: dict[str, object], reached: list[str] | None = None) -> list[Check]:
    return probe._judge(seen, reached or [], {"PATH": "/bin"}, ["/home/x/python"])


def broken(checks: list[Check]) -> list[Check]:
    return [check for check in checks if not check.ok]


def test_everything_holds_here(sandbox):
    report = sandbox.probe()
    assert broken(list(report.checks)) == []
    assert [check.name for check in report.checks] == [
        "files", "environment", "command line", "mounts", "processes", "network", "writes", "namespaces", "rights",
        "system calls", "descriptors", "user", "process limit", "memory limit", "disk limit", "nothing left",
    ]  # fmt: skip
    assert all(check.detail and not check.fix for check in report.checks)
    assert report.grade is (Grade.A if sandbox.machine.memory_cap.by_kernel else Grade.B)
    assert "bubblewrap" in report.reason
    assert report.memory_cap in report.reason
    assert bool(report.better) is (report.grade is Grade.B)


def test_nothing_of_the_probe_stays_at_home(sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sandbox.probe().grade.reaches(Grade.B)
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_written_to_is_no_hole(sandbox, monkeypatch):
    monkeypatch.setenv("HOME", "/nonexistent")
    assert sandbox.probe().grade.reaches(Grade.B)


def test_a_closed_room_passes():
    assert broken(judge(CLOSED)) == []


@pytest.mark.parametrize(("name", "seen"), HOLES)
def test_each_hole_is_seen_and_has_a_fix(name, seen):
    found = broken(judge({**CLOSED, **seen}))
    assert [check.name for check in found] == [name]
    assert found[0].fix
    assert found[0].detail


def test_where_the_kernel_cannot_hide_the_path_of_python_the_probe_says_it():
    """A machine is no worse for its strangers; its owner should know."""
    seen = {**CLOSED, "mounts": "5 4 254:0 /home/x/python /python ro - ext4 /dev/vda rw"}
    found = probe._judge(seen, [], {"PATH": "/bin"}, ["/home/x/python"], neutral=False)
    assert broken(found) == []
    assert "strangers can read: /home/x/python" in [check.detail for check in found]


def test_what_a_listener_saw_counts_whatever_the_room_says():
    assert [check.name for check in broken(judge(CLOSED, ["TCP"]))] == ["network"]


class Weak:
    """A machine whose rooms keep no limit, though it asks for one: what the checks of limits have to see."""

    def __init__(self, machine):
        self._machine = machine

    def run(self, stage, command, *, limits, **more):
        weaker = replace(limits, memory=4096 * MIB, processes=400, disk=1024 * MIB, output=64 * MIB, seconds=3)
        return self._machine.run(stage, command, limits=weaker, **more)


def test_a_room_without_limits_is_seen(sandbox):
    with sandbox.machine.stage({}, room_for=MIB) as stage:
        stage.write("probe/probe.py", probe._INSIDE.read_bytes())
        found = probe._limited(Weak(sandbox.machine), stage)
    assert {check.name for check in broken(found)} == {"process limit", "memory limit", "disk limit"}
    assert all(check.fix and check.detail for check in found)


class _Nothing:
    """A cap that claims to be the kernel's and keeps nothing, though the watcher stands behind it."""

    name = "nothing"
    by_kernel = True

    def room(self, limits):
        made = Watched().room(limits)
        made.watched = behind_the_kernel(limits)
        return made


def test_grade_a_is_for_a_kernel_that_ends_the_room_itself(sandbox):
    """The watcher that stands behind the kernel is not taken for it: what is tried is too little for that one."""
    machine = copy.copy(sandbox.machine)
    machine.memory_cap = _Nothing()
    with machine.stage({}, room_for=MIB) as stage:
        stage.write("probe/probe.py", probe._INSIDE.read_bytes())
        run = probe._run(machine, stage, replace(probe._SMALL, seconds=5), "memory")
    assert run.end is End.TIMEOUT, run.detail


@pytest.mark.parametrize("leader", ["lives", "ended"])
def test_the_memory_that_is_tried_is_found_in_both_kinds_of_process(in_room, leader):
    """Each kind alone is within the limit, and both are needed to be over it: neither may go uncounted."""
    source = probe._INSIDE.read_text().replace("range(4)", f"range({int(leader == 'ended')}, 4, 2)")
    run = in_room(source, "memory", limits=replace(TRIAL_LIMITS, memory=80 * MIB))
    assert run.end is End.OUT_OF_MEMORY, run.detail


def test_grades_are_in_order():
    assert Grade.A.reaches(Grade.B)
    assert Grade.B.reaches(Grade.B)
    assert not Grade.B.reaches(Grade.A)
    assert not Grade.NONE.reaches(Grade.C)


def test_an_owner_may_demand_more_but_never_less_than_b():
    assert demanded({}) is demanded({"AR_MIN_GRADE": ""}) is demanded({"AR_MIN_GRADE": "B"}) is Grade.B
    assert demanded({"AR_MIN_GRADE": "A"}) is Grade.A
    for word in ("C", "none", "a", "best"):
        with pytest.raises(PoolError) as caught:
            demanded({"AR_MIN_GRADE": word})
        assert (caught.value.code, caught.value.exit_code) == ("AR-A101", Exit.USAGE)


@pytest.mark.parametrize(("least", "grade"), [(Grade.B, Grade.C), (Grade.B, Grade.NONE), (Grade.A, Grade.B)])
def test_below_the_demanded_grade_nothing_runs(least, grade):
    hole = Check(name="network", ok=False, detail="reached: TCP", fix="…")
    reason = ProbeReport(grade=grade, checks=(hole,)).reason
    with pytest.raises(PoolError) as caught:
        refuse_below(least, grade, reason)
    assert (caught.value.code, caught.value.exit_code) == ("AR-S500", Exit.NO_SANDBOX)
    assert "network" in caught.value.message
    refuse_below(least, least, reason)


MASKED = """
import json, sys
from dataclasses import replace
from ar_core.manifest import read_manifest
from ar_sandbox.bwrap import Bind
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.rooms import PreparedProblem, RunSeeds, Sandbox
sandbox = Sandbox.detect()
report = sandbox.probe()
files = {name: text.encode() for name, text in json.load(sys.stdin).items()}
prepared = PreparedProblem.of(read_manifest(files["problem.toml"]), files)
result = sandbox.evaluate(prepared, b"1", RunSeeds(run=1, scorer=1))
print(json.dumps({"grade": report.grade, "own_proc": report.own_proc, "reason": report.reason,
                  "broken": [check.name for check in report.checks if not check.ok],
                  "outcome": result.outcome, "feedback": result.feedback}))
"""


NO_PROC = "import os\nassert os.listdir('/proc') == []\nprint('x: 1')"
TREE = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        block = bytearray(90 << 20)
        time.sleep(600)
time.sleep(600)
"""


@pytest.mark.parametrize(("score", "outcome"), [(NO_PROC, "ok"), (TREE, "out_of_memory")])
def test_8_where_parts_of_proc_are_covered_a_room_has_none(folder, score, outcome):
    """As in a container: the kernel refuses a new /proc where a part of the old one is hidden. Never the host's then.

    Also the watcher sees the whole tree, although the room lists no processes.
    """
    root = ["--cap-add", "ALL"] if os.geteuid() == 0 else []
    covered = next(name for name in ("/proc/irq", "/proc/bus", "/proc/fs", "/proc/driver") if Path(name).is_dir())
    paths = os.pathsep.join(str(Path(sys.modules[n].__file__).parents[1]) for n in ("ar_core", "ar_sandbox"))
    done = subprocess.run(
        ["bwrap", *root, "--dev-bind", "/", "/", "--tmpfs", covered, "--", sys.executable, "-c", MASKED],
        input=json.dumps({n: data.decode() for n, data in folder(score=score).files().items()}),
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["broken"], found["own_proc"]) == ([], False)
    assert found["grade"] in {Grade.A, Grade.B}
    assert "without /proc" in found["reason"]
    assert found["outcome"] == outcome, found["feedback"]


def test_a_room_without_a_proc_of_its_own_is_limited_too(sandbox):
    """On any machine: the same room as above, made where it would not have to be."""
    machine = sandbox.machine
    before, machine.own_proc = machine.own_proc, False
    try:
        with machine.stage({}, room_for=MIB) as stage:
            stage.write("probe/probe.py", probe._INSIDE.read_bytes())
            run = probe._run(machine, stage, replace(TRIAL_LIMITS, memory=128 * MIB), "memory")
    finally:
        machine.own_proc = before
    assert run.end is End.OUT_OF_MEMORY
