"""Sizes, durations and percentages as people write them: ``1GiB``, ``60s``, ``1%``.

Not here: what they limit.
"""

import math
import re

_SIZE_UNITS = {
    "": 1, "b": 1,
    "kb": 1000, "mb": 1000**2, "gb": 1000**3, "tb": 1000**4,
    "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4,
    "kib": 1024, "mib": 1024**2, "gib": 1024**3, "tib": 1024**4,
}  # fmt: skip
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_QUANTITY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$")
_DURATION = re.compile(r"^\s*(?:\d+(?:\.\d+)?\s*(?:ms|s|min|m|h|d)?\s*)+$")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|)")


def parse_size(value: object) -> int:
    """Return a size in bytes from ``262144``, ``"64MiB"`` or ``"1 GB"``; raises ``ValueError``."""
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str) and (match := _QUANTITY.match(value)):
        factor = _SIZE_UNITS.get(match.group(2).lower())
        if factor is not None:
            return int(float(match.group(1)) * factor)
    raise ValueError(f'{value!r} is not a size; write a number of bytes, or "64MiB", "1GiB"')


def parse_duration(value: object) -> float:
    """Return a duration in seconds from ``30``, ``"60s"``, ``"5m"`` or ``"1h30m"``; raises ``ValueError``."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    if isinstance(value, str) and _DURATION.match(value):
        return sum(float(n) * _DURATION_UNITS[unit] for n, unit in _DURATION_PART.findall(value))
    raise ValueError(f'{value!r} is not a duration; write seconds, or "60s", "5m", "1h30m"')


def parse_percent(value: object) -> float:
    """Return a fraction from ``"20%"`` (0.2); raises ``ValueError``."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            number = float(value.strip()[:-1])
        except ValueError:
            number = math.nan
        if math.isfinite(number) and number >= 0:
            return number / 100
    raise ValueError(f'{value!r} is not a percentage; write it like "20%"')


def format_size(size: int) -> str:
    """Show a number of bytes with a binary unit: ``262144`` is ``256 KiB``."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.4g} {unit}"
        number /= 1024
    return f"{number:.4g} TiB"


def format_duration(seconds: float) -> str:
    """Show seconds as people say them: ``300`` is ``5m``, ``0.5`` is ``0.5s``."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:g}s"
