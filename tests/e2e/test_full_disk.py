"""A full disk: one clear error, nothing half-written, and the pool goes on when there is room again."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

PROBLEM = "zlib-dictionary"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with ExitStack() as stack:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", str(folder)], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
        yield folder


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk small enough to fill")
def test_full_disk(
    pool_at: Callable[[Path], Any], small_disk: Path, tmp_path: Path, problems: Path, candidates: Path
) -> None:
    pool = pool_at(small_disk / "data")
    alice = pool.person(tmp_path / "alice", "alice")
    alice.publish(problems / PROBLEM)
    rubbish = small_disk / "rubbish"
    rubbish.write_bytes(bytes(shutil.disk_usage(small_disk).free))

    refused = alice.propose(PROBLEM, candidates / PROBLEM / "better.txt")
    assert (refused.code, refused.error["code"]) == (1, "AR-C605"), refused
    assert "Traceback" not in refused.err

    rubbish.unlink()
    pool.wait_until_it_answers()
    accepted = alice.propose(PROBLEM, candidates / PROBLEM / "better.txt")
    assert (accepted.code, accepted.document["status"]) == (0, "accepted"), accepted
    assert len(alice.log(PROBLEM)) == 1
