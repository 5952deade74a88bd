"""What `ar-pool init` writes is a problem that works, and that can be improved."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_client.examples import problem_name
from ar_core.errors import PoolError
from ar_core.manifest import NAME, check_files, read_manifest
from ar_sandbox.folder import load_folder
from ar_sandbox.rooms import PreparedProblem, RunSeeds, Sandbox

Run = Callable[..., Any]
POLYNOMIAL = """
import csv, json, os
rows = [(float(r["x"]), float(r["y"])) for r in csv.DictReader(open("data/train.csv"))]
n = 8
a = [[sum(x ** (i + j) for x, _ in rows) for j in range(n)] + [sum(y * x**i for x, y in rows)] for i in range(n)]
for i in range(n):
    p = max(range(i, n), key=lambda r: abs(a[r][i]))
    a[i], a[p] = a[p], a[i]
    for r in range(n):
        if r != i:
            f = a[r][i] / a[i][i]
            a[r] = [u - f * v for u, v in zip(a[r], a[i])]
json.dump([a[i][n] / a[i][i] for i in range(n)], open(os.environ["AR_OUT"] + "/model.json", "w"))
"""
# Four rows of three, every other row shifted: the best arrangement of 12 points that is known, 0.3887.
SHIFTED_ROWS = [[0.4 * x + 0.2 * (y % 2), y / 3] for y in range(4) for x in range(3)]
# Keeps what was used lately, and a little longer what was used often.
USED_AND_COUNTED = [(b"ARRIVED = 1.0", b"ARRIVED = 0.0"), (b"USED = 0.0", b"USED = 1.0"),
                    (b"COUNTED = 0.0", b"COUNTED = 5.0")]  # fmt: skip


def improved(kind: str, start: bytes) -> bytes:
    """Return a mutable file that is better than the example's."""
    if kind == "data":
        return json.dumps(SHIFTED_ROWS).encode()
    if kind == "artifact":
        return POLYNOMIAL.encode()
    for old, new in USED_AND_COUNTED:
        assert old in start
        start = start.replace(old, new)
    return start


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    try:
        return Sandbox.detect()
    except PoolError as error:
        pytest.skip(error.message)


@pytest.mark.parametrize("kind", ["data", "artifact", "service"])
def test_the_example_passes_its_own_check(ar_pool: Run, tmp_path: Path, kind: str, sandbox: Sandbox) -> None:
    folder = tmp_path / "My Problem!"
    made = ar_pool("init", folder, "--kind", kind, "--json").document
    assert (made["problem"], made["kind"]) == ("my-problem", kind)
    assert made["files"] == sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    ended = ar_pool("check", folder, "--runs", "2", "--json")
    assert ended.code == 0, ended.out
    document = ended.document
    assert {"ok", "kind", "baseline", "noise", "seconds", "findings"} <= set(document)
    assert (document["ok"], document["kind"], document["noise"]) == (True, kind, "none")
    assert [finding for finding in document["findings"] if finding["severity"] != "info"] == []


@pytest.mark.parametrize("kind", ["data", "artifact", "service"])
def test_the_example_can_be_improved(ar_pool: Run, tmp_path: Path, kind: str, sandbox: Sandbox) -> None:
    ar_pool("init", tmp_path / "abc", "--kind", kind)
    files = load_folder(tmp_path / "abc")
    problem = read_manifest(files["problem.toml"])
    assert check_files(problem, files) == []
    prepared = PreparedProblem.of(problem, files, with_hidden=True)
    seeds = RunSeeds(run=1, scorer=2)
    start = sandbox.evaluate(prepared, files[problem.files.mutable], seeds).score
    better = sandbox.evaluate(prepared, improved(kind, files[problem.files.mutable]), seeds).score
    assert start is not None
    assert better is not None
    assert better > start + 0.02 if kind == "data" else better < start - 0.02


def test_a_start_without_a_score_is_told_in_the_words_of_a_verdict(
    ar_pool: Run, tmp_path: Path, sandbox: Sandbox
) -> None:
    ar_pool("init", tmp_path / "abc")
    (tmp_path / "abc" / "score.py").write_text("print('nothing that is a score')\n")
    ended = ar_pool("check", tmp_path / "abc", "--json")
    assert ended.code == 9
    (message,) = (f["message"] for f in ended.document["findings"] if f["check"] == "baseline")
    assert message.startswith("run 1 of the baseline ended with invalid_score: ")


def test_nothing_is_overwritten(ar_pool: Run, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("mine")
    ended = ar_pool("init", tmp_path, "--json")
    assert (ended.code, ended.error["code"]) == (2, "AR-A106")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir() if path.is_file()] == [("score.py", "mine")]


@given(st.text())
def test_any_folder_gives_a_name(folder_name: str) -> None:
    assert NAME.match(problem_name(folder_name))
