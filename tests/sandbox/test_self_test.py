"""The self-test: the start against itself is no gain, whichever run of a pair is disturbed, and what it may take."""

import random

import pytest

from ar_core.acceptance import Verdict
from ar_core.manifest import read_manifest
from ar_sandbox import self_test
from ar_sandbox.judging import Findings, summary
from ar_sandbox.result import Outcome, Result, RunSeeds
from ar_sandbox.self_test import SelfTest

COINS = random.Random(24)
SEEDS = [RunSeeds(run=COINS.getrandbits(62), scorer=COINS.getrandbits(62)) for _ in range(64)]


def result(score):
    return Result(outcome=Outcome.CRASH if score is None else Outcome.OK, score=score)


@pytest.fixture
def tested(folder):
    """Run a self-test on made-up scores; return the decision, the seeds of each run, and what is said."""

    def run(noise, scores, *, rules="", seeds=SEEDS, most=10**9):
        manifest = folder(more=f'[acceptance]\nnoise = "{noise}"\n{rules}').files()["problem.toml"]
        manifest = manifest.replace(b'"maximize"', b'"minimize"')
        problem = read_manifest(manifest)
        baseline = [result(score) for score in (1.0, 1.1, 0.9, 1.05, 0.95)]
        made, asked = iter(scores), []

        def score(seeds, hash_seed):
            asked.append((seeds, hash_seed))
            return result(next(made))

        test = SelfTest(
            problem=problem, seen=summary(problem, baseline), run=score, seeds=seeds.__getitem__,
            going_on=lambda: len(asked) < 2 * most,
        )  # fmt: skip
        decision = test.decision(baseline if noise != "none" else [result(1.0)] * 5)
        report = Findings()
        self_test.judge(problem, decision, report)
        return decision, asked, report.found

    return run


ALWAYS_FIRST_FASTER = [0.5, 1.0] * 30


def test_a_machine_that_slows_every_second_run_makes_no_gain(tested):
    decision, asked, (finding,) = tested("timing", ALWAYS_FIRST_FASTER, rules='min_gain = "10%"')
    assert decision.verdict is not Verdict.ACCEPT
    assert 3 <= decision.n <= 11
    assert finding.severity == "info"
    assert asked[0::2] == asked[1::2], "both sides of a pair have the same seeds"
    assert len({seeds for seeds, _ in asked}) == len(asked) / 2


def test_without_the_coin_it_would(tested):
    always = [RunSeeds(run=i, scorer=2 * i) for i in range(64)]
    decision, _, (finding,) = tested("timing", ALWAYS_FIRST_FASTER, rules='min_gain = "10%"', seeds=always)
    assert decision.verdict is Verdict.ACCEPT
    assert finding.severity == "error"
    assert "accepted as better than itself, after 11 pairs" in finding.message


def test_a_scorer_that_repeats_by_its_seed_takes_three_pairs(tested):
    scores = [score for i in range(30) for score in [1 + i / 100] * 2]
    decision, asked, _ = tested("seed", scores, rules="min_gain = 0.01")
    assert (decision.verdict, decision.n, len(asked)) == (Verdict.REJECT, 3, 6)


@pytest.mark.parametrize(("noise", "pairs"), [("timing", 13), ("seed", 10)])
def test_it_takes_no_more_pairs_than_the_quickest_accept(tested, noise, pairs):
    rng = random.Random(7)
    scores = [rng.lognormvariate(0, 1) for _ in range(60)]
    decision, asked, _ = tested(noise, scores, rules='min_gain = "0.1%"')
    assert decision.verdict is not Verdict.ACCEPT
    assert len(asked) <= 2 * pairs
    few, asked, _ = tested(noise, scores, rules='min_gain = "0.1%"\nmax_pairs = 2')
    assert few.n <= 2
    assert len(asked) <= 8


def test_it_ends_when_its_time_is_over(tested):
    decision, asked, (finding,) = tested("timing", ALWAYS_FIRST_FASTER, most=0)
    assert (decision, asked) == (None, [])
    assert (finding.severity, finding.message) == ("info", "there was no time to measure the start against itself")
    decision, asked, _ = tested("timing", ALWAYS_FIRST_FASTER, most=4)
    assert (decision.n, len(asked)) == (2, 8)


def test_without_noise_it_costs_no_run(tested):
    decision, asked, (finding,) = tested("none", [])
    assert (decision.verdict, decision.n, asked) == (Verdict.REJECT, 2, [])
    assert finding.message == "the start against itself is no gain: it scored the same in both pairs"


def test_a_start_that_fails_now_and_then_is_an_error(tested):
    _, _, (finding,) = tested("timing", [None] * 60)
    assert (finding.check, finding.severity) == ("self-test", "error")
    assert "gave no score twice in a row" in finding.message
