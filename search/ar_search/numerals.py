"""Numbers as text: a literal's value, and a new value written as short as its step allows.

Not here: which numbers to change and how far.
"""

import math

_LARGEST = 1e300


def render(value: float, *, whole: bool, step: float) -> str:
    """Write ``value`` so that it is off by far less than ``step``, in a form that every language here reads.

    A fraction keeps its point or exponent, so that ``1.0`` never turns into a whole number.
    """
    value = min(max(value, -_LARGEST), _LARGEST)
    if whole:
        return str(round(value))
    if step > 0 and math.isfinite(step):
        rounded = round(value, min(300, 2 - math.floor(math.log10(step))))
        # Rounding far left of the point may leave nothing of the number.
        value = rounded if rounded != 0 or abs(value) < step else value
    return repr(value + 0.0)


def simpler(value: float, digits: int) -> float:
    """Return ``value`` rounded to ``digits`` significant digits."""
    return float(f"{value:.{digits - 1}e}")
