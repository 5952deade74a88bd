"""The start measured against itself, as a verification measures a candidate against the best: that is never a gain.

Not here: the runs (``registration``) and the rules that decide (``ar_core.acceptance``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ar_core.acceptance import (
    WARM_UP_PAIRS,
    Decision,
    Pair,
    Verdict,
    Window,
    cheapest_accept,
    cheapest_timing_accept,
    decide_betting,
    decide_exact,
    decide_timing,
    derive_window,
)
from ar_core.problem import Noise, Problem
from ar_sandbox.judging import ALPHA, Findings
from ar_sandbox.report import NoiseReport
from ar_sandbox.result import Outcome, Result, RunSeeds

SHARE = 0.25
"""Of the time that a registration may take, so much may go into the self-test."""
Run = Callable[[RunSeeds, int], Result]
"""Scores the start with these seeds and this hash seed."""


def most_pairs(problem: Problem) -> int:
    """Return how many pairs a self-test takes at most: those that the quickest accept needs."""
    noise, most = problem.acceptance.noise, problem.acceptance.max_pairs
    if noise is Noise.TIMING:
        return WARM_UP_PAIRS + min(cheapest_timing_accept(alpha=ALPHA), most)
    return min(cheapest_accept(1, ALPHA), most)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """One self-test; ``going_on`` tells whether there is time for another pair."""

    problem: Problem
    seen: NoiseReport
    run: Run
    seeds: Callable[[int], RunSeeds]
    going_on: Callable[[], bool]

    def decision(self, results: Sequence[Result]) -> Decision | None:
        """Return what the rule says; ``None`` where there was no time for a pair.

        Without noise the baseline's ``results`` say it all: two of them for each side.
        """
        if self.problem.acceptance.noise is Noise.NONE:
            scores = [results[i % len(results)].score for i in range(4)]
            rules = self.problem.acceptance
            direction, decimals = self.problem.metric.direction, self.problem.metric.decimals
            return decide_exact((scores[0], scores[1]), (scores[2], scores[3]), direction, rules.min_gain, decimals)
        window = self._window()
        pairs: list[Pair] = []
        found: Decision | None = None
        while len(pairs) < most_pairs(self.problem) and self.going_on():
            pairs.append(self._pair(len(pairs)))
            found = self._decide(pairs, window)
            if found.verdict is not Verdict.CONTINUE:
                break
        return found

    def _pair(self, index: int) -> Pair:
        """Run both sides one after the other: the same seeds and hash seed, which is first by a bit of a seed."""
        seeds = self.seeds(index)
        first = self._score(seeds)
        second = self._score(seeds)
        if seeds.scorer & 1:
            first, second = second, first
        return Pair(index=index, candidate=first, incumbent=second)

    def _score(self, seeds: RunSeeds) -> float | None:
        result = self.run(seeds, seeds.run % 2**32)
        return result.score if result.outcome is Outcome.OK else None

    def _window(self) -> Window | None:
        if self.problem.acceptance.noise is not Noise.SEED:
            return None
        metric, rules = self.problem.metric, self.problem.acceptance
        return derive_window(mean=self.seen.mean, sd=self.seen.sd, min_gain=rules.min_gain, explicit=rules.window,
                             low=metric.low, high=metric.high)  # fmt: skip

    def _decide(self, pairs: Sequence[Pair], window: Window | None) -> Decision:
        direction, rules = self.problem.metric.direction, self.problem.acceptance
        if window is None:
            return decide_timing(pairs, direction, rules.min_gain, ALPHA, rules.max_pairs)
        return decide_betting(pairs, window, direction, rules.min_gain, ALPHA, rules.max_pairs)


def judge(problem: Problem, decision: Decision | None, report: Findings) -> None:
    """Say what came of a self-test."""
    if decision is None:
        report.add("self-test", "info", "there was no time to measure the start against itself")
        return
    after = f"{decision.n} pair{'' if decision.n == 1 else 's'}"
    if decision.verdict is Verdict.ACCEPT:
        said = f"the start was accepted as better than itself, after {after}, evidence {decision.evidence:.3g}"
        fix = "measure longer in one run, and take all randomness from AR_SEED and AR_RUN_SEED; then try again"
        report.add("self-test", "error", said, fix)
    elif decision.verdict is Verdict.PAUSE:
        fix = "correct it until every run has a score; a pool would pause the problem"
        report.add("self-test", "error", f"the start against itself: {decision.explanation}", fix)
    elif problem.acceptance.noise is Noise.NONE:
        report.add("self-test", "info", "the start against itself is no gain: it scored the same in both pairs")
    else:
        told = f"evidence {decision.evidence:.3g} of the {1 / ALPHA:.3g} needed"
        report.add("self-test", "info", f"the start against itself is no gain: {after}, {told}")
