"""From measured pairs to a judgement: who failed, who won, which guard broke, what waits for a person."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.judgement import (
    Published,
    failed_guard,
    implausible,
    judge,
    no_gain_on_average,
    publish,
    without_warm_up,
)
from ar_coordinator.work_order import PairResult, SideResult
from ar_core.acceptance import Verdict, Window
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain
from ar_core.problem import Acceptance, BestKnown, Evaluation, Files, Guard, Kind, Metric, Noise, Problem

WINDOW = Window(low=0.0, high=1.0)


def problem(noise: Noise = Noise.NONE, direction: Direction = Direction.MAXIMIZE, best: BestKnown | None = None,
            **acceptance: Any) -> Problem:  # fmt: skip
    return Problem(
        name="p-1", title="P", files=Files(program="program.md", mutable="a.json"),
        metric=Metric(name="m", direction=direction, best_known=best),
        evaluation=Evaluation(kind=Kind.DATA, score=("./s",), time_budget=1.0, score_timeout=1.0),
        acceptance=Acceptance(noise=noise, **acceptance),
    )  # fmt: skip


def side(result: float | str | None, feedback: str = "", **secondary: float) -> SideResult | None:
    """Return a side that scored, failed with a word, or did not run."""
    if result is None:
        return None
    score = None if isinstance(result, str) else result
    outcome = result if isinstance(result, str) else "ok"
    return SideResult(outcome=outcome, score=score, secondary=secondary, feedback=feedback, seconds=0.1)


def pairs(*sides: tuple[float | str | None, float | str | None]) -> list[PairResult]:
    return [PairResult(index=i, candidate=side(c), incumbent=side(b)) for i, (c, b) in enumerate(sides)]


A, R, C, P = Verdict.ACCEPT, Verdict.REJECT, Verdict.CONTINUE, Verdict.PAUSE


@pytest.mark.parametrize(("sides", "verdict", "reason"), [
    ([(0.6, 0.5), (0.6, 0.5)], A, None),
    ([(0.5, 0.5), (0.5, 0.5)], R, Reason.NO_IMPROVEMENT),
    ([(0.4, 0.5), (0.4, 0.5)], R, Reason.NO_IMPROVEMENT),
    ([(0.6, 0.5), (0.7, 0.5)], R, Reason.INVALID_SCORE),
    ([(0.6, 0.5), ("crash", 0.5)], R, Reason.INVALID_SCORE),
    ([(0.6, 0.5), (0.6, 0.4)], P, None),
    ([(0.6, 0.5), (0.6, "crash")], P, None),
    ([("crash", 0.5), ("crash", 0.5)], R, Reason.CRASH),
    ([("crash", 0.5)], R, Reason.CRASH),
    ([("timeout", 0.5)], R, Reason.TIMEOUT),
    ([("out_of_memory", 0.5)], R, Reason.OUT_OF_MEMORY),
    ([("limit", 0.5)], R, Reason.CRASH),
    ([("protocol", 0.5)], R, Reason.INVALID_SCORE),
    # The incumbent failed as well: once may be luck, twice is a problem that is not what it says.
    ([("timeout", "timeout")], C, None),
    ([(0.6, "timeout")], C, None),
    ([("timeout", "timeout"), ("timeout", "timeout")], P, None),
    ([(0.6, "crash"), (0.6, "crash")], P, None),
    ([("timeout", "timeout"), ("timeout", 0.5)], P, None),
    # Too little to decide.
    ([], C, None),
    ([(0.6, 0.5)], C, None),
])  # fmt: skip
def test_without_noise(sides: Any, verdict: Verdict, reason: Reason | None) -> None:
    decision = judge(problem(), None, pairs(*sides)).decision
    assert (decision.verdict, decision.reason) == (verdict, reason)
    assert verdict is C or decision.explanation


@pytest.mark.parametrize(("sides", "verdict", "reason"), [
    ([(1.0, 0.0)] * 12, A, None),
    ([(0.0, 1.0)] * 3, R, Reason.NO_IMPROVEMENT),
    ([(0.5, 0.5)] * 8, R, Reason.NO_IMPROVEMENT),
    ([], C, None),
    ([(0.9, 0.1)], C, None),
    ([("crash", 0.5)], C, None),
    ([("crash", 0.5)] * 2, R, Reason.CRASH),
    ([("timeout", 0.5), ("crash", 0.5)], R, Reason.TIMEOUT),
    ([("crash", "crash")] * 2, P, None),
    ([(0.9, "crash")] * 3, P, None),
    ([(0.9, "crash"), (0.9, 0.1), (0.9, 0.1)], C, None),
])  # fmt: skip
def test_with_noise_of_seeds(sides: Any, verdict: Verdict, reason: Reason | None) -> None:
    decision = judge(problem(Noise.SEED), WINDOW, pairs(*sides)).decision
    assert (decision.verdict, decision.reason) == (verdict, reason)


def test_max_pairs_without_an_answer_is_inconclusive() -> None:
    alternating = pairs(*[(0.6, 0.4), (0.4, 0.45)] * 5)
    decision = judge(problem(Noise.SEED, max_pairs=10), WINDOW, alternating).decision
    assert (decision.verdict, decision.reason) == (R, Reason.INCONCLUSIVE)


def test_noise_without_a_window_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="window"):
        judge(problem(Noise.SEED), None, pairs((1.0, 0.0)))


def test_the_gain_has_to_be_above_what_the_problem_asks_for() -> None:
    asked = problem(min_gain=MinGain(value=0.125))
    assert judge(asked, None, pairs((0.625, 0.5), (0.625, 0.5))).decision.verdict is R
    assert judge(asked, None, pairs((0.75, 0.5), (0.75, 0.5))).decision.verdict is A
    lower = problem(direction=Direction.MINIMIZE)
    assert judge(lower, None, pairs((0.4, 0.5), (0.4, 0.5))).decision.verdict is A


scores = st.floats(-1e6, 1e6)
results = scores | st.sampled_from(["crash", "timeout", "protocol", "out_of_memory", "limit"])


@given(st.lists(st.tuples(results, results), max_size=6), st.sampled_from(Direction))
def test_nothing_is_accepted_that_did_not_score_better_each_time(sides: Any, direction: Direction) -> None:
    decision = judge(problem(direction=direction), None, pairs(*sides)).decision
    if decision.verdict is A:
        for candidate, incumbent in sides[:2]:
            assert candidate > incumbent if direction is Direction.MAXIMIZE else candidate < incumbent
    assert (decision.reason is not None) == (decision.verdict is R)


def test_a_judgement_shows_means_and_the_first_feedback() -> None:
    measured = [
        PairResult(index=0, candidate=side(1.0), incumbent=side(0.5)),
        PairResult(index=1, candidate=side("crash", "ZeroDivisionError"), incumbent=side(0.25)),
        PairResult(index=2, candidate=side(2.0, "later"), incumbent=None),
    ]
    judged = judge(problem(Noise.SEED), WINDOW, measured)
    assert (judged.candidate, judged.incumbent, judged.feedback) == (1.5, 0.375, "ZeroDivisionError")
    assert judge(problem(), None, pairs(("crash", 0.5))).candidate is None


def test_what_is_published_without_noise_is_the_exact_score() -> None:
    assert publish(problem(), None, pairs((0.6, 0.5), (0.6, 0.5))) == Published(
        score=0.6, baseline=0.5, gain=pytest.approx(0.1), n=2, interval=None, sd=0.0  # type: ignore[arg-type]
    )  # fmt: skip


def test_what_is_published_with_noise_is_a_mean_in_which_a_failure_counts_as_the_bad_end() -> None:
    published = publish(problem(Noise.SEED), WINDOW, pairs((1.0, 0.5), ("crash", 0.5), (0.5, 0.5)))
    assert (published.score, published.baseline, published.n) == (0.5, 0.5, 3)
    assert published.interval is not None
    assert published.sd == pytest.approx(0.5)
    lower = publish(problem(Noise.SEED, Direction.MINIMIZE), WINDOW, pairs(("crash", 0.5), (0.5, 0.5)))
    assert lower.score == 0.75


def guarded(mine: float | None, theirs: float | None, direction: Direction = Direction.MINIMIZE) -> str | None:
    limit = Guard(metric="size", max_regression=0.2, direction=direction)
    measured = PairResult(
        index=0,
        candidate=side(1.0, **({} if mine is None else {"size": mine})),
        incumbent=side(0.5, **({} if theirs is None else {"size": theirs})),
    )
    return failed_guard(problem(guards=(limit,)), [measured])


@pytest.mark.parametrize(("mine", "theirs", "direction", "broken"), [
    (100.0, 100.0, "minimize", False), (120.0, 100.0, "minimize", False), (121.0, 100.0, "minimize", True),
    (1.0, 100.0, "minimize", False), (80.0, 100.0, "maximize", False), (79.0, 100.0, "maximize", True),
    (-79.0, -100.0, "minimize", True), (1.0, 0.0, "minimize", True), (0.0, 0.0, "minimize", False),
    (None, 100.0, "minimize", True), (100.0, None, "minimize", True),
])  # fmt: skip
def test_a_guard(mine: float | None, theirs: float | None, direction: str, *, broken: bool) -> None:
    sentence = guarded(mine, theirs, Direction(direction))
    assert (sentence is not None) is broken
    if sentence is not None:
        assert "size" in sentence


def test_a_guard_is_not_dodged_by_printing_its_metric_in_the_good_runs_only() -> None:
    limit = Guard(metric="size", max_regression=0.2, direction=Direction.MINIMIZE)
    good = [
        PairResult(index=n, candidate=side(1.0, **({"size": 1.0} if n == 3 else {})), incumbent=side(0.5, size=1.0))
        for n in range(5)
    ]
    assert "every run" in (failed_guard(problem(guards=(limit,)), good) or "")


def published(score: float, baseline: float) -> Published:
    return Published(score=score, baseline=baseline, gain=score - baseline, n=2, interval=None, sd=0.0)


@pytest.mark.parametrize(("score", "held"), [(1.5, False), (1.51, True), (1.0, False)])
def test_a_gain_beyond_what_is_plausible_waits_for_a_person(score: float, *, held: bool) -> None:
    limited = problem(max_plausible_gain=MinGain(value=0.5, relative=True))
    assert (implausible(limited, published(score, 1.0)) is not None) is held


@pytest.mark.parametrize(("score", "min_gain", "held"), [
    (2.635983, 0.0, False), (2.635984, 0.0, False), (2.6359841, 0.0, True), (2.0, 0.0, False),
    (2.645983, 0.01, False), (2.6460, 0.01, True),
])  # fmt: skip
def test_a_score_beyond_the_best_known_value_waits_for_a_person(score: float, min_gain: float, *, held: bool) -> None:
    known = problem(best=BestKnown(value=2.635983, decimals=6), min_gain=MinGain(value=min_gain))
    assert (implausible(known, published(score, 2.0)) is not None) is held
    lower = problem(direction=Direction.MINIMIZE, best=BestKnown(value=-2.635983, decimals=6),
                    min_gain=MinGain(value=min_gain))  # fmt: skip
    assert (implausible(lower, published(-score, -2.0)) is not None) is held


def test_where_a_number_can_be_forged_every_gain_waits_unless_its_publisher_says_how_much() -> None:
    forged = replace(problem(), evaluation=replace(problem().evaluation, kind=Kind.INPROCESS))
    for gain in (1e-9, 1.0, 1e300):
        assert "waits for a person" in (implausible(forged, published(1.0 + gain, 1.0)) or "")
    limited = replace(forged, acceptance=Acceptance(max_plausible_gain=MinGain(value=0.5)))
    assert implausible(limited, published(1.5, 1.0)) is None
    assert "above what this problem calls plausible" in (implausible(limited, published(1.6, 1.0)) or "")


def test_without_limits_everything_is_plausible() -> None:
    assert implausible(problem(), published(1e300, 1.0)) is None


WARM: list[tuple[float | str | None, float | str | None]] = [(9.0, 0.1), (9.0, 0.1)]


@pytest.mark.parametrize(("sides", "verdict", "reason"), [
    ([*WARM, *[(0.8, 1.0)] * 11], A, None),
    ([*WARM, *[(0.8, 1.0)] * 10], C, None),
    ([*WARM, *[(1.2, 1.0)] * 3], R, Reason.NO_IMPROVEMENT),
    ([("crash", 1.0), ("crash", 1.0)], R, Reason.CRASH),
    ([(0.8, "timeout"), (0.8, "timeout")], P, None),
    ([*WARM, (0.8, "crash"), (0.8, "crash")], P, None),
])  # fmt: skip
def test_with_noise_of_time(sides: Any, verdict: Verdict, reason: Reason | None) -> None:
    judged = judge(problem(Noise.TIMING, Direction.MINIMIZE), None, pairs(*sides))
    assert (judged.decision.verdict, judged.decision.reason) == (verdict, reason)


def test_what_was_verified_is_the_pairs_that_the_verdict_rests_on() -> None:
    times = problem(Noise.TIMING, Direction.MINIMIZE)
    judged = judge(times, None, pairs(*WARM, *[(0.75, 1.0)] * 11, (0.1, 5.0)))
    assert (judged.candidate, judged.incumbent, judged.decision.mean_gain) == (0.75, 1.0, 0.25)
    seeds = problem(Noise.SEED, max_pairs=100)
    judged = judge(seeds, WINDOW, pairs(*[(1.0, 0.0)] * 10, (0.0, 1.0)))
    assert (judged.decision.n, judged.candidate, judged.incumbent) == (10, 1.0, 0.0)


def test_pairs_that_a_failed_incumbent_made_void_are_not_what_a_verdict_rests_on() -> None:
    times = problem(Noise.TIMING, Direction.MINIMIZE)
    void: list[tuple[float | str | None, float | str | None]] = [(7.0, "crash"), (0.75, 1.0), (7.0, 0.0)]
    judged = judge(times, None, pairs(*WARM, *void, *[(0.75, 1.0)] * 10, (0.1, 5.0)))
    assert (judged.decision.verdict, judged.decision.n) == (A, 11)
    assert [pair.index for pair in judged.rests_on] == [3, *range(5, 15)]
    assert (judged.candidate, judged.incumbent, judged.decision.mean_gain) == (0.75, 1.0, 0.25)


def test_a_guard_is_the_same_whatever_batches_were_measured_in() -> None:
    limited = problem(Noise.TIMING, Direction.MINIMIZE, guards=(Guard(metric="size", max_regression=0.2),))

    def measured(size: float, *, at: int) -> list[PairResult]:
        return [
            PairResult(index=i, candidate=side(0.5, size=size if i == at else 1.0), incumbent=side(1.0, size=1.0))
            for i in range(15)
        ]

    for at, broken in ((0, False), (1, False), (2, True), (12, True), (13, False), (14, False)):
        judged = judge(limited, None, measured(100.0, at=at))
        assert judged.decision.n == 11
        assert (failed_guard(limited, judged.rests_on) is not None) is broken, at


def test_the_first_pairs_of_times_warm_caches_in_each_series() -> None:
    fresh = [replace_index(pair, 1_000_000 + pair.index) for pair in pairs(*[(1.0, 2.0)] * 7)]
    left = without_warm_up(problem(Noise.TIMING, Direction.MINIMIZE), fresh[::-1])
    assert [pair.index for pair in left] == list(range(1_000_002, 1_000_007))
    for noise in (Noise.SEED, Noise.NONE):
        assert without_warm_up(problem(noise), fresh[::-1]) == fresh


def replace_index(pair: PairResult, index: int) -> PairResult:
    return PairResult(index=index, candidate=pair.candidate, incumbent=pair.incumbent)


def test_a_stricter_level_takes_more_pairs() -> None:
    times = problem(Noise.TIMING, Direction.MINIMIZE)
    measured = pairs(*WARM, *[(0.8, 1.0)] * 11)
    assert judge(times, None, measured, alpha=0.0005).decision.verdict is C
    seeds = problem(Noise.SEED, max_pairs=100)
    measured = pairs(*[(1.0, 0.0)] * 10)
    assert judge(seeds, WINDOW, measured).decision.verdict is A
    assert judge(seeds, WINDOW, measured, alpha=0.0005).decision.verdict is C


def test_a_shorter_file_that_is_as_good_is_accepted_where_the_problem_wants_it() -> None:
    equal = pairs((0.5, 0.5), (0.5, 0.5))
    assert judge(problem(), None, equal).decision.reason is Reason.NO_IMPROVEMENT
    simpler = judge(problem(), None, equal, shorter=True).decision
    assert (simpler.verdict, simpler.reason) == (A, Reason.SIMPLER)
    noisy = problem(Noise.SEED, min_gain=MinGain(value=0.4), max_pairs=200)
    many = pairs(*[(0.5, 0.5)] * 60)
    assert judge(noisy, WINDOW, many).decision.verdict is R
    assert judge(noisy, WINDOW, many, shorter=True).decision.reason is Reason.SIMPLER


@pytest.mark.parametrize("alpha", [0.005, 0.0005])
def test_a_shorter_file_has_half_the_level_for_each_of_its_two_ways(alpha: float) -> None:
    noisy = problem(Noise.SEED, min_gain=MinGain(value=0.1), max_pairs=200)
    gains = [(0.9, 0.1) if i % 3 else (0.4, 0.5) for i in range(80)]
    best = next(n for n in range(80) if judge(noisy, WINDOW, pairs(*gains[:n]), alpha=alpha).decision.verdict is A)
    half = judge(noisy, WINDOW, pairs(*gains), alpha=alpha / 2)
    both = judge(noisy, WINDOW, pairs(*gains), alpha=alpha, shorter=True)
    assert (both.decision, both.alpha) == (half.decision, alpha / 2)
    assert both.decision.n > best
    assert both.decision.evidence >= 2 / alpha
    assert judge(noisy, WINDOW, pairs(*gains), alpha=alpha).alpha == alpha
    as_good = judge(replace_margin(noisy, 0.4), WINDOW, pairs(*[(0.5, 0.5)] * 80), alpha=alpha, shorter=True).decision
    assert as_good.reason is Reason.SIMPLER
    assert as_good.evidence >= 2 / alpha
    # Without noise nothing is bet, and of times no shorter file is asked for.
    for noise in (Noise.NONE, Noise.TIMING):
        assert judge(problem(noise), None, pairs((0.5, 0.5)), alpha=alpha, shorter=True).alpha == alpha


def replace_margin(asked: Problem, value: float) -> Problem:
    return replace(asked, acceptance=replace(asked.acceptance, min_gain=MinGain(value=value)))


def test_an_accept_of_cut_scores_has_to_be_one_of_whole_scores() -> None:
    seeds, gain = problem(Noise.SEED, max_pairs=100), [(1.0, 0.0)] * 10

    def told(judged: Any, *fresh: Any, rules: Problem = seeds) -> str | None:
        return no_gain_on_average(rules, WINDOW, judged, pairs(*fresh))

    judged = judge(seeds, WINDOW, pairs(*gain, (-1e9, 0.0)))
    assert judged.decision.verdict is A
    assert told(judged, (0.5, 0.25)) is None, "what lies behind the decision does not count"
    assert "rare runs are far worse" in (told(judged, (-20.0, 0.25)) or "")
    assert told(judged, (-9.0, 0.25)) is None
    assert told(judged, ("crash", 0.25)) is None, "a run without a score is the bad end of the window"
    # One with a loss that the window hides wins the bet as well.
    hidden = judge(seeds, WINDOW, pairs((1.0, 0.0), (-1e9, 0.0), *[(1.0, 0.0)] * 60))
    assert hidden.decision.verdict is A
    assert told(hidden)
    assert told(hidden, (1e300, 0.0)), "no lucky hit pays for it"
    assert told(hidden, (0.5, -2e9)) is None, "an incumbent that has them too is no better"
    exact, times = problem(), problem(Noise.TIMING)
    for other in (exact, times):
        assert no_gain_on_average(other, None, judged, pairs((-1e9, 0.0))) is None


def test_a_shorter_file_may_lose_min_gain_of_whole_scores() -> None:
    noisy = problem(Noise.SEED, min_gain=MinGain(value=0.4), max_pairs=200)
    judged = judge(noisy, WINDOW, pairs(*[(0.5, 0.5)] * 80), shorter=True)
    assert judged.decision.reason is Reason.SIMPLER
    n = judged.decision.n
    for loss, fine in ((0.4 * (n + 1) - 0.1, True), (0.4 * (n + 1) + 0.1, False)):
        sentence = no_gain_on_average(noisy, WINDOW, judged, pairs((0.5 - loss, 0.5)))
        assert (sentence is None) is fine
        assert fine or (sentence or "").startswith("As good within the window, but not on average")


def test_what_is_published_of_times_is_a_median() -> None:
    times = problem(Noise.TIMING, Direction.MINIMIZE)
    published = publish(times, None, pairs((1.0, 2.0), (1.0, 2.0), (50.0, 2.0), (0.9, 2.0), (1.1, 90.0), (1.0, 2.0)))
    assert (published.score, published.baseline, published.gain, published.n) == (1.0, 2.0, 1.0, 6)
    assert published.interval == (0.9, 50.0)
    failing = publish(times, None, pairs(("crash", 2.0), ("crash", 2.0), (1.0, 2.0)))
    assert failing.gain < 0
    assert publish(problem(Noise.TIMING), None, pairs(("crash", 2.0), ("crash", 2.0), (3.0, 2.0))).gain == -2.0
