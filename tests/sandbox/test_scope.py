"""Memory caps by systemd scopes: the command line, what the room is spared of it, and when it is not believed.

``systemd-run`` is a script here that writes down how it was called and becomes the command, as the real one does;
what a service manager makes of it is not run here. The tree of control groups is a folder.
"""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ar_sandbox import scope
from ar_sandbox.cgroup import own_group
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.policy import MIB

STAND_IN = """#!/bin/sh
printf '%s\\n' "$@" > {record}/words
/usr/bin/env > {record}/variables
while [ "$1" != -- ]; do shift; done
shift
INVOCATION_ID=secret exec "$@"
"""


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    runtime = tmp_path / "runtime"
    (runtime / "systemd").mkdir(parents=True)
    return {"XDG_RUNTIME_DIR": str(runtime), "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x", "SECRET": "canary"}


@pytest.fixture
def folders(tmp_path: Path) -> str:
    """A search path on which the stand-in comes first."""
    program = tmp_path / "programs" / "systemd-run"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(record=tmp_path))
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The group of this process, with the limits that the trial asks for."""
    top = tmp_path / "tree"
    own = top / own_group(Path("/proc/self/cgroup").read_text())
    own.mkdir(parents=True)
    (own / "memory.max").write_text(f"{scope._TRIAL_BYTES}\n")
    (own / "memory.oom.group").write_text("1\n")
    return top


def test_a_scope_that_holds_is_used(folders, variables, tree, tmp_path):
    assert scope.find(folders, variables, str(tree)) is not None
    words = (tmp_path / "words").read_text().splitlines()
    end = words.index("--")
    assert words[: end + 1] == [
        "--user", "--scope", "--quiet", "--collect", "-p", f"MemoryMax={64 * MIB}", "-p", "MemorySwapMax=0",
        "-p", "TasksMax=12", "-p", "OOMPolicy=kill", "--",
    ]  # fmt: skip
    given = (tmp_path / "variables").read_text()
    assert f"XDG_RUNTIME_DIR={variables['XDG_RUNTIME_DIR']}\n" in given
    assert "canary" not in given


def test_nothing_of_the_manager_reaches_what_runs_in_it(folders, variables, tree):
    room = scope.find(folders, variables, str(tree)).room(replace(TRIAL_LIMITS, memory=77 * MIB))
    assert "MemoryMax=80740352" in room.words
    assert room.watched.memory > 77 * MIB
    done = subprocess.run(
        [*room.words, "/usr/bin/env"],
        env=dict(room.variables),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == ""
    said = subprocess.run(
        [*room.words, "/bin/echo", "two words", "$HOME", "a'b"],
        env=dict(room.variables), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert said.stdout == "two words $HOME a'b\n"


@pytest.mark.parametrize("limit", ["max", "134217728", ""])
def test_a_manager_that_sets_no_limit_is_not_believed(folders, variables, tree, limit):
    """As on a system with the old control groups, where the setting is ignored without a word."""
    [file] = tree.rglob("memory.max")
    file.write_text(limit)
    assert scope.find(folders, variables, str(tree)) is None


def test_a_manager_that_lets_a_part_of_a_room_live_is_not_believed(folders, variables, tree):
    [file] = tree.rglob("memory.oom.group")
    file.write_text("0\n")
    assert scope.find(folders, variables, str(tree)) is None


def test_without_a_group_of_that_name_there_is_no_scope(folders, variables, tmp_path):
    assert scope.find(folders, variables, str(tmp_path / "nothing")) is None


def test_a_manager_that_refuses(folders, variables, tree):
    Path(folders.partition(":")[0], "systemd-run").write_text(
        "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n"
    )
    assert scope.find(folders, variables, str(tree)) is None


def test_where_there_is_no_manager_nobody_is_asked(folders, variables, tree, tmp_path):
    (tmp_path / "empty").mkdir()
    for known in ({}, {"XDG_RUNTIME_DIR": str(tmp_path / "empty")}):
        assert scope.find(folders, known, str(tree)) is None
    assert scope.find(str(tmp_path / "empty"), variables, str(tree)) is None
    assert not (tmp_path / "words").exists()
