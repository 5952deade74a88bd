"""Reading a problem's folder: what is left out, what is found, what is refused."""

import os
import stat

import pytest

from ar_core.errors import PoolError
from ar_core.manifest import MAX_FILES
from ar_sandbox.folder import load_folder, read_folder


@pytest.fixture
def problem(tmp_path):
    (tmp_path / "problem.toml").write_text("x")
    return tmp_path


def test_reads_files_and_leaves_out_what_is_not_the_problem(problem):
    for path in (".git/config", "data/a.txt", "data/__pycache__/x.py", ".venv/bin/python", "score.pyc"):
        (problem / path).parent.mkdir(parents=True, exist_ok=True)
        (problem / path).write_text(path)
    assert load_folder(problem) == {"problem.toml": b"x", "data/a.txt": b"data/a.txt"}


def link(folder):
    (folder / "link").symlink_to("problem.toml")


def folder_link(folder):
    (folder / "link").symlink_to("/etc")


def fifo(folder):
    os.mkfifo(folder / "pipe")


def deep(folder):
    folder.joinpath(*["d"] * 20).mkdir(parents=True)


def many(folder):
    for number in range(MAX_FILES):
        (folder / f"{number:05}").touch()


def large(folder):
    with (folder / "large").open("wb") as file:
        file.truncate(65 * 1024**2)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (link, "link is a link"), (folder_link, "link is a link"), (fifo, "pipe is not a regular file"),
        (deep, "more than 16 folders deep"), (many, "more than 2000 files"), (large, "more than 64 MiB in all"),
    ],
)  # fmt: skip
def test_finds_what_no_problem_may_have(problem, make, said):
    make(problem)
    (finding,) = read_folder(problem).findings
    assert (finding.check, finding.severity) == ("files", "error")
    assert said in finding.message
    assert finding.fix
    with pytest.raises(PoolError) as caught:
        load_folder(problem)
    assert (caught.value.code, caught.value.detail, caught.value.hint) == ("AR-P302", finding.message, finding.fix)


def test_finds_everything_at_once_and_reads_the_rest(problem):
    link(problem)
    fifo(problem)
    (problem / "problem.toml").rename(problem / "real")
    (problem / "problem.toml").symlink_to("real")
    folder = read_folder(problem)
    assert [finding.message for finding in folder.findings] == [
        "link is a link", "pipe is not a regular file", "problem.toml is a link",
    ]  # fmt: skip
    assert folder.files == {"real": b"x"}


def test_does_not_go_on_for_ever(problem):
    for number in range(1000):
        (problem / f"{number:04}").symlink_to("problem.toml")
    assert len(read_folder(problem).findings) == 20


def test_refuses_what_is_no_problem(tmp_path):
    with pytest.raises(PoolError, match=r"problem\.toml"):
        load_folder(tmp_path)
    with pytest.raises(PoolError, match="not a folder"):
        load_folder(tmp_path / "missing")


def test_a_folder_of_anything_is_not_read_through(tmp_path):
    many(tmp_path)
    with pytest.raises(PoolError, match=r"has no problem\.toml"):
        read_folder(tmp_path)


@pytest.fixture
def ordinary():
    """Be somebody whom permissions hold back."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def unreadable(problem, monkeypatch):
    problem.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    (problem / "score.py").write_text("x")
    (problem / "score.py").chmod(0)
    # From within: the folders above may be closed to others.
    monkeypatch.chdir(problem)
    return problem


def test_what_cannot_be_read_is_told_with_its_path(unreadable, ordinary):
    with pytest.raises(PoolError) as caught:
        read_folder(type(unreadable)())
    assert (caught.value.code, caught.value.detail) == ("AR-A106", "score.py: Permission denied")
    assert caught.value.hint == "check the path and its permissions"
