"""From what verifiers measured to a judgement of one experiment; pure, so that every case can be tested.

Not here: asking verifiers (``referee``) and the statistics (``ar_core.acceptance``).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from ar_coordinator.work_order import PairResult, SideResult
from ar_core.acceptance import (
    WARM_UP_PAIRS,
    Decision,
    Pair,
    Verdict,
    Window,
    as_good_within_noise,
    better_on_average,
    counts_as_timing,
    decide_betting,
    decide_exact,
    decide_timing,
    exactly_as_good,
    interval,
    median_interval,
)
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain, improvement
from ar_core.problem import Guard, Noise, Problem
from ar_sandbox.result import Outcome

ALPHA = 0.005
_TWICE = 2
_WAYS = 2
"""To be accepted, for a shorter file: as a gain, and as no loss."""
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A decision with the scores it rests on, in the metric's unit, and the feedback for the next attempt."""

    decision: Decision
    candidate: float | None
    incumbent: float | None
    feedback: str
    rests_on: Sequence[PairResult] = ()
    """The pairs that count: guards look at these, so that no size of a batch changes what they say."""
    alpha: float = ALPHA
    """The level that it was decided at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The score that an accepted version is published with, and the incumbent's in the same runs."""

    score: float
    baseline: float
    gain: float
    n: int
    interval: tuple[float, float] | None
    sd: float


def judge(
    problem: Problem,
    window: Window | None,
    pairs: Sequence[PairResult],
    *,
    alpha: float = ALPHA,
    shorter: bool = False,
) -> Judgement:
    """Decide from the comparison's pairs so far.

    ``window`` is needed for noise of seeds. ``shorter`` tells that the candidate has fewer bytes and that its problem
    wants such a file also where it is only as good. With noise that is a second way to be accepted: the two share
    ``alpha``, half for each, so that one of them errs no more often than one alone would (also where ``alpha`` is a
    strict log's share: the mean of two e-values is one).
    """
    if shorter and problem.acceptance.noise is Noise.SEED:
        alpha /= _WAYS
    decision = _plain_failure(problem, pairs)
    if decision is None:
        rule = _RULES[problem.acceptance.noise]
        decision = rule(problem, window, pairs, alpha, shorter)
    rests_on = _rests_on(problem, decision, pairs)
    return Judgement(
        decision=decision,
        candidate=_mean(p.candidate for p in rests_on),
        incumbent=_mean(p.incumbent for p in rests_on),
        feedback=next((p.candidate.feedback for p in pairs if p.candidate and p.candidate.feedback), ""),
        rests_on=rests_on,
        alpha=alpha,
    )


def _rests_on(problem: Problem, decision: Decision, pairs: Sequence[PairResult]) -> Sequence[PairResult]:
    """Return the pairs that count: no warm-up, none that a failed incumbent made void, none behind the decision."""
    ordered = without_warm_up(problem, pairs)
    if problem.acceptance.noise is Noise.TIMING:
        ordered = [p for p, scores in zip(ordered, _scores(ordered), strict=True) if counts_as_timing(scores)]
    return ordered[: decision.n] or pairs


def _exact(
    problem: Problem, _window: Window | None, pairs: Sequence[PairResult], _alpha: float, shorter: bool
) -> Decision:  # fmt: skip
    decision = decide_exact(
        _two([p.candidate for p in pairs]),
        _two([p.incumbent for p in pairs]),
        problem.metric.direction,
        problem.acceptance.min_gain,
        problem.metric.decimals,
    )
    return exactly_as_good(decision) if shorter else decision


def _betting(
    problem: Problem, window: Window | None, pairs: Sequence[PairResult], alpha: float, shorter: bool
) -> Decision:  # fmt: skip
    rules = problem.acceptance
    scores = _scores(pairs)
    told = (_needed(window), problem.metric.direction, rules.min_gain, alpha, rules.max_pairs)
    decision = decide_betting(scores, *told)
    return as_good_within_noise(decision, scores, *told) if shorter else decision


def _timing(
    problem: Problem, _window: Window | None, pairs: Sequence[PairResult], alpha: float, _shorter: bool
) -> Decision:  # fmt: skip
    rules = problem.acceptance
    return decide_timing(_scores(pairs), problem.metric.direction, rules.min_gain, alpha, rules.max_pairs)


_RULES = {Noise.NONE: _exact, Noise.SEED: _betting, Noise.TIMING: _timing}


def without_warm_up(problem: Problem, pairs: Sequence[PairResult]) -> Sequence[PairResult]:
    """Return what was measured in its order; of times without the first, which warm caches in each series anew."""
    return sorted(pairs, key=lambda p: p.index)[WARM_UP_PAIRS if problem.acceptance.noise is Noise.TIMING else 0 :]


