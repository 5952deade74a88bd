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
MAX_SIZE = 1024**5
"""No size is larger: 1 PiB. Whatever reads one may convert it to what a kernel takes."""
_LONGEST_TEXT = 64
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
# A unit after every number but a lone one: with optional units, digits could be cut up in 2^n ways.
_DURATION = re.compile(r"\s*(?:[0-9]+(?:\.[0-9]+)?|(?:[0-9]+(?:\.[0-9]+)?\s*(?:ms|s|min|m|h|d)\s*)+)\s*")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|m|h|d|)")


def parse_size(value: object) -> int:
    """Return a size in bytes from ``262144``, ``"64MiB"`` or ``"1 GB"``; raises ``ValueError``."""
    size: float | None = None
    if type(value) is int and value >= 0:
        size = value
    elif isinstance(value, str) and len(value) <= _LONGEST_TEXT and (match := _QUANTITY.fullmatch(value)):
        factor = _SIZE_UNITS.get(match.group(2).lower())
        if factor is not None:
            size = float(match.group(1)) * factor
    if size is None:
        raise ValueError(f'{_shown(value)} is not a size; write a number of bytes, or "64MiB", "1GiB"')
    if size > MAX_SIZE:
        raise ValueError(f"{_shown(value)} is above {format_size(MAX_SIZE)}")
    return int(size)


def parse_duration(value: object) -> float:
    """Return a duration in seconds from ``30``, ``"60s"``, ``"5m"`` or ``"1h30m"``; raises ``ValueError``."""
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = as_float(value)
    elif isinstance(value, str) and len(value) <= _LONGEST_TEXT and _DURATION.fullmatch(value):
        seconds = sum(float(n) * _DURATION_UNITS[unit] for n, unit in _DURATION_PART.findall(value))
    if math.isfinite(seconds) and seconds >= 0:
        return seconds
    raise ValueError(f'{_shown(value)} is not a duration; write seconds, or "60s", "5m", "1h30m"')


def parse_percent(value: object) -> float:
    """Return a fraction from ``"20%"`` (0.2); raises ``ValueError``."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            number = float(value.strip()[:-1])
        except ValueError:
            number = math.nan
        if math.isfinite(number) and number >= 0:
            return number / 100
    raise ValueError(f'{_shown(value)} is not a percentage; write it like "20%"')


def as_float(value: int | float) -> float:
    """Return ``value`` as a float, infinity where a whole number is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shown(value: object) -> str:
    """Show what was written, short; a huge whole number cannot even be printed."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of that size"
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"


def format_size(size: int) -> str:
    """Show a number of bytes with a binary unit: ``262144`` is ``256 KiB``."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            return f"{number:.4g} {unit}"
        number /= 1024
    return f"{number:.4g} PiB"


def format_duration(seconds: float) -> str:
    """Show seconds as people say them: ``300`` is ``5m``, ``0.5`` is ``0.5s``."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:.10g}s"
