"""The words and icons of states and reasons, so that no verdict is ever told by colour alone.

Not here: the states themselves (``ar_core.lifecycle``).
"""

from collections.abc import Callable

from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.records import Experiment

EXPERIMENT_ICONS = {
    ExperimentState.REPORTED: "…",
    ExperimentState.QUEUED: "…",
    ExperimentState.VERIFYING: "↻",
    ExperimentState.ACCEPTED: "✓",
    ExperimentState.REJECTED: "✗",
    ExperimentState.RECORDED: "○",
    ExperimentState.HELD: "!",
    ExperimentState.WITHDRAWN: "−",
    ExperimentState.REVERTED: "↶",
}
PROBLEM_ICONS = {
    ProblemState.REGISTERING: "↻",
    ProblemState.OPEN: "✓",
    ProblemState.PAUSED: "!",
    ProblemState.WITHDRAWN: "−",
    ProblemState.REFUSED: "✗",
}
REASONS = {
    Reason.NO_IMPROVEMENT: "It is not better than the best version by more than the smallest gain that counts.",
    Reason.CRASH: "It ended with an error.",
    Reason.TIMEOUT: "It did not finish within the time budget.",
    Reason.OUT_OF_MEMORY: "It needed more memory than the problem allows.",
    Reason.INVALID_SCORE: "It gave no valid score, or not the same one twice.",
    Reason.GUARD_FAILED: "A secondary metric got worse than the problem allows.",
    Reason.DUPLICATE: "The same file was tried before.",
    Reason.POLICY: "The file breaks the rules of what a candidate may be; its bytes are not kept.",
    Reason.NOT_REPRODUCED: "The claimed gain did not come back when the pool measured it.",
    Reason.INCONCLUSIVE: "The pairs that were measured do not show a gain clearly enough.",
    Reason.IMPLAUSIBLE: "The gain is too good to be accepted before a person has looked at it.",
    Reason.STALE_CONFLICT: "A better version came first, and the change could not be carried over to it.",
    Reason.INFRASTRUCTURE: "The pool's own machinery failed; this does not count against anyone.",
    Reason.WITHDRAWN: "It was withdrawn before it was measured.",
    Reason.SIMPLER: "As good as the best version, with fewer bytes.",
    Reason.REBASED: "Accepted after its change was carried over to the best version.",
}
_UNEXPLAINED = {
    ExperimentState.QUEUED: "It waits for a verifier.",
    ExperimentState.VERIFYING: "A verifier measures it beside the best version now.",
    ExperimentState.ACCEPTED: "The pool measured the gain itself and committed it.",
    ExperimentState.HELD: "It waits for a person to look at it.",
    ExperimentState.REVERTED: "It was accepted, and taken back when it was measured again.",
}
FINDING_ICONS = {"info": "i", "warning": "!", "error": "✗"}


def explain(x: Experiment) -> str:
    """Return why an experiment is where it is, in one sentence."""
    if x.explanation:
        return x.explanation
    return REASONS[x.reason] if x.reason else _UNEXPLAINED.get(x.state, "")


def experiment_icon(state: ExperimentState) -> str:
    """Return the icon of an experiment's state."""
    return EXPERIMENT_ICONS[state]


def problem_icon(state: ProblemState) -> str:
    """Return the icon of a problem's state."""
    return PROBLEM_ICONS[state]


def finding_icon(severity: str) -> str:
    """Return the icon of a finding's severity."""
    return FINDING_ICONS.get(severity, "i")


FILTERS: dict[str, Callable[..., str]] = {
    "explain": explain, "experiment_icon": experiment_icon, "problem_icon": problem_icon,
    "finding_icon": finding_icon,
}  # fmt: skip
