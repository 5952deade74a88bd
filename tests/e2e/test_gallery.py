"""The problems that ship: published, improved by hand, cloned by a stranger, and every commit measured again."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx
import pytest

from ar_core.manifest import read_manifest
from ar_core.metric import read_score
from ar_core.signing import PrivateKey, allowed_signers_line

BETTER = {"zlib-dictionary": "better.txt", "bin-packing": "better.json", "tiny-classifier": "faster.py"}
TRAILERS = ["Experiment", "Problem", "Revision", "Contributor", "Worker", "Agent", "Score", "Baseline", "Claimed",
            "Gain", "Pairs", "Evidence", "Verifier", "Locked-Digest", "Parent-Experiment"]  # fmt: skip


@dataclass(frozen=True)
class Commit:
    name: str
    author: str
    subject: str
    trailers: dict[str, str]

    @property
    def score(self) -> float:
        return float(self.trailers["Score"].split(" ")[0])

    @property
    def seeds(self) -> list[tuple[str, str]]:
        """Those that the commit discloses; without noise there are none, and any will do."""
        if "Seeds" not in self.trailers:
            return [("0", "1")]
        pairs = (pair.partition("-") for pair in self.trailers["Seeds"].split())
        return [(run, scorer) for run, _, scorer in pairs]


@dataclass(frozen=True)
class Clone:
    """A stranger's clone of one problem, with nothing of the pool's but its web address."""

    name: str
    folder: Path
    accepted: dict[str, Any]
    hidden: Path

    def git(self, *arguments: str, data: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        environment = {
            **os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0",
            "HOME": str(self.folder),
        }  # fmt: skip
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, env=environment, input=data, capture_output=True, check=check,
            timeout=60,
        )  # fmt: skip

    def log(self) -> list[Commit]:
        """The commits of main, newest first; git itself reads the trailers."""
        form = "%H%x00%an%x00%s%x00%(trailers:only,unfold)%x01"
        found = []
        for entry in self.git("log", f"--format={form}", "main").stdout.decode().split("\x01")[:-1]:
            name, author, subject, trailers = entry.strip("\n").split("\0")
            pairs = (line.partition(": ") for line in trailers.strip().splitlines())
            found.append(Commit(name, author, subject, {key: value for key, _, value in pairs}))
        return found

    def room(self, commit: str) -> Path:
        """The files of a commit in a folder of their own."""
        room = self.folder / "rooms" / commit
        if not room.exists():
            room.mkdir(parents=True)
            self.git("--work-tree", str(room), "checkout", commit, "--", ".")
        return room

    def measure(self, commit: str, seeds: tuple[str, str]) -> float:
        """Run what the manifest of a commit says, in plain processes, with disclosed seeds."""
        room = self.room(commit)
        problem = read_manifest((room / "problem.toml").read_bytes())
        out = room.parent / f"{commit}-{seeds[0]}"
        out.mkdir(exist_ok=True)
        mutable = room / problem.files.mutable
        run = {"AR_MUTABLE": str(mutable), "AR_OUT": str(out), "AR_RUN_SEED": seeds[0], "PYTHONHASHSEED": "0"}
        if problem.evaluation.run:
            _run(problem.evaluation.run, room, run)
        score = {**run, "AR_SEED": seeds[1], "AR_HIDDEN": str(self.hidden)}
        printed = _run(problem.evaluation.score, room, score)
        measured = read_score(printed, problem.metric.name).score
        assert measured is not None, printed
        return measured


def _run(command: tuple[str, ...], folder: Path, environment: dict[str, str]) -> str:
    assert command[0] == "python"
    done = subprocess.run(
        [sys.executable, "-B", *command[1:]], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def rounded(score: float, step: str) -> float:
    """Return a score, which is above 0, as it is released: hidden files are behind it."""
    return float((Decimal(repr(score)) / Decimal(step)).quantize(Decimal(1), ROUND_HALF_UP) * Decimal(step))


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool()


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("ada"), "ada")


@pytest.fixture(scope="module")
def published(ada: Any, problems: Path) -> dict[str, dict[str, Any]]:
    return {name: ada.publish(problems / name) for name in BETTER}


@pytest.fixture(scope="module", params=BETTER)
def clone(
    request: pytest.FixtureRequest,
    pool: Any,
    ada: Any,
    problems: Path,
    candidates: Path,
    published: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Clone:
    name = request.param
    done = ada.propose(name, candidates / name / BETTER[name], "--note", "Score: 0\nby hand")
    assert done.code == 0, done
    found = Clone(name, tmp_path_factory.mktemp(name), done.document, problems / name / "hidden")
    found.git("clone", "-q", f"{pool.web}/git/{name}.git", ".")
    return found


def test_publishing_the_gallery(published: dict[str, dict[str, Any]]) -> None:
    got = {name: (d["state"], d["revision"], d["kind"], d["noise"]) for name, d in published.items()}
    assert got == {
        "zlib-dictionary": ("open", 1, "data", "none"),
        "bin-packing": ("open", 1, "data", "none"),
        "tiny-classifier": ("open", 1, "artifact", "seed"),
    }
    # 22981 and 5.5752, to the next 5 bytes and 0.05 percent.
    assert published["zlib-dictionary"]["baseline"] == 22980
    assert published["bin-packing"]["baseline"] == 5.6
    assert 2.0 < published["tiny-classifier"]["baseline"] < 2.4


def test_the_log_tells_the_whole_story(clone: Clone, candidates: Path, published: dict[str, Any]) -> None:
    accept, baseline = clone.log()
    document = clone.accepted
    assert accept.name == document["commit"]
    disclosed = ["Seeds"] if clone.name == "tiny-classifier" else []
    assert list(accept.trailers) == [*TRAILERS, *disclosed]
    assert accept.author == accept.trailers["Contributor"] == "ada"
    assert accept.trailers["Experiment"] == document["id"]
    assert accept.score == document["published"]
    assert float(accept.trailers["Baseline"]) == document["publication"]["incumbent"]
    assert float(accept.trailers["Gain"]) == document["publication"]["gain"] > 0
    assert int(accept.trailers["Pairs"]) == document["pairs"] <= 50
    assert accept.trailers["Claimed"] == "none"
    assert accept.trailers["Parent-Experiment"] == "root"
    # A note is one line of text: it cannot add a trailer.
    assert accept.subject.startswith("Score: 0 by hand: ")
    assert list(baseline.trailers) == ["Problem", "Revision", "Score", "Locked-Digest", "Rounded-To", *disclosed]
    assert baseline.score == published[clone.name]["baseline"]
    assert baseline.trailers["Locked-Digest"] == accept.trailers["Locked-Digest"]

    mutable = read_manifest((clone.folder / "problem.toml").read_bytes()).files.mutable
    changed = clone.git("diff", "--name-only", baseline.name, accept.name).stdout.decode().split()
    assert changed == [mutable]
    proposed = (candidates / clone.name / BETTER[clone.name]).read_bytes()
    assert clone.git("show", f"main:{mutable}").stdout == proposed


def test_every_commit_is_signed_by_the_pool(pool: Any, clone: Clone, tmp_path: Path) -> None:
    signers = tmp_path / "allowed_signers"
    signers.write_text(httpx.get(f"{pool.web}/allowed_signers").raise_for_status().text)
    stranger = tmp_path / "stranger"
    stranger.write_text(allowed_signers_line(PrivateKey(raw=bytes(range(32))).public, "pool@example.org") + "\n")
    for commit in clone.log():
        verified = clone.git("-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", commit.name)
        assert b'Good "git" signature' in verified.stderr
        other = clone.git("-c", f"gpg.ssh.allowedSignersFile={stranger}", "verify-commit", commit.name, check=False)
        assert other.returncode != 0


def test_every_score_comes_out_again(clone: Clone) -> None:
    accept, baseline = clone.log()
    problem = read_manifest((clone.folder / "problem.toml").read_bytes())
    seeds = accept.seeds
    # Without noise one run says it all; with noise the score comes from a batch of its own.
    measured = max(5, math.ceil(int(accept.trailers["Pairs"]) / 4))
    assert len(seeds) == (1 if problem.acceptance.noise == "none" else min(20, measured))
    assert len(set(seeds)) == len(seeds)
    scores = [clone.measure(accept.name, pair) for pair in seeds]
    before = [clone.measure(baseline.name, pair) for pair in seeds]
    step = baseline.trailers["Rounded-To"]
    assert float(step) == problem.acceptance.min_gain.value
    assert rounded(fmean(scores), step) == accept.score
    assert rounded(fmean(before), step) == float(accept.trailers["Baseline"])
    published = [clone.measure(baseline.name, pair) for pair in baseline.seeds]
    assert len(published) >= (1 if problem.acceptance.noise == "none" else 5)
    assert rounded(fmean(published), step) == baseline.score
    gain = Decimal(accept.trailers["Baseline"]) - Decimal(repr(accept.score))
    assert Decimal(accept.trailers["Gain"]) == gain


def test_nothing_hidden_is_in_the_repository(clone: Clone, until: Callable[..., Any]) -> None:
    until(lambda: clone.git("fetch", "-q", "origin", "refs/ar/ledger", check=False).returncode == 0)
    listed = clone.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").stdout
    reachable = clone.git("rev-list", "--objects", "--all", "FETCH_HEAD").stdout.decode().splitlines()
    assert {line.split(" ")[0] for line in reachable} <= set(listed.decode().split())
    contents = clone.git("cat-file", "--batch", data=listed).stdout
    public = [path.read_bytes() for path in clone.hidden.parent.rglob("*") if path.is_file()]
    assert any(data in contents for data in public)  # this would find a file that is there

    files = [path for path in clone.hidden.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert files
    for path in files:
        data = path.read_bytes()
        blob = clone.git("hash-object", "--stdin", data=data).stdout.strip()
        assert blob not in listed.split()
        assert data not in contents
        if path.suffix != ".py":
            lines = [line for line in data.splitlines() if len(line) >= 40]
            assert lines
            assert not [line for line in lines[:100] if line in contents]
    assert not [line for line in reachable if "hidden" in line.partition(" ")[2]]


def test_the_ledger_lists_everything_that_was_settled(
    ada: Any, clone: Clone, candidates: Path, until: Callable[..., Any], tmp_path: Path
) -> None:
    for number, content in enumerate((b"\xff", (candidates / clone.name / BETTER[clone.name]).read_bytes())):
        path = tmp_path / str(number)
        path.write_bytes(content)
        assert ada.propose(clone.name, path).code == 9
    settled = {line["id"]: line["status"] for line in ada.log(clone.name)}
    assert sorted(settled.values()) == ["accepted", "recorded", "rejected"]

    def entries() -> list[dict[str, Any]]:
        if clone.git("fetch", "-q", "origin", "refs/ar/ledger", check=False).returncode:
            return []
        paths = clone.git("ls-tree", "-r", "--name-only", "FETCH_HEAD").stdout.decode().splitlines()
        lines = [
            line
            for path in sorted(path for path in paths if path.endswith(".jsonl"))
            for line in clone.git("show", f"FETCH_HEAD:{path}").stdout.decode().splitlines()
        ]
        return [json.loads(line) for line in lines]

    found = until(lambda: len(entries()) >= len(settled) and entries())
    assert {entry["id"]: entry["status"] for entry in found} == settled
    assert len(found) == len(settled)
    accepted = next(entry for entry in found if entry["status"] == "accepted")
    assert accepted["commit"] == clone.accepted["commit"]
    assert accepted["verified"] == clone.accepted["verified"]
    assert clone.git("branch", "-r").stdout.split() == [b"origin/HEAD", b"->", b"origin/main", b"origin/main"]


def test_pushing_is_refused(clone: Clone) -> None:
    clone.git("checkout", "-q", "-B", "mine", "main")
    for target in ("mine:main", "mine:mine", ":main"):
        done = clone.git("push", "origin", target, check=False)
        assert done.returncode != 0
    assert b"read-only" in clone.git("push", "origin", "mine:main", check=False).stderr
    assert clone.git("ls-remote", "origin", "refs/heads/*").stdout.decode().splitlines() == [
        f"{clone.accepted['commit']}\trefs/heads/main"
    ]
