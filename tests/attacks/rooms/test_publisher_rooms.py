"""Rows 42 to 48 of the threats: a publisher's scorer on a volunteer's machine; each test is named by its row.

A volunteer's machine has no hidden files, and caps of its own.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_client.output import Output
from ar_core.errors import PoolError
from ar_core.manifest import read_manifest
from ar_core.problem import Resources
from ar_sandbox.policy import Caps, limits
from ar_sandbox.rooms import PreparedProblem, Sandbox

MIB = 1024**2
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\x08"
NEEDS = b'[environment]\nrequirements = "requirements.txt"\n'
SETUP = """
from pathlib import Path
from setuptools import setup
Path({!r}, "written-by-setup").write_text("x")
setup(name="evil", version="1.0")
"""


@pytest.fixture
def donated(trial: Any, victims: Callable[[str], dict[str, bytes]]) -> Callable[..., dict[str, Any]]:
    """Evaluate somebody's scorer as a volunteer would, then an honest problem; nothing may have got through."""

    def run(row: int, title: str, scorer: bytes, seconds: float | None = None, **caps: int) -> dict[str, Any]:
        remote = trial.remote
        trial.open("data")
        files = victims("data") | {"score.py": scorer}
        assert not remote.open("evil", files, with_hidden=False)
        try:
            result = remote.evaluate("evil", b"[]", seconds, **caps)
        finally:
            remote.close("evil")
        after = trial.honest("data")
        told = json.dumps([result["feedback"], result["secondary"]])
        read, connections = told.count("canary-home") + told.count("canary-env"), remote.host.connections()
        harmed = after["score"] != 30
        left = result["left"] + after["left"]
        trial.record(
            row=row, title=title, kind="data", backend=remote.backend, verdict=result["outcome"], read=read,
            seconds=result["seconds"], connections=connections, left=len(left), harmed=harmed,
        )  # fmt: skip
        assert (read, connections, left, harmed) == (0, 0, [], False), result
        return result

    return run


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("row_08_hidden_data_seed_environment", "looked at [1-9]"),
        ("row_22_network", "reached 0 of 9"),
        ("row_20_kill_and_trace", "host ESRCH, ptrace EPERM"),
        ("row_21_ways_out", "allowed 0 of 20"),
        ("row_25_locked_files_written", ""),
        ("row_18_flood_of_stdout", "output"),
        ("row_19_hang", "more than 1 s"),
        ("row_19_fork_bomb", ""),
        ("row_19_memory_of_a_tree", "memory"),
        ("row_19_disk", "wrote"),
    ],
)
def test_row_42_a_scorer_that_wants_keys_and_the_network(
    name: str, says: str, donated: Callable[..., Any], trial: Any, attack_named: Callable[[str], Any]
) -> None:
    attack = attack_named(name)
    result = donated(42, f"As a scorer: {attack.title}", trial.source(attack, "artifact"), attack.seconds)
    assert result["outcome"] != "infrastructure"
    assert re.search(says, result["feedback"]), result


def test_row_42_a_scorer_that_mines_coins(donated: Callable[..., Any]) -> None:
    source = b"import os\nfor _ in range(3):\n    os.fork()\nwhile True:\n    pass\n"
    assert donated(42, "Keeps every core busy for ever.", source, 1, cpus=1)["outcome"] == "timeout"


@pytest.mark.parametrize("name", ["row_07_daemon_that_rewrites", "row_24_load_left_behind"])
def test_row_48_what_a_scorer_leaves_behind(
    name: str, donated: Callable[..., Any], trial: Any, attack_named: Callable[[str], Any]
) -> None:
    attack = attack_named(name)
    donated(48, f"As a scorer: {attack.title}", trial.source(attack, "artifact"))


