"""The rule for a shorter file that is as good: no gain to show, and shown not to be a loss.

Not here: whether the problem wants this (its manifest says so) and which file is shorter (whoever asks knows).

Two one-sided tests, as in Schuirmann, "A comparison of the two one-sided tests procedure and the power approach",
Journal of Pharmacokinetics and Biopharmaceutics 1987, each by betting, so that it may be looked at after any pair.
It is a second way to be accepted, beside that of a gain: whoever asks gives each of the two half of its level.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from ar_core.acceptance.betting import DEFAULT_ALPHA, BettingProcess, hopeless
from ar_core.acceptance.decision import Decision, Verdict
from ar_core.acceptance.pairs import Pair, in_order
from ar_core.acceptance.window import Window, gain_and_difference
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain, improvement


def exactly_as_good(decision: Decision) -> Decision:
    """Turn the exact rule's "no improvement" into an accept where the shorter file loses nothing."""
    as_good = decision.exact and decision.mean_gain is not None and decision.mean_gain >= 0
    if decision.reason is not Reason.NO_IMPROVEMENT or not as_good:
        return decision
    return replace(
        decision,
        verdict=Verdict.ACCEPT,
        reason=Reason.SIMPLER,
        explanation="Shorter, and scores no worse than the current best in two fresh runs.",
    )


def as_good_within_noise(
    decision: Decision,
    pairs: Iterable[Pair],
    window: Window,
    direction: Direction,
    min_gain: MinGain,
    alpha: float = DEFAULT_ALPHA,
    max_pairs: int = 200,
) -> Decision:
    """Return ``decision``, the betting rule's, or an accept of the shorter file, whichever came first.

    It takes evidence of 1/α that the mean clipped gain is above −``min_gain``, and as much that it is below
    ``min_gain``. What the betting rule calls futile goes on here until this is futile too. One that is worse by
    ``min_gain`` has two chances, so that it is accepted with a chance of at most 2α: give both rules half the level.
    """
    lower, upper = _worst(window, direction, min_gain)
    no_worse, no_better = BettingProcess(worst=lower), BettingProcess(worst=upper)
    ordered = in_order(pairs)[:max_pairs]
    for n, pair in zip(count(1), ordered, strict=False):
        if decision.verdict is Verdict.ACCEPT and decision.n <= n:
            return decision
        gain, difference = gain_and_difference(pair, window, direction, min_gain)
        margin = gain - difference
        no_worse, no_better = no_worse.after(gain + margin), no_better.after(margin - gain)
        evidence = min(no_worse.evidence, no_better.evidence)
        if no_worse.reached(alpha) and no_better.reached(alpha):
            return replace(
                decision, verdict=Verdict.ACCEPT, reason=Reason.SIMPLER, n=n, evidence=evidence, futile=False,
                explanation=f"Shorter, and as good within {min_gain} after {n} pairs, evidence {evidence:.3g}.",
            )  # fmt: skip
        if decision.futile and (hopeless(no_worse) or hopeless(no_better)):
            return decision
    if decision.futile and len(ordered) < max_pairs:
        return replace(
            decision, verdict=Verdict.CONTINUE, reason=None, n=len(ordered), futile=False,
            explanation=f"No gain, but shorter: {len(ordered)} pairs so far on whether it is as good.",
        )  # fmt: skip
    return decision


def _worst(window: Window, direction: Direction, min_gain: MinGain) -> tuple[float, float]:
    """Return the least values of gain + margin and margin − gain, both below 0.

    Each is concave in the incumbent's score where the candidate is at its end, or linear with a slope of one sign,
    so that the least value is at an end of the window.
    """
    bad = window.bad_end(direction)
    good = window.high if bad == window.low else window.low
    ends = (window.low, window.high)
    lower = min(improvement(direction, bad, end) + min_gain.at(end) for end in ends)
    upper = min(min_gain.at(end) - improvement(direction, good, end) for end in ends)
    return min(lower, -window.high + window.low), min(upper, -window.high + window.low)
