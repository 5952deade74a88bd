"""What a folder that is published again changes: which keys and files its scores depend on."""

import re

import pytest

from ar_coordinator.revisions import Change, change_of
from ar_core.manifest import read_manifest
from ar_core.problem import MANIFEST_NAME, Problem

MANIFEST = """\
name = "sums"
title = "A sum"
summary = "Numbers."
licence = "CC0-1.0"
tags = ["cpu"]
[files]
program = "program.md"
mutable = "numbers.json"
hidden = ["hidden/"]
max_bytes = 512
[metric]
name = "total"
direction = "maximize"
range = [0.0, 100.0]
[evaluation]
kind = "data"
score = ["python", "score.py"]
time_budget = "5s"
[resources]
memory = "64MiB"
[acceptance]
noise = "none"
min_gain = 0.5
[search]
tune = ["lr 0..1"]
lease = "5m"
"""
FILES = {"program.md": "p", "numbers.json": "n", "score.py": "s", "data/a": "a", "README.md": "r", "hidden/h": "h"}
LOCKED = ('mutable = "numbers.json"', 'mutable = "numbers.json"\nlocked = ["score.py", "data/"]')


def folder(manifest: str = MANIFEST, **files: str) -> tuple[Problem, dict[str, str]]:
    return read_manifest(manifest.encode()), {**FILES, **files, MANIFEST_NAME: manifest}


def changed(manifest: str = MANIFEST, before: str = MANIFEST, **files: str) -> Change:
    return change_of(*folder(before), *folder(manifest, **files))


def test_the_same_folder_changes_nothing_whatever_its_mutable_file_is() -> None:
    assert changed() is Change.NOTHING
    assert changed(**{"numbers.json": "another"}) is Change.NOTHING


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"A sum"', '"Sums"'), ('"Numbers."', '"More numbers."'), ('"CC0-1.0"', '"MIT"'), ('["cpu"]', "[]"),
        ("lr 0..1", "lr 0..2"), ('lease = "5m"', 'lease = "1m"'), ("[search]", "# A remark.\n[search]"),
    ],
)  # fmt: skip
def test_what_is_told_of_a_problem_touches_no_score(old: str, new: str) -> None:
    assert old in MANIFEST
    assert changed(MANIFEST.replace(old, new)) is Change.WORDS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("range", "[0.0, 90.0]"), ("direction", '"minimize"'), ("score", '["python", "-I", "score.py"]'),
        ("time_budget", '"6s"'), ("memory", '"65MiB"'), ("min_gain", "0.4"), ("noise", '"seed"'),
        ("max_bytes", "600"), ("kind", '"inprocess"'),
    ],
)  # fmt: skip
def test_what_a_score_or_a_verdict_depends_on(key: str, value: str) -> None:
    text = re.sub(rf"^{key} = .*$", f"{key} = {value}", MANIFEST, flags=re.MULTILINE)
    if key == "kind":
        text = text.replace('hidden = ["hidden/"]\n', "")
    assert text != MANIFEST
    assert changed(text) is Change.SCORES


@pytest.mark.parametrize(
    ("path", "everything_else", "listed"),
    [
        ("program.md", Change.WORDS, Change.WORDS),
        ("README.md", Change.SCORES, Change.WORDS),
        ("score.py", Change.SCORES, Change.SCORES),
        ("data/a", Change.SCORES, Change.SCORES),
        ("data/new", Change.SCORES, Change.SCORES),
        ("new.txt", Change.SCORES, Change.WORDS),
        ("hidden/h", Change.SCORES, Change.SCORES),
        ("hidden/new", Change.SCORES, Change.SCORES),
    ],
)
def test_files_count_that_rooms_get(path: str, everything_else: Change, listed: Change) -> None:
    """Without a list of locked files they are everything else."""
    assert changed(**{path: "x"}) is everything_else
    text = MANIFEST.replace(*LOCKED)
    assert changed(text, text, **{path: "x"}) is listed


def test_a_goal_that_its_publisher_locks_counts() -> None:
    text = MANIFEST.replace(LOCKED[0], LOCKED[1].replace('"score.py"', '"score.py", "program.md"'))
    assert changed(text, text, **{"program.md": "x"}) is Change.SCORES


def test_a_file_that_goes_counts_like_one_that_comes() -> None:
    problem, files = folder()
    without = {path: blob for path, blob in files.items() if path != "data/a"}
    assert change_of(problem, files, problem, without) is Change.SCORES
    assert change_of(problem, without, problem, files) is Change.SCORES