def test_row_48_no_device_but_the_ordinary_ones(donated: Callable[..., Any]) -> None:
    source = b"import os, sys\nsys.exit(' '.join(sorted(os.listdir('/dev'))))\n"
    names = set(donated(48, "Looks for a GPU and other devices.", source)["feedback"].splitlines()[0].split())
    assert names <= {
        "console", "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    }  # fmt: skip


def test_row_45_a_room_is_no_larger_than_its_owner_says(donated: Callable[..., Any]) -> None:
    source = b"""
import os, resource, sys
tmp = os.statvfs("/tmp")
print(resource.getrlimit(resource.RLIMIT_AS)[0] >> 20, tmp.f_blocks * tmp.f_frsize >> 20,
      resource.getrlimit(resource.RLIMIT_NPROC)[0], os.environ["OMP_NUM_THREADS"], file=sys.stderr)
sys.exit(1)
"""
    said = donated(45, "Asks how large its room is.", source, memory=64 * MIB, disk=2 * MIB, processes=9, cpus=1)
    memory, disk, processes, threads = map(int, said["feedback"].split()[:4])
    assert (memory, disk, processes, threads) == (64 + 256, 2, 9, 1)


@given(
    cpus=st.integers(1, 10**6), memory=st.integers(1, 10**15), disk=st.integers(1, 10**15),
    processes=st.integers(1, 10**9), seconds=st.floats(0.1, 1e9),
)  # fmt: skip
def test_row_45_ten_terabytes_are_the_owners_gibibyte(
    cpus: int, memory: int, disk: int, processes: int, seconds: float
) -> None:
    wish = Resources(cpus=cpus, memory=memory, disk=disk, processes=processes)
    given = limits(seconds, wish, Caps(cpus=2, memory=1024 * MIB, disk=64 * MIB, processes=32, seconds=60))
    assert given.cpus <= 2
    assert given.memory <= 1024 * MIB
    assert given.disk <= 64 * MIB
    assert given.processes <= 32
    assert given.seconds <= 60
    assert given.cpu_seconds <= 121


def test_row_45_what_nobody_has_is_cut(victims: Callable[[str], dict[str, bytes]]) -> None:
    manifest = victims("data")["problem.toml"].replace(b'memory = "128MiB"', b'memory = "10TiB"')
    assert limits(1, read_manifest(manifest).resources, Caps(memory=MIB)).memory == MIB


def test_row_43_a_package_that_has_to_be_built_is_never_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victims: Callable[[str], dict[str, bytes]]
) -> None:
    """Its hash is right and the index has it; but only an archive of sources, whose setup.py would run here."""
    home, index = tmp_path / "home", tmp_path / "index"
    home.mkdir()
    index.mkdir()
    archive = index / "evil-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        for name, text in (("setup.py", SETUP.format(str(home))), ("PKG-INFO", "Name: evil\nVersion: 1.0\n")):
            entry = tarfile.TarInfo(f"evil-1.0/{name}")
            entry.size = len(text)
            made.addfile(entry, io.BytesIO(text.encode()))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    files = victims("data")
    files["requirements.txt"] = f"evil==1.0 --hash=sha256:{digest}\n".encode()
    prepared = PreparedProblem.of(read_manifest(files["problem.toml"] + NEEDS), files)
    with pytest.raises(PoolError) as caught:
        Sandbox.detect(environments=tmp_path / "environments").open(prepared).close()
    assert "evil==1.0" in caught.value.detail
    assert not list(home.rglob("written*"))


def test_row_47_what_a_scorer_says_is_shown_without_what_a_terminal_obeys(donated: Callable[..., Any]) -> None:
    source = f"import sys\nprint({ESCAPES + 'invalid: red'!r}, file=sys.stderr)\nsys.exit(1)\n".encode()
    feedback = donated(47, "Writes what a terminal obeys.", source)["feedback"]
    assert "red" in feedback
    assert not set(feedback) & set("\x1b\x07\x9b\u202e\r\x08")


@pytest.mark.parametrize("as_json", [False, True])
def test_row_47_no_command_shows_what_a_terminal_obeys(as_json: bool) -> None:
    out, err = io.StringIO(), io.StringIO()
    voice = Output(as_json=as_json, stdout=out, stderr=err)
    voice.data(f"a {ESCAPES} title")
    voice.say(f"a {ESCAPES} name")
    voice.table(["name"], [[f"b {ESCAPES}\n{ESCAPES}"]])
    voice.document({"name": ESCAPES})
    shown = out.getvalue() + err.getvalue()
    assert "title" in shown
    assert not set(shown) & set("\x1b\x07\x9b\u202e\r\x08")