def publish(problem: Problem, window: Window | None, pairs: Sequence[PairResult]) -> Published:
    """Return the published score from pairs of its own: the comparison's for ``none``, else a fresh batch.

    All ``pairs`` count: a fresh batch of times comes ``without_warm_up``.

    A mean for noise of seeds, in which a run without a score counts as the bad end of the window, for both sides
    alike; a median for times, in which such a run is slower than any other.
    """
    noise, direction = problem.acceptance.noise, problem.metric.direction
    worst = math.inf if direction is Direction.MINIMIZE else 0.0
    if noise is Noise.SEED:
        worst = _needed(window).bad_end(direction)
    mine = [_counted(p.candidate, worst) for p in pairs]
    theirs = [_counted(p.incumbent, worst) for p in pairs]
    middle = _MIDDLES[noise]
    score, baseline = middle(mine), middle(theirs)
    finite = [score for score in mine if math.isfinite(score)]
    return Published(
        score=score,
        baseline=baseline,
        gain=improvement(direction, score, baseline),
        n=len(mine),
        interval=_INTERVALS[noise](mine),
        sd=stdev(finite) if len(finite) > 1 else 0.0,
    )


def not_again(problem: Problem, judged: Judgement, published: Published, *, numbers: bool = True) -> str | None:
    """Return why the fresh pairs do not agree with an accept, as a sentence, or ``None``.

    A gain has to be above 0 in them too, and a shorter file may lose no more than it may. ``numbers`` tells whether
    the sentence may have what was measured in it.
    """
    simpler = judged.decision.reason is Reason.SIMPLER
    if published.gain > 0 or (simpler and published.gain >= -problem.acceptance.min_gain.at(published.baseline)):
        return None
    if not numbers:
        return f"The gain did not come back on {published.n} fresh pairs."
    return (
        f"The gain did not come back: on {published.n} fresh pairs it scored {published.score:g}, "
        f"and the current best {published.baseline:g}."
    )


def no_gain_on_average(
    problem: Problem, window: Window | None, judged: Judgement, fresh: Sequence[PairResult]
) -> str | None:
    """Return why an accept of cut scores is none of whole ones, as a sentence without numbers, or ``None``.

    Of the pairs that decided and the ``fresh`` ones of the publication; only for noise of seeds, since times have a
    look of this kind of their own.
    """
    if problem.acceptance.noise is not Noise.SEED:
        return None
    simpler = judged.decision.reason is Reason.SIMPLER
    scores, direction = _scores([*judged.rests_on, *fresh]), problem.metric.direction
    allowed = problem.acceptance.min_gain if simpler else MinGain()
    if better_on_average(scores, _needed(window), direction, allowed):
        return None
    return f"{'As good' if simpler else 'Better'} within the window, but not on average: rare runs are far worse."


def failed_guard(problem: Problem, pairs: Sequence[PairResult], *, numbers: bool = True) -> str | None:
    """Return which guard a candidate breaks in the pairs that its verdict rests on, as a sentence, or ``None``.

    ``numbers`` tells whether the sentence may have what was measured in it.
    """
    for guard in problem.acceptance.guards:
        mine = _mean_secondary([p.candidate for p in pairs], guard.metric)
        theirs = _mean_secondary([p.incumbent for p in pairs], guard.metric)
        if mine is None or theirs is None:
            side = "candidate" if mine is None else "current best"
            return f"The scorer did not print {guard.metric} in every run of the {side}, which a guard needs."
        if _regression(guard, mine, theirs) > guard.max_regression:
            how = f"went from {theirs:g} to {mine:g}, worse" if numbers else "got worse"
            return f"{guard.metric} {how} by more than the {guard.max_regression * 100:g} % that its guard allows."
    return None


def implausible(problem: Problem, published: Published, *, numbers: bool = True) -> str | None:
    """Return why an accept should wait for a person, as a sentence, or ``None``.

    ``numbers`` tells whether the sentence may have what was measured in it.
    """
    limit = problem.plausible_gain
    if limit is not None and limit is not problem.acceptance.max_plausible_gain and published.gain > 0:
        return f"Every gain of this problem waits for a person: {problem.evaluation.kind.caveat}."
    if limit is not None and published.gain > limit.at(published.baseline):
        gain = f"gain of {published.gain:g}" if numbers else "gain"
        return f"The {gain} is above what this problem calls plausible ({limit})."
    best = problem.metric.best_known
    if best is not None:
        beyond = improvement(problem.metric.direction, published.score, best.value)
        allowance = max(problem.acceptance.min_gain.at(best.value), 10.0**-best.decimals)
        # 2.635984 − 2.635983 is a little more than 0.000001 in binary, and still no more than one unit.
        if beyond > allowance * (1 + _ROUNDING):
            score = f"score {published.score:g}" if numbers else "score"
            return f"The {score} beats the best known value {best.value:g}."
    return None


