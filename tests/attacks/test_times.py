"""Times measured while somebody else uses the machine: an equal version is no gain, and a faster one still is."""

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ar_core.acceptance import Decision, Pair, Verdict, decide_timing
from ar_core.manifest import read_manifest
from ar_sandbox.folder import load_folder
from ar_sandbox.judging import summary
from ar_sandbox.rooms import OpenProblem, PreparedProblem, RunSeeds, Sandbox
from ar_sandbox.self_test import SelfTest

pytestmark = pytest.mark.timeout(400)

ROOT = Path(__file__).resolve().parents[2]
NAME = "api-latency"
FASTER = ROOT / "tests" / "problems" / "candidates" / NAME / "better.py"
BURNER = """
import os, time
until, parent = time.monotonic() + 300, os.getppid()
while time.monotonic() < until and os.getppid() == parent:
    for _ in range(10**6):
        pass
"""
"""Keeps one core busy; ends with whoever started it, or by itself."""
COINS = random.Random(24)
SEEDS = [RunSeeds(run=COINS.getrandbits(62), scorer=COINS.getrandbits(62)) for _ in range(64)]
FILES = load_folder(ROOT / "problems" / NAME)
FILES["score.py"] = re.sub(rb"(?m)^QUESTIONS = .*$", b"QUESTIONS = 90", FILES["score.py"])
FILES["problem.toml"] = re.sub(rb'(?m)^min_gain = "10%"', b'min_gain = "50%"', FILES["problem.toml"])
PROBLEM = read_manifest(FILES["problem.toml"])
START = FILES[PROBLEM.files.mutable]


@pytest.fixture(scope="module")
def opened() -> Iterator[OpenProblem]:
    """The rooms of the problem, on a machine one core of which is burnt."""
    burner = subprocess.Popen([sys.executable, "-c", BURNER])
    with Sandbox.detect().open(PreparedProblem.of(PROBLEM, FILES)) as rooms:
        yield rooms
    still_burning = burner.poll() is None
    burner.kill()
    burner.wait()
    assert still_burning


def test_row_24_a_core_that_burns_makes_no_gain_of_an_equal_version(opened: OpenProblem) -> None:
    baseline = [opened.evaluate(START, seeds) for seeds in SEEDS[-5:]]
    assert all(result.score for result in baseline), baseline
    test = SelfTest(
        problem=PROBLEM,
        seen=summary(PROBLEM, baseline),
        run=lambda seeds, hash_seed: opened.evaluate(START, seeds, hash_seed=hash_seed),
        seeds=SEEDS.__getitem__,
        going_on=lambda: True,
    )
    decision = test.decision(baseline)
    assert decision is not None
    assert decision.verdict in {Verdict.REJECT, Verdict.CONTINUE}, decision
    assert decision.n >= 8
    assert decision.evidence < 200


def test_row_24_a_core_that_burns_hides_no_gain(opened: OpenProblem) -> None:
    content = FASTER.read_bytes()
    pairs: list[Pair] = []
    decision = Decision(verdict=Verdict.CONTINUE)
    while decision.verdict is Verdict.CONTINUE:
        seeds = SEEDS[len(pairs)]
        sides = {side: opened.evaluate(side, seeds).score for side in (content, START)[:: 1 if seeds.run & 1 else -1]}
        pairs.append(Pair(index=len(pairs), candidate=sides[content], incumbent=sides[START]))
        decision = decide_timing(pairs, PROBLEM.metric.direction, PROBLEM.acceptance.min_gain, max_pairs=60)
    assert decision.verdict is Verdict.ACCEPT, decision
    assert decision.n >= 11
