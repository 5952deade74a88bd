"""What registration says about times, from numbers alone: no timing at all, too small a gain, and what one costs."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.acceptance import Pair, Verdict, decide_timing
from ar_core.manifest import read_manifest
from ar_core.metric import Direction, MinGain
from ar_sandbox import times
from ar_sandbox.judging import Findings

STEADY = (1.0, 1.01, 0.99, 1.005, 0.995)


@pytest.fixture
def said(folder):
    def judge(scores, rules='min_gain = "10%"', seconds=3.0):
        manifest = folder(more=f'[acceptance]\nnoise = "timing"\n{rules}').files()["problem.toml"]
        report = Findings()
        times.judge(read_manifest(manifest), scores, seconds, report)
        return [(finding.check, finding.severity, finding.message, finding.fix) for finding in report.found]

    return judge


def test_the_price_of_an_accept(said):
    ((check, severity, message, _fix),) = said(STEADY)
    assert (check, severity) == ("min_gain", "info")
    assert "at least 11 pairs, 4 to warm up and 5 to publish, 2.0 minutes of a verifier" in message
    assert "a gain of 20 % needs about 11, 2.0 minutes" in message
    assert "the smallest gain that 200 pairs (max_pairs) show is about 10 %" in message


@pytest.mark.parametrize(
    ("scores", "rules", "severity", "check", "words"),
    [
        ((1.0,) * 5, 'min_gain = "10%"', "warning", "noise", "this is no timing"),
        ((1.0, 0.0, 1.0), 'min_gain = "10%"', "error", "noise", "a run scored 0"),
        ((1.0, -2.0, 1.0), 'min_gain = "10%"', "error", "noise", "a run scored -2"),
        (STEADY, "", "warning", "min_gain", "wins half of its pairs"),
        (STEADY, "min_gain = 0.1", "warning", "min_gain", "min_gain = 0.1 is 10 % of the baseline"),
        (STEADY, 'min_gain = "0.5%"', "warning", "min_gain", "%, more than min_gain (0.5 %)"),
        ((1.0, 1.6, 0.8, 1.3, 1.1), 'min_gain = "1%"', "warning", "min_gain", "needs more than max_pairs"),
        (STEADY, 'min_gain = "10%"\nmax_pairs = 10', "warning", "min_gain", "can accept nothing"),
    ],
)
def test_what_looks_wrong(said, scores, rules, severity, check, words):
    found = [(s, c) for c, s, message, fix in said(scores, rules) if words in message and fix]
    assert found == [(severity, check)]


def test_what_does_not_look_wrong_is_no_warning(said):
    assert [severity for _, severity, _, _ in said((*STEADY, 9.0))] == ["info"], "one outlier is what times have"


@given(st.floats(0.01, 2.0), st.floats(0.001, 1.0), st.floats(1.05, 4.0))
def test_more_gain_never_needs_more_pairs(advantage, spread, more):
    few = times.times_needed(advantage * more, spread)
    assert 11 <= few <= times.times_needed(advantage, spread)


def test_no_gain_is_never_seen():
    assert times.times_needed(0.0, 0.1) == times.times_needed(-0.1, 0.1) == 10**9
    assert times.times_needed(0.1, 0.0) == 11


@pytest.mark.parametrize("pairs", [20, 60, 200])
def test_the_smallest_gain_that_shows_is_one_that_shows(pairs):
    share = times.visible_share(pairs, 0.05, 0.08)
    assert share > 0.05
    assert times.times_needed(math.log((1 + share) / 1.05) * 1.001, 0.08) <= pairs
    assert times.times_needed(math.log((1 + share) / 1.05) * 0.98, 0.08) > pairs


def test_what_is_said_of_the_price_comes_true():
    """Half of the candidates that are better by just what is said need more pairs than is said, or fewer."""
    spread, rng = 0.1, random.Random(5)
    said = times.times_needed(math.log(1.2 / 1.1), spread)

    def needed():
        sides = [(rng.lognormvariate(0, spread) / 1.2, rng.lognormvariate(0, spread)) for _ in range(4000)]
        pairs = [Pair(index=i, candidate=a, incumbent=b) for i, (a, b) in enumerate(sides)]
        decision = decide_timing(pairs, Direction.MINIMIZE, MinGain(value=0.1, relative=True), 0.005, 3000)
        return decision.n if decision.verdict is Verdict.ACCEPT else 3000

    counts = sorted(needed() for _ in range(61))
    assert said / 2 < counts[30] < said * 2
