"""What of a comparison leaves the pool; of one with hidden files, only what their ladder gives away.

Not here: how finely (``ar_core.acceptance.ladder``), and the comparison, which keeps every digit (``judgement``).
"""

import math
from dataclasses import dataclass, replace

from ar_coordinator.judgement import Judgement, Published
from ar_core.acceptance import Decision, Ladder, Verdict
from ar_core.acceptance.ladder import rounded
from ar_core.lifecycle import Reason
from ar_core.metric import improvement
from ar_core.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What an experiment's record says of its comparison."""

    verified: float | None = None
    incumbent: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    effect_size: float | None = None
    """Only with every digit: beside a rounded gain it would tell how much was rounded away."""
    evidence: float | None = None
    explanation: str


def everything(problem: Problem, judged: Judgement) -> Released:
    """Return a comparison with every digit."""
    decision, gain = judged.decision, judged.decision.mean_gain
    if gain is None and judged.candidate is not None and judged.incumbent is not None:
        gain = improvement(problem.metric.direction, judged.candidate, judged.incumbent)
    low, high = decision.interval or (None, None)
    return Released(
        verified=judged.candidate, incumbent=judged.incumbent, gain=gain, gain_low=low, gain_high=high,
        effect_size=_finite(decision.effect_size), evidence=None if decision.exact else decision.evidence,
        explanation=decision.explanation,
    )  # fmt: skip


def of_accept(problem: Problem, ladder: Ladder, judged: Judgement) -> Released:
    """Return what is told of an accept."""
    decision = judged.decision
    if ladder.step is None:
        return everything(problem, judged)
    if judged.candidate is None or judged.incumbent is None:
        raise ValueError("an accept rests on scores of both sides")
    mine, theirs = ladder.score(judged.candidate), ladder.score(judged.incumbent)
    direction, gain = problem.metric.direction, decision.mean_gain
    difference = improvement(direction, judged.candidate, judged.incumbent)
    if gain is None or math.isclose(gain, difference, abs_tol=_DUST * ladder.step):
        gain = ladder.gain(direction, mine, theirs)
    else:
        # Scores that were cut to the window: their gain is less than the difference, and so is its interval.
        gain = rounded(gain, ladder.step)
    low, high = (gain, gain) if decision.exact else ladder.gain_interval(decision.interval) or (None, None)
    better = "Shorter, and as good" if decision.reason is Reason.SIMPLER else "Better"
    return Released(
        verified=mine, incumbent=theirs, gain=gain, gain_low=low, gain_high=high,
        evidence=None if decision.exact else enough(ladder, decision.evidence, judged.alpha),
        explanation=f"{better}: {theirs:.12g} → {mine:.12g}, rounded to {ladder.step:.12g}.",
    )  # fmt: skip


def of_others(problem: Problem, ladder: Ladder, judged: Judgement) -> Released:
    """Return what is told of what is not accepted: that it is so, and why in a word."""
    if ladder.step is None:
        return everything(problem, judged)
    return Released(explanation=explanation(ladder, judged.decision))


def explanation(ladder: Ladder, decision: Decision) -> str:
    """Return a decision's own sentence, or one without its numbers."""
    plain = decision.reason in _PLAIN or (decision.reason in _PLAIN_UNLESS_EXACT and not decision.exact)
    if ladder.step is None or plain:
        return decision.explanation
    if decision.verdict is Verdict.PAUSE:
        return (
            "The current best does not give the same score twice, so this problem is not deterministic as its "
            'manifest says; its publisher can set `noise = "seed"` or mend the scorer.'
        )
    words = "Not better than the current best by what this problem asks for"
    if decision.reason is Reason.INVALID_SCORE:
        words = "Not reproducible: two runs of the candidate differ, while the current best repeats exactly"
    elif decision.reason is Reason.INCONCLUSIVE:
        words = f"Undecided after {decision.n} pairs, the most this problem allows"
    return f"{words}; no score is told, since hidden files were used."


def of_publication(problem: Problem, ladder: Ladder, published: Published) -> Published:
    """Return what an accept is published with; the spread, which is for the next window, stays as it is."""
    if ladder.step is None:
        return published
    score, baseline = ladder.score(published.score), ladder.score(published.baseline)
    return replace(
        published, score=score, baseline=baseline, gain=ladder.gain(problem.metric.direction, score, baseline),
        interval=ladder.score_interval(published.interval),
    )  # fmt: skip


def enough(ladder: Ladder, evidence: float, alpha: float) -> float:
    """Return the evidence as it is released: of an accept it is enough, and by how much would tell the gain."""
    return evidence if ladder.step is None else min(evidence, 1 / alpha)


def _finite(value: float | None) -> float | None:
    """Return a number that JSON has, or none: gains that hardly vary have no size beside their spread."""
    return value if value is not None and math.isfinite(value) else None


_DUST = 1e-6
_PLAIN = frozenset({Reason.CRASH, Reason.TIMEOUT, Reason.OUT_OF_MEMORY})
_PLAIN_UNLESS_EXACT = frozenset({Reason.INVALID_SCORE, None})
"""How a run failed has no numbers in it; what two runs scored that differ has."""
