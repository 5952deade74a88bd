"""Hints for the tuner: ``1..64 int`` in a comment, ``lr 1e-5..1e-1 log`` in a manifest.

Not here: finding the places that a hint is about (``sites``).
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

_NUMBER = r"[+-]?(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})((?:\s+(?:int|log))*)\s*(?![\w.])")
_COMMENT = re.compile(r"\btune:")
_WHOLE = re.compile(r"[+-]?[0-9][0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Where a number may lie, both ends included; ``log``: steps are factors; ``whole``: no fractions."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    whole_ends: bool = False
    """Both ends were written as whole numbers, so a whole number in the file may stay one."""

    def clip(self, value: float) -> float:
        """Return the nearest number inside."""
        low = math.ceil(self.low) if self.whole else self.low
        high = math.floor(self.high) if self.whole else self.high
        return min(max(value, low), high)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedHint:
    """A range for every number whose name matches ``pattern`` (``*`` and ``?`` as in file names)."""

    pattern: str
    range: Range

    def matches(self, name: str) -> bool:
        """Tell whether the hint is about a number of this name; ``*`` is about nameless ones too."""
        return fnmatchcase(name, self.pattern)


def parse_range(text: str) -> Range | None:
    """Read ``LOW..HIGH``, then ``int`` and ``log`` as wished; ``None`` for anything that is not a usable range."""
    match = _RANGE.match(text)
    if match is None:
        return None
    low, high = (float(match.group(i).replace("_", "")) for i in (1, 2))
    words = match.group(3).split()
    whole_ends = all(_WHOLE.fullmatch(match.group(i)) for i in (1, 2))
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or ("log" in words and low <= 0):
        return None
    if "int" in words and math.ceil(low) > math.floor(high):
        return None
    return Range(low=low, high=high, log="log" in words, whole="int" in words, whole_ends=whole_ends)


def read_comment(comment: str) -> Range | None:
    """Return the range that a comment with ``tune:`` in it gives, ``None`` where it gives none."""
    match = _COMMENT.search(comment)
    return parse_range(comment[match.end() :]) if match else None


def read_manifest_hints(hints: Iterable[str]) -> tuple[NamedHint, ...]:
    """Read ``[search].tune``; an entry that is not ``PATTERN LOW..HIGH …`` is passed over, as hints never bind."""
    found = []
    for hint in hints:
        pattern, _, rest = hint.strip().partition(" ")
        bounds = parse_range(rest)
        if bounds is not None:
            found.append(NamedHint(pattern=pattern, range=bounds))
    return tuple(found)
