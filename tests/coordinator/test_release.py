"""What leaves the pool of a comparison with hidden files: steps of an accept, and of the others no number at all."""

import math
import re
from dataclasses import replace
from fractions import Fraction
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator import release
from ar_coordinator.judgement import Judgement, Published, failed_guard, implausible, judge, publish
from ar_coordinator.work_order import PairResult, SideResult
from ar_core.acceptance import Decision, Ladder, Verdict, Window
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain
from ar_core.problem import Acceptance, BestKnown, Evaluation, Files, Guard, Kind, Metric, Noise, Problem

LADDER = Ladder(step=0.05, low=0.0, high=1.0)
WINDOW = Window(low=0.0, high=1.0)
FINE = re.compile(r"\d+\.\d{3,}")


def problem(noise: Noise = Noise.NONE, **acceptance: Any) -> Problem:
    return Problem(
        name="p-1", title="P", files=Files(program="program.md", mutable="a.json", hidden=("hidden/",)),
        metric=Metric(name="m", direction=Direction.MAXIMIZE, best_known=BestKnown(value=0.9, decimals=1)),
        evaluation=Evaluation(kind=Kind.DATA, score=("./s",), time_budget=1.0, score_timeout=1.0),
        acceptance=Acceptance(noise=noise, **{"min_gain": MinGain(value=0.05), **acceptance}),
    )  # fmt: skip


def side(result: float | str, **secondary: float) -> SideResult:
    score = None if isinstance(result, str) else result
    outcome = result if isinstance(result, str) else "ok"
    return SideResult(outcome=outcome, score=score, secondary=secondary, feedback="", seconds=0.1)


def judged(rules: Problem, *sides: tuple[float | str, float | str]) -> Judgement:
    pairs = [PairResult(index=i, candidate=side(c), incumbent=side(b)) for i, (c, b) in enumerate(sides)]
    return judge(rules, WINDOW if rules.acceptance.noise is Noise.SEED else None, pairs)


def test_an_accept_without_noise() -> None:
    told = release.of_accept(problem(), LADDER, judged(problem(), (0.61234, 0.51234), (0.61234, 0.51234)))
    assert told == release.Released(
        verified=0.6, incumbent=0.5, gain=0.1, gain_low=0.1, gain_high=0.1, evidence=None,
        explanation="Better: 0.5 → 0.6, rounded to 0.05.",
    )  # fmt: skip


def test_an_accept_with_noise_says_that_the_evidence_is_enough() -> None:
    rules = problem(Noise.SEED, max_pairs=40)
    sides = [(0.91234 - n / 9999, 0.11234 + n / 7777) for n in range(40)]
    judgement = judged(rules, *sides)
    assert judgement.decision.verdict is Verdict.ACCEPT
    assert judgement.decision.evidence > 200.5
    told = release.of_accept(rules, LADDER, judgement)
    assert (told.verified, told.incumbent, told.gain, told.evidence) == (0.9, 0.1, 0.8, 200.0)
    assert (told.gain_low, told.gain_high) == (0.75, 0.8)
    assert judgement.decision.effect_size is not None
    assert told.effect_size is None, "it would tell the gain to all its digits"
    strict = release.of_accept(rules, LADDER, replace(judgement, alpha=1 / 201))
    assert strict.evidence == 201.0


def test_the_gain_of_scores_that_were_cut_is_no_more_than_its_interval() -> None:
    rules = problem(Noise.SEED, max_pairs=40)
    judgement = judged(rules, *[(3.01234, 0.11234 + n / 7777) for n in range(40)])
    told = release.of_accept(rules, Ladder(step=0.05), judgement)
    assert (told.verified, told.incumbent, told.gain) == (3.0, 0.1, 0.9)
    assert (told.gain_low, told.gain_high) == (0.85, 0.9)


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)), min_size=3, max_size=12))
def test_the_effect_size_goes_with_the_interval(sides: list[tuple[float, float]]) -> None:
    for noise in (Noise.NONE, Noise.SEED, Noise.TIMING):
        rules = problem(noise, max_pairs=40)
        judgement = judged(rules, *(sides[:1] * 2 if noise is Noise.NONE else sides))
        told = release.everything(rules, judgement)
        assert told.effect_size == judgement.decision.effect_size or not math.isfinite(judgement.decision.effect_size)
        if told.effect_size is not None:
            assert math.isfinite(told.effect_size)
            assert None not in {told.gain, told.gain_low, told.gain_high}
        kept = (release.of_accept(rules, Ladder(), judgement), release.of_others(rules, Ladder(), judgement))
        assert kept == (told, told)
        assert release.of_accept(rules, LADDER, judgement).effect_size is None
        assert release.of_others(rules, LADDER, judgement).effect_size is None


def test_the_effect_size_of_scores_and_of_times() -> None:
    gains = [0.1, 0.3, 0.2, 0.4]
    scores = judged(problem(Noise.SEED, max_pairs=40), *[(0.5 + gain, 0.5) for gain in gains])
    told = release.everything(problem(Noise.SEED), scores)
    assert told.effect_size == pytest.approx(fmean(gains) / stdev(gains))
    times = [(1.0, 1.0), (1.0, 1.0), (1.0, 2.0), (2.0, 3.0), (2.0, 5.0)]
    shorter = replace(problem(Noise.TIMING), metric=Metric(name="t", direction=Direction.MINIMIZE))
    ratios = [math.log(theirs / mine) for mine, theirs in times[2:]]
    told = release.everything(shorter, judged(shorter, *times))
    assert told.effect_size == pytest.approx(fmean(ratios) / stdev(ratios))