def _plain_failure(problem: Problem, pairs: Sequence[PairResult]) -> Decision | None:
    """Reject a candidate that gave no score whenever it ran, while the incumbent did; its own word is the reason.

    An incumbent that fails like that says nothing about the candidate: when it failed twice, the problem pauses.
    Without noise, one pair is enough to reject a failure and never enough for anything else.
    """
    deterministic = problem.acceptance.noise is Noise.NONE
    ran = [p for p in pairs if p.candidate is not None and p.incumbent is not None]
    if len(ran) < (1 if deterministic else _TWICE):
        return Decision(verdict=Verdict.CONTINUE, n=len(ran)) if deterministic else None
    failures = sum(_score(p.incumbent) is None for p in ran)
    if failures == len(ran) < _TWICE:
        return Decision(verdict=Verdict.CONTINUE, n=len(ran), incumbent_failures=failures)
    if failures == len(ran):
        word = ran[0].incumbent.outcome if ran[0].incumbent else ""
        return Decision(
            verdict=Verdict.PAUSE,
            n=len(ran),
            incumbent_failures=len(ran),
            explanation=f"The current best itself gave no score ({word}); nothing can be compared with it.",
        )
    # Without noise an incumbent that scored once and failed once says that the problem is not what it seems.
    if all(_score(p.candidate) is None for p in ran) and not (deterministic and failures):
        outcome = Outcome(ran[0].candidate.outcome) if ran[0].candidate else Outcome.CRASH
        return Decision(
            verdict=Verdict.REJECT,
            reason=outcome.reason or Reason.CRASH,
            n=len(ran),
            candidate_failures=len(ran),
            explanation=_FAILURES.get(outcome, "The candidate gave no score."),
        )
    if deterministic and len(ran) < _TWICE:
        return Decision(verdict=Verdict.CONTINUE, n=len(ran))
    return None


_FAILURES = {
    Outcome.CRASH: "The scorer or the candidate ended with an error.",
    Outcome.TIMEOUT: "The time budget ran out.",
    Outcome.OUT_OF_MEMORY: "The memory limit was reached.",
    Outcome.LIMIT: "A limit of the room was reached.",
    Outcome.PROTOCOL: "There was no valid score.",
}


def _score(side: SideResult | None) -> float | None:
    return side.score if side is not None else None


def _two(sides: Sequence[SideResult | None]) -> tuple[float | None, float | None]:
    scores = [_score(side) for side in sides[:2]]
    return (scores[0], scores[1]) if len(scores) == 2 else (scores[0] if scores else None, None)


def _mean(sides: Iterable[SideResult | None]) -> float | None:
    scores = [s for side in sides if (s := _score(side)) is not None]
    return fmean(scores) if scores else None


def _mean_secondary(sides: Sequence[SideResult | None], metric: str) -> float | None:
    """Return the mean over all runs with a score; ``None`` where one of them left the metric out."""
    scored = [side for side in sides if side is not None and _score(side) is not None]
    if not scored or any(metric not in side.secondary for side in scored):
        return None
    return fmean(side.secondary[metric] for side in scored)


def _regression(guard: Guard, mine: float, theirs: float) -> float:
    worse = -improvement(guard.direction, mine, theirs)
    if worse <= 0:
        return 0.0
    return worse / abs(theirs) if theirs else float("inf")


def _scores(pairs: Sequence[PairResult]) -> list[Pair]:
    return [Pair(index=p.index, candidate=_score(p.candidate), incumbent=_score(p.incumbent)) for p in pairs]


def _counted(side: SideResult | None, worst: float) -> float:
    score = _score(side)
    return worst if score is None else score


def _first(scores: Sequence[float]) -> float:
    return scores[0]


def _no_interval(_scores: Sequence[float]) -> None:
    return None


_MIDDLES: Mapping[Noise, Callable[[Sequence[float]], float]] = {
    Noise.NONE: _first, Noise.SEED: fmean, Noise.TIMING: median,
}  # fmt: skip
_INTERVALS: Mapping[Noise, Callable[[Sequence[float]], tuple[float, float] | None]] = {
    Noise.NONE: _no_interval, Noise.SEED: interval, Noise.TIMING: median_interval,
}  # fmt: skip


def _needed(window: Window | None) -> Window:
    if window is None:
        raise ValueError("a problem with noise has a window")
    return window
