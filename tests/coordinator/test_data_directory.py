"""The folder that a pool lives in: one pool at a time, of this version, never half written."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ar_coordinator.data_directory import DataDirectory, cannot_write, write_atomically
from ar_core.errors import PoolError

HOLD = """
import sys
from pathlib import Path
from ar_coordinator.data_directory import DataDirectory
with DataDirectory(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""

HOLD_REFEREE = HOLD.replace(".lock():", ".referee_lock(lambda: None):")


def make_no_keys(keys: Path) -> None:
    assert keys.is_dir()
    assert not (keys.parent / "pool.json").exists()


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(PoolError) as caught:
        yield
    assert caught.value.code == code


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "pool")
    directory.initialise("Test Pool", make_no_keys)
    return directory


def test_an_empty_directory_becomes_a_pools(directory: DataDirectory) -> None:
    assert directory.initialised
    assert directory.read_version() == {"schema": 1, "name": "Test Pool"}
    for folder in (directory.root, directory.keys, directory.git, directory.blobs, directory.redis, directory.run):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert directory.repository("bin-packing") == directory.root / "git" / "bin-packing.git"
    with refused("AR-C607"):
        directory.initialise("Again", make_no_keys)
    assert directory.read_version()["name"] == "Test Pool"


def test_a_directory_of_something_else_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with refused("AR-C607"):
        DataDirectory(tmp_path).initialise("Pool", make_no_keys)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert not DataDirectory(tmp_path).initialised
    with refused("AR-C607"):
        DataDirectory(tmp_path).read_version()
    with refused("AR-C607"):
        DataDirectory(tmp_path / "thesis.tex").initialise("Pool", make_no_keys)


@pytest.mark.parametrize("left", [["keys"], ["keys", "git", "lock"], [".pool.json.4242.17"], ["lost+found"]])
def test_a_half_made_directory_can_be_made_again(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).touch() if name.startswith((".", "lock")) else (tmp_path / name).mkdir()
    DataDirectory(tmp_path).initialise("Pool", make_no_keys)
    assert DataDirectory(tmp_path).initialised


@pytest.mark.parametrize("text", ['{"schema": 2}', "{}", "[]", "7", '{"schema": "1"}'])
def test_another_version_is_refused(directory: DataDirectory, text: str) -> None:
    (directory.root / "pool.json").write_text(text)
    with refused("AR-C601"):
        directory.read_version()


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_a_version_that_cannot_be_read_is_refused(directory: DataDirectory, data: bytes) -> None:
    (directory.root / "pool.json").write_bytes(data)
    with refused("AR-C607"):
        directory.read_version()


def test_one_process_at_a_time_holds_it(directory: DataDirectory) -> None:
    assert not directory.is_locked()
    command = [sys.executable, "-c", HOLD, str(directory.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert directory.is_locked()
        with refused("AR-C600"), directory.lock():
            pytest.fail("two pools in one directory")
        holder.kill()
    assert not directory.is_locked(), "the lock ends with its holder, however it ended"
    with directory.lock():
        assert directory.is_locked()
        with refused("AR-C600"), directory.lock():
            pytest.fail("two pools in one directory")
    assert not directory.is_locked()


def test_two_who_ask_are_no_pool_to_each_other(directory: DataDirectory) -> None:
    with directory.lock():
        pass
    with ThreadPoolExecutor(8) as threads:
        assert not any(threads.map(lambda _: directory.is_locked(), range(400)))


def test_a_directory_that_is_not_there_has_no_lock(tmp_path: Path) -> None:
    assert not DataDirectory(tmp_path / "nowhere").is_locked()
    with refused("AR-C607"), DataDirectory(tmp_path / "nowhere").lock():
        pytest.fail("there is nothing to hold")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_atomically(path, "one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_writers_at_the_same_time_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([n]) * 200_000 for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda data: write_atomically(path, data), contents * 4))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


FULL_AFTER_4_KIB = """
import resource, sys
from pathlib import Path
from ar_coordinator.data_directory import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(Path(sys.argv[1]), bytes(100_000))
except OSError:
    sys.exit(7)
"""


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    done = subprocess.run([sys.executable, "-c", FULL_AFTER_4_KIB, str(path)], check=False)
    assert done.returncode == 7
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("number", "code"), [(28, "AR-C605"), (122, "AR-C605"), (13, "AR-C607"), (30, "AR-C607")])
def test_a_full_disk_is_told_apart(number: int, code: str) -> None:
    error = cannot_write(Path("/data"), OSError(number, os.strerror(number)))
    assert error.code == code
    assert "/data" in error.message


def test_the_version_file_is_one_line_of_json(directory: DataDirectory) -> None:
    text = (directory.root / "pool.json").read_text()
    assert json.loads(text)
    assert text.endswith("\n")


def test_a_directory_that_cannot_be_looked_into_is_said(tmp_path: Path) -> None:
    # A name that no file system takes is a failure of every system call on it, for root too.
    directory = DataDirectory(tmp_path / ("x" * 300))
    for look in (lambda: directory.initialised, directory.is_locked, directory.read_version):
        with refused("AR-C607"):
            look()
    assert not DataDirectory(tmp_path / "none").initialised
    (tmp_path / "file").touch()
    assert not DataDirectory(tmp_path / "file").initialised
    assert not DataDirectory(tmp_path / "file").is_locked()


def test_a_second_referee_is_told_once_that_it_waits(directory: DataDirectory) -> None:
    waits: list[str] = []
    command = [sys.executable, "-c", HOLD_REFEREE, str(directory.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        def waits_now() -> None:
            waits.append("waits")
            holder.kill()

        with directory.referee_lock(waits_now):
            assert waits == ["waits"]
    with directory.referee_lock(lambda: waits.append("again")):
        assert waits == ["waits"]
