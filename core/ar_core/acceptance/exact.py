"""The rule for problems without noise: both sides run twice, and equal twice means an exact comparison.

Not here: running them in fresh rooms with different hash seeds, which is what gives the repetition its worth.
"""

from ar_core.acceptance.decision import Decision, Verdict
from ar_core.acceptance.pairs import failed
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain, format_number, improvement

Runs = tuple[float | None, float | None]
"""The scores of the same bytes in two fresh rooms; ``None`` for a run without a score."""


def decide_exact(
    candidate_runs: Runs, incumbent_runs: Runs, direction: Direction, min_gain: MinGain, decimals: int = 17
) -> Decision:
    """Compare two deterministic versions; a gain has to be above ``min_gain``, a tie goes to the incumbent.

    ``decimals`` is how many the explanation shows at most.

    The incumbent is looked at first, since a candidate must never re-classify a problem: one that fails or
    does not repeat pauses the problem. A candidate that fails or does not repeat is an invalid score.
    """
    incumbent = _repeated(incumbent_runs)
    if incumbent is None:
        return Decision(
            verdict=Verdict.PAUSE,
            exact=True,
            n=2,
            incumbent_failures=sum(map(failed, incumbent_runs)),
            explanation=f"The current best {_unrepeated(incumbent_runs)}, so this problem is not "
            'deterministic as its manifest says; its publisher can set `noise = "seed"` or mend the scorer.',
        )
    candidate = _repeated(candidate_runs)
    if candidate is None:
        return Decision(
            verdict=Verdict.REJECT,
            reason=Reason.INVALID_SCORE,
            exact=True,
            n=2,
            candidate_failures=sum(map(failed, candidate_runs)),
            explanation=f"Not reproducible: the candidate {_unrepeated(candidate_runs)}, "
            "while the current best repeats exactly.",
        )
    gain = improvement(direction, candidate, incumbent)
    if gain > min_gain.at(incumbent):
        return Decision(
            verdict=Verdict.ACCEPT,
            exact=True,
            n=2,
            mean_gain=gain,
            interval=(gain, gain),
            explanation=f"Better by {gain:.6g}: {format_number(incumbent, decimals)} → "
            f"{format_number(candidate, decimals)}, the same in two fresh runs.",
        )
    return Decision(
        verdict=Verdict.REJECT,
        reason=Reason.NO_IMPROVEMENT,
        exact=True,
        n=2,
        mean_gain=gain,
        interval=(gain, gain),
        explanation=_no_gain(gain, format_number(candidate, decimals), min_gain),
    )


def _repeated(runs: Runs) -> float | None:
    """Return the score on which both runs agree to the last bit, if there is one."""
    first, second = runs
    return first if first == second and not failed(first) else None


def _unrepeated(runs: Runs) -> str:
    count = sum(map(failed, runs))
    if count == 2:
        return "gave no score in two runs"
    if count == 1:
        return "gave a score in one of two runs only"
    return f"scored {runs[0]!r} and then {runs[1]!r}"


def _no_gain(gain: float, candidate: str, min_gain: MinGain) -> str:
    if gain > 0:
        return f"Better by {gain:.6g} only; this problem asks for more than {min_gain}."
    if gain == 0:
        return f"No better: the same score as the current best, {candidate}."
    return f"Worse by {-gain:.6g} than the current best."
