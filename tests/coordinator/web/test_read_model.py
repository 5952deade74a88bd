"""The read model: files of main only, and what is counted."""

import subprocess
from typing import Any

import pytest

from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState

NAME = "zlib-dictionary"


def test_file_at_defaults_to_the_best_version(filled: Any) -> None:
    content, path, commit = filled.read.file_at(NAME)
    assert path == "dictionary.txt"
    assert commit == filled.read.existing(NAME).head
    assert content == b"Share prefixes between kinds of message\n5575.0\n"


def test_file_at_every_record(filled: Any) -> None:
    for record in filled.read.records(NAME)[1:]:
        content, _, commit = filled.read.file_at(NAME, record.commit)
        assert commit == record.commit
        assert content.startswith(record.note.encode())
    assert filled.read.file_at(NAME, path="program.md")[0].decode() == filled.read.program(NAME)


def stray_commit(filled: Any) -> str:
    """A commit in the repository that is not on main, as the ledger's are."""
    repository = filled.repository(NAME)
    tree = repository.store.run(["rev-parse", "HEAD^{tree}"]).decode().strip()
    git = ["git", "-c", "safe.directory=*", "-c", "user.name=x", "-c", "user.email=x@x.invalid"]
    made = subprocess.run([*git, "--git-dir", str(repository.path), "commit-tree", tree, "-m", "stray"],
                          capture_output=True, check=True)  # fmt: skip
    return made.stdout.decode().strip()


def test_file_at_knows_main_only(filled: Any) -> None:
    tree = filled.repository(NAME).store.run(["rev-parse", "HEAD^{tree}"]).decode().strip()
    head = filled.read.existing(NAME).head
    for commit in (
        stray_commit(filled),
        tree,
        "0" * 40,
        "main",
        "HEAD",
        head[:12],
        head.upper(),
        "--help",
        "-",
        head + "\n",
    ):
        with pytest.raises(PoolError) as failure:
            filled.read.file_at(NAME, commit)
        assert failure.value.code == "AR-X403"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "hidden/messages.txt", "data", "no.txt", "a\x00b", ":x"])
def test_file_at_has_no_other_files(filled: Any, path: str) -> None:
    with pytest.raises(PoolError) as failure:
        filled.read.file_at(NAME, path=path)
    assert failure.value.code == "AR-X403"


def test_unknown_problem_is_a_told_error(filled: Any) -> None:
    read = filled.read
    for call in (
        read.manifest,
        read.program,
        read.experiments,
        read.records,
        read.points,
        read.leaderboard,
        read.file_at,
    ):
        with pytest.raises(PoolError) as failure:
            call("no-such-problem")
        assert failure.value.code == "AR-P300"
    assert read.problem("no-such-problem") is None
    assert read.problem(f"{NAME}:next") is None
    assert read.experiment("x-zz") is None


def test_counts_and_recent(filled: Any) -> None:
    counts = filled.read.counts(NAME)
    assert sum(counts.values()) == 21
    assert counts[ExperimentState.HELD] == 1
    assert counts[ExperimentState.RECORDED] == 11
    recent = filled.read.recent(5)
    assert recent[0].note == "Cosine schedule"
    assert len({x.id for x in recent}) == 5
