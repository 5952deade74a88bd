"""The line above the chart and the numbers on it, as people read them.

Not here: drawing.
"""

import math

from ar_core.text import one_line

_PLAIN_BELOW = 1e12


def headline(
    first: float | None, best: float | None, *, accepted: int, tried: int, decimals: int = 6, unit: str = ""
) -> str:
    """Return a line like "0.8466 → 0.7011 bpb, −17.2 %, 41 accepted of 3,902".

    ``first`` is the baseline's score and ``best`` the best so far, ``None`` while there is none; ``accepted``
    does not count the baseline. The percentage is of the baseline's size, and absent when that is 0.
    """
    counts = f"{accepted:,} accepted of {tried:,}" if tried else "nothing tried yet"
    if first is None or best is None:
        return counts[0].upper() + counts[1:]
    suffix = f" {plain(unit, 16)}" if unit.strip() else ""
    if first == best:
        return f"{number(first, decimals)}{suffix}, {counts}"
    digits = _telling_decimals(best - first, decimals)
    step = f"{_padded(first, digits)} → {_padded(best, digits)}{suffix}"
    return ", ".join(part for part in (step, percentage(first, best), counts) if part)


def _telling_decimals(change: float, decimals: int) -> int:
    """Return how many decimals show four digits of the change, at most ``decimals``."""
    if not 1e-300 < abs(change) < math.inf:
        return decimals
    return max(0, min(decimals, 3 - math.floor(math.log10(abs(change)))))


def _padded(value: float, decimals: int) -> str:
    """Return both ends of a step with the same decimals, so that they compare at a glance."""
    if not abs(value) < _PLAIN_BELOW:
        return number(value, decimals)
    return f"{value:,.{max(decimals, 0)}f}".replace("-", "−")


def percentage(first: float, best: float) -> str:
    """Return the change as "−17.2 %", with more digits when it is small; empty when it says nothing."""
    if first == 0:
        return ""
    change = 100 * (best - first) / abs(first)
    if not math.isfinite(change) or abs(change) >= 1e5:
        return ""
    text = f"{change:+,.1f}" if abs(change) >= 0.1 else f"{change:+.1g}"
    return f"{text} %".replace("-", "−") if "e" not in text else ""


def number(value: float, decimals: int) -> str:
    """Return ``value`` with at most ``decimals`` decimals, a thousands separator and a true minus sign."""
    if not abs(value) < _PLAIN_BELOW:
        return f"{value:.6g}".replace("-", "−")
    text = f"{value:,.{max(decimals, 0)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def plain(text: str, limit: int) -> str:
    """Return a stranger's text as XML allows it: one line, bounded and printable; not yet escaped."""
    kept = "".join(c for c in text[: 20 * limit] if not _is_noncharacter(ord(c)))
    return one_line(kept, limit)


def _is_noncharacter(point: int) -> bool:
    """Tell whether Unicode reserves this code point for nobody; XML refuses some of these."""
    return point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
