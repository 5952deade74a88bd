"""Numbers and states in the words that every command uses.

Not here: printing them.
"""

from ar_core.lifecycle import ExperimentState
from ar_core.metric import Direction, format_number, improvement
from ar_core.records import Experiment, ProblemCard

NO_VALUE = "–"

_VERDICTS = {
    ExperimentState.ACCEPTED: ("accepted", "green"),
    ExperimentState.HELD: ("held: somebody at the pool looks at it before it counts", "yellow"),
    ExperimentState.REJECTED: ("rejected", "red"),
    ExperimentState.RECORDED: ("recorded, not an improvement", "yellow"),
    ExperimentState.WITHDRAWN: ("withdrawn", "yellow"),
    ExperimentState.REVERTED: ("reverted", "yellow"),
}


def score(value: float | None, card: ProblemCard, *, unit: bool = True) -> str:
    """Show a score of this problem with its decimals and unit."""
    if value is None:
        return NO_VALUE
    number = format_number(value, card.decimals)
    return f"{number} {card.unit}" if unit and card.unit else number


def gain(value: float | None, card: ProblemCard) -> str:
    """Show a gain, which is better above 0 whatever the direction, with its sign."""
    if value is None:
        return NO_VALUE
    return ("+" if value > 0 else "") + format_number(value, card.decimals)


def gain_since_baseline(card: ProblemCard) -> float | None:
    """Return how much better the best version is than the baseline, in the metric's unit."""
    if card.best is None or card.baseline is None:
        return None
    return improvement(Direction.parse(card.direction), card.best, card.baseline)


def interval(low: float | None, high: float | None, card: ProblemCard) -> str:
    """Show both ends of an interval; empty where there is none."""
    if low is None or high is None:
        return ""
    return f"{format_number(low, card.decimals)} to {format_number(high, card.decimals)}"


def verified_gain(x: Experiment, card: ProblemCard) -> str:
    """Show the gain of the pairs that decided, with its interval and effect size; empty where none is told."""
    if x.gain is None:
        return ""
    ends = interval(x.gain_low, x.gain_high, card) if x.gain_low != x.gain_high else ""
    known = (ends, "" if x.effect_size is None else f"effect size {x.effect_size:.3g}")
    more = "; ".join(part for part in known if part)
    return gain(x.gain, card) + (f" ({more})" if more else "")


def measured(pairs: int, verifier: str, grade: str) -> str:
    """Show by whom and how often a number was measured; empty where it was not."""
    if not pairs:
        return ""
    room = f" (sandbox grade {grade})" if grade else ""
    return f"{pairs}{f', by {verifier}{room}' if verifier else ''}"


def published(x: Experiment, card: ProblemCard) -> str:
    """Show what an accepted version is published with, where that was measured apart; else empty."""
    p = x.published
    if p is None or x.exact:
        return ""
    ends = interval(p.low, p.high, card)
    return f"{score(p.score, card)} ({f'{ends}; ' if ends else ''}gain {gain(p.gain, card)} in {p.pairs} fresh pairs)"


def verdict(x: Experiment) -> tuple[str, str]:
    """Return what became of an experiment in a few words, and the colour of it."""
    words, colour = _VERDICTS.get(x.state, (x.state.value, ""))
    reason = x.reason.value.replace("_", " ") if x.reason else ""
    return (f"{words} ({reason})" if reason else words), colour


def state(x: Experiment) -> str:
    """Return state and reason for a column."""
    return f"{x.state.value}/{x.reason.value}" if x.reason else x.state.value


def duration(seconds: float) -> str:
    """Show donated time roughly: ``42 s``, ``3.5 h``, ``12 d``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
