"""Reading a problem's folder: what is left out, what is refused."""

import os

import pytest

from ar_core.errors import PoolError
from ar_core.manifest import MAX_FILES
from ar_sandbox.registration import load_folder


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


@pytest.mark.parametrize("make", [link, folder_link, fifo, deep, many, large])
def test_refuses(problem, make):
    make(problem)
    with pytest.raises(PoolError) as caught:
        load_folder(problem)
    assert caught.value.code == "AR-P302"
    assert caught.value.detail
    assert caught.value.hint


def test_refuses_what_is_no_problem(tmp_path):
    with pytest.raises(PoolError, match=r"problem\.toml"):
        load_folder(tmp_path)
    with pytest.raises(PoolError, match="not a folder"):
        load_folder(tmp_path / "missing")