def test_an_effect_size_that_is_no_number_is_none() -> None:
    decision = Decision(verdict=Verdict.REJECT, n=2, mean_gain=1e308, interval=(0.0, 1.0), effect_size=math.inf)
    whole = Judgement(decision=decision, candidate=1e308, incumbent=0.0, feedback="")
    assert release.everything(problem(Noise.SEED), whole).effect_size is None


ODD = (0.61234, 0.51234)
LOSSES = [
    (Noise.NONE, [(0.51234, 0.51234)] * 2, Reason.NO_IMPROVEMENT),
    (Noise.NONE, [(0.41234, 0.51234)] * 2, Reason.NO_IMPROVEMENT),
    (Noise.NONE, [(0.55678, 0.51234)] * 2, Reason.NO_IMPROVEMENT),
    (Noise.NONE, [ODD, (0.71234, 0.51234)], Reason.INVALID_SCORE),
    (Noise.NONE, [ODD, ("crash", 0.51234)], Reason.INVALID_SCORE),
    (Noise.NONE, [("timeout", 0.51234)], Reason.TIMEOUT),
    (Noise.NONE, [("protocol", 0.51234)], Reason.INVALID_SCORE),
    (Noise.SEED, [(0.41234, 0.61234)] * 3, Reason.NO_IMPROVEMENT),
    (Noise.SEED, [(0.41234, 0.61234), (0.31234, 0.60001)] * 5, Reason.NO_IMPROVEMENT),
    (Noise.SEED, [(0.11234, 0.21234), (0.41234, 0.1)] * 20, Reason.INCONCLUSIVE),
    (Noise.SEED, [("crash", 0.51234)] * 3, Reason.CRASH),
]  # fmt: skip


@pytest.mark.parametrize(("noise", "sides", "reason"), LOSSES)
def test_of_what_is_not_accepted_nothing_is_told_but_why(noise: Noise, sides: Any, reason: Reason) -> None:
    rules = problem(noise, max_pairs=40)
    judgement = judged(rules, *sides)
    assert judgement.decision.reason is reason
    told = release.of_others(rules, LADDER, judgement)
    assert told == release.Released(explanation=told.explanation)
    assert told.explanation
    assert "." not in told.explanation.rstrip(".").replace(". ", ""), "no number with decimals"
    in_full = release.of_others(rules, Ladder(), judgement)
    assert in_full.explanation == judgement.decision.explanation
    assert in_full.verified == judgement.candidate


def test_a_loss_by_little_and_one_by_much_read_the_same() -> None:
    words = {
        release.of_others(problem(), LADDER, judged(problem(), *sides)).explanation for _, sides, _ in LOSSES[:3]
    }
    assert len(words) == 1


def test_a_best_version_that_does_not_repeat_is_paused_without_its_scores() -> None:
    judgement = judged(problem(), (0.6, 0.51234), (0.6, 0.52345))
    assert judgement.decision.verdict is Verdict.PAUSE
    assert FINE.search(judgement.decision.explanation)
    said = release.explanation(LADDER, judgement.decision)
    assert not FINE.search(said)
    assert "does not give the same score twice" in said
    broken = judged(problem(), ("crash", "crash"), ("crash", "crash")).decision
    assert release.explanation(LADDER, broken) == broken.explanation


def test_what_a_person_is_asked_has_no_numbers_either() -> None:
    rules = problem(max_plausible_gain=MinGain(value=0.2), guards=(Guard(metric="size", max_regression=0.1),))
    pairs = [PairResult(index=0, candidate=side(0.81234, size=2.34567), incumbent=side(0.51234, size=1.0))]
    published = publish(rules, None, pairs)
    for say in (lambda **how: failed_guard(rules, pairs, **how), lambda **how: implausible(rules, published, **how)):
        assert re.search(r"[12]\.3|0\.3", say() or "")
        assert not re.search(r"2\.3|0\.3", say(numbers=False) or "2.3")
    beyond = replace(rules, acceptance=replace(rules.acceptance, max_plausible_gain=None))
    best = publish(rules, None, [PairResult(index=0, candidate=side(1.01234), incumbent=side(0.51234))])
    assert "1.01234" in (implausible(beyond, best) or "")
    assert implausible(beyond, best, numbers=False) == "The score beats the best known value 0.9."


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.3))
def test_a_publication_adds_up(score: float, baseline: float, half: float) -> None:
    whole = Published(
        score=score, baseline=baseline, gain=score - baseline, n=5, sd=0.1, interval=(score - half, score + half)
    )
    told = release.of_publication(problem(), LADDER, whole)
    for value in (told.score, told.baseline, told.gain, *(told.interval or ())):
        assert Fraction(repr(value)) % Fraction(1, 20) == 0
    assert Fraction(repr(told.gain)) == Fraction(repr(told.score)) - Fraction(repr(told.baseline))
    assert told.interval is not None
    assert told.interval[0] <= told.score <= told.interval[1]
    assert (told.n, told.sd) == (5, 0.1)
    assert release.of_publication(problem(), Ladder(), whole) is whole


def test_evidence_is_told_in_full_without_a_ladder() -> None:
    assert release.enough(Ladder(), 312.5, 0.005) == 312.5
    assert release.enough(LADDER, 312.5, 0.005) == 200.0
    assert release.enough(LADDER, 20.7, 1 / 20) == 20.0


def test_an_accept_without_scores_is_refused_rather_than_told_in_full() -> None:
    odd = Judgement(decision=Decision(verdict=Verdict.ACCEPT), candidate=0.61234, incumbent=None, feedback="")
    with pytest.raises(ValueError, match="both sides"):
        release.of_accept(problem(), LADDER, odd)
