"""The read model: files of main only, ranks, and what is counted."""

import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.read_model import _across, _ranked
from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState
from ar_core.records import LeaderboardRow

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


def row(who: str, accepted: int, gain: float, share: float) -> LeaderboardRow:
    return LeaderboardRow(
        rank=0, contributor=who, accepted=accepted, gain=gain, share=share, experiments=accepted + 1
    )


def test_shares_of_the_pool_are_a_mean_over_problems_that_improved() -> None:
    boards = [[row("a", 1, 10.0, 1.0), row("b", 0, 0.0, 0.0)], [row("b", 2, 3.0, 0.75), row("a", 1, 1.0, 0.25)],
              [row("c", 0, 0.0, 0.0)]]  # fmt: skip
    rows = {r.contributor: r for r in _across(boards)}
    assert rows["a"].share == pytest.approx(0.625)
    assert rows["b"].share == pytest.approx(0.375)
    assert (rows["a"].accepted, rows["a"].experiments, rows["a"].gain) == (2, 4, None)


people = st.lists(
    st.builds(row, st.text("abcdef", min_size=1), st.integers(0, 3), st.sampled_from([0.0, 1.0, 2.5]), st.just(0.0)),
    unique_by=lambda r: r.contributor,
)


@given(rows=people, order=st.sampled_from(["gain", "accepted", "recent"]))
def test_ranks_never_put_less_before_more(rows: list[LeaderboardRow], order: Any) -> None:
    ranked = _ranked(rows, order)
    assert sorted(r.contributor for r in ranked) == sorted(r.contributor for r in rows)
    assert [r.rank for r in ranked] == sorted(r.rank for r in ranked)
    for place, r in enumerate(ranked, start=1):
        assert r.rank <= place
    if order == "gain":
        assert [r.gain for r in ranked] == sorted((r.gain or 0.0 for r in rows), reverse=True)
    assert ranked == _ranked(list(reversed(rows)), order)
