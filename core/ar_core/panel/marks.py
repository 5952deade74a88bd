"""Small drawings in a line: how much is left as a bar, values over time as a curve.

Not here: where in a panel they stand.
"""

import math
from collections.abc import Sequence

_FULL, _EMPTY = "━", "·"
_LEVELS = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> tuple[str, str]:
    """Return the full and the empty part of a bar; anything left at all shows at least one mark."""
    if not math.isfinite(share):
        share = 0.0
    share = min(max(share, 0.0), 1.0)
    full = min(width, math.ceil(share * width)) if width > 0 else 0
    return _FULL * full, _EMPTY * (max(width, 0) - full)


def curve(values: Sequence[float], width: int) -> str:
    """Return values, evenly spread over the time, as a line of at most ``width`` blocks, the highest a full one."""
    known = [value for value in values if math.isfinite(value)]
    if not known or width <= 0:
        return ""
    low, high = min(known), max(known)
    chosen = known if len(known) <= width else [known[i * len(known) // width] for i in range(width)]
    return "".join(_LEVELS[_level(value, low, high)] for value in chosen)


def _level(value: float, low: float, high: float) -> int:
    # Halved, since the difference of two large numbers may be no number.
    span = high / 2 - low / 2
    return round((value / 2 - low / 2) / span * (len(_LEVELS) - 1)) if span > 0 else 0
