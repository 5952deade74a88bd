"""Words in a panel: strangers' text made safe, seconds as a clock, rates.

Not here: how long a line may be (``frame``).
"""

import math

from ar_core.text import printable

_LONGEST = 1000 * 3600.0


def clean(text: str, limit: int = 200) -> str:
    """Return text as one line without anything that a terminal would obey; its spaces stay as they are."""
    return printable(text.replace("\t", " ").replace("\n", " "), limit)


def clock(seconds: float) -> str:
    """Show seconds as ``0:41``, ``11:52`` or ``2:03:10``, rounded up: 0:00 is over."""
    if not math.isfinite(seconds):
        return "–"
    whole = math.ceil(min(max(seconds, 0.0), _LONGEST))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def per_second(rate: float) -> str:
    """Show a rate with three digits: ``12.3/s``; slow ones as ``4.2/min`` or ``1.5/h``."""
    for unit, length in (("s", 1), ("min", 60), ("h", 3600)):
        if rate * length >= 1 or unit == "h":
            return f"{rate * length:.3g}/{unit}" if rate * length < 1000 else f"{rate * length:.0f}/{unit}"
    raise AssertionError
