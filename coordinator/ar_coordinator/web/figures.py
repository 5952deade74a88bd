"""How numbers, times and strangers' words read on a page; every score keeps the metric's decimals.

Not here: words for verdicts (``verdicts``) and escaping, which the templates do.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime

from ar_coordinator.store.problems import Record
from ar_core.chart.headline import percentage, plain
from ar_core.metric import format_number
from ar_core.quantities import format_duration, format_size
from ar_core.records import Experiment, ProblemCard
from ar_core.text import printable

NOTHING = "–"
_ONE_LINE = 300
_BLOCK = 65_536


def line(text: str, limit: int = _ONE_LINE) -> str:
    """Return a stranger's text as one safe line."""
    return plain(text, limit)


def block(text: str) -> str:
    """Return a stranger's text of several lines without control, bidirectional and invisible characters."""
    return printable(text.replace("\r\n", "\n"), _BLOCK)


def number(value: float | None, decimals: int = 6) -> str:
    """Return a score or a gain, an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return format_number(value, decimals)


def interval(score: float, low: float | None, high: float | None, decimals: int) -> str:
    """Return the uncertainty beside a number: "± 3", or both ends where it is not symmetrical; may be empty."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    half = (high - low) / 2
    if abs((high + low) / 2 - score) <= 0.02 * half:
        return f"± {_few_digits(half, decimals)}"
    return f"({number(low, decimals)} to {number(high, decimals)})"


def _few_digits(half: float, decimals: int) -> str:
    shown = format_number(half, decimals)
    return f"{half:.2g}" if shown == "0" and half > 0 else shown


def effect(size: float) -> str:
    """Return an effect size, which has no unit and is worth three digits."""
    return f"{size:.3g}" if math.isfinite(size) else NOTHING


def evidence(e_value: float | None, exact: bool) -> str:
    """Return how strong the evidence is: "exact", or the e-value."""
    if exact:
        return "exact"
    if e_value is None or not math.isfinite(e_value):
        return NOTHING
    return f"e = {e_value:,.0f}" if 10 <= e_value < 1e6 else f"e = {e_value:.2g}"


def record_evidence(record: Record) -> str:
    """Return a record's evidence; a baseline has none."""
    return evidence(record.evidence, record.exact) if record.experiment else NOTHING


def experiment_evidence(x: Experiment) -> str:
    """Return an experiment's evidence."""
    return evidence(x.evidence, x.exact)


def measured(verifier: str, grade: str) -> str:
    """Return where a number was measured: "in a room of grade B on NAME", as far as that is known."""
    words = f"in a room of grade {line(grade, 4)}" if grade else ""
    return f"{words} on {line(verifier, 120)}".strip() if verifier else words


def share(fraction: float) -> str:
    """Return a fraction in percent, for a column whose header says so."""
    return f"{100 * fraction:.1f}" if fraction > 0 else "0"


def count(value: int) -> str:
    """Return a count with a comma at each thousand."""
    return f"{value:,}"


def minute(when: datetime) -> str:
    """Return an instant as people read it, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def second(when: datetime) -> str:
    """Return an instant in full, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(when: datetime) -> str:
    """Return an instant for machines (RFC 3339)."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def short(commit: str) -> str:
    """Return the beginning of a hash, enough to recognise it."""
    return commit[:10]


def unit(text: str) -> str:
    """Return a unit in brackets for the header of a column; empty where the metric has none."""
    cleaned = line(text, 24)
    return f" ({cleaned})" if cleaned else ""


def step(card: ProblemCard) -> str:
    """Return "25240 → 5575 bytes", or "baseline 25240 bytes"; empty while nothing was measured."""
    suffix = f" {line(card.unit, 24)}" if card.unit else ""
    if card.baseline is None:
        return ""
    first = number(card.baseline, card.decimals)
    if card.best is None or card.accepted == 0:
        return f"baseline {first}{suffix}"
    return f"{first} → {number(card.best, card.decimals)}{suffix}"


def change(card: ProblemCard) -> str:
    """Return "−77.9 %", empty where there is no change or it says nothing."""
    if card.baseline is None or card.best is None or card.accepted == 0:
        return ""
    return percentage(card.baseline, card.best)


def tally(card: ProblemCard) -> str:
    """Return "4 accepted of 19"."""
    return f"{card.accepted:,} accepted of {card.experiments:,}" if card.experiments else "nothing tried yet"


def headline(card: ProblemCard) -> str:
    """Return "25240 → 5575 bytes, −77.9 %, 4 accepted of 19"."""
    parts = (step(card), change(card), tally(card))
    return ", ".join(part for part in parts if part)


FILTERS: dict[str, Callable[..., str]] = {
    "line": line, "block": block, "number": number, "interval": interval, "effect": effect,
    "record_evidence": record_evidence, "experiment_evidence": experiment_evidence, "measured": measured,
    "share": share, "count": count, "minute": minute, "second": second, "iso": iso, "short": short, "unit": unit,
    "step": step, "change": change, "tally": tally, "headline": headline, "size": format_size,
    "duration": format_duration,
}  # fmt: skip
