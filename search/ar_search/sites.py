"""The places in a text that a search may change: numbers, booleans and lines, with how promising each one is.

Not here: reading tokens (``scan``), and changing anything (``operators``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from ar_search.hints import NamedHint, Range, read_manifest_hints
from ar_search.languages import Language
from ar_search.scan import Found, scan

_CAPITALS = re.compile(r"[A-Z][A-Z0-9_]+")
_DULL_VALUES = frozenset({-1.0, 0.0, 1.0})
_DULL, _INDEX = 0.25, 0.1


class Tier(IntEnum):
    """Why a number is worth changing, most worth first; the value is its weight in the draw."""

    COMMENT = 64
    MANIFEST = 32
    CAPITALS = 8
    ARRAY = 4
    REST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One numeric literal: its span with its sign, and what it may become."""

    start: int
    end: int
    name: str
    value: float
    whole: bool
    tier: Tier
    bounds: Range | None
    signed: bool
    """Whether it may fall below 0; a bare literal behind a minus may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Numbers that belong together, by their index: an array, or one number by itself."""

    numbers: tuple[int, ...]
    weight: float
    separators: bool = False
    """Its numbers are a flat array with text between them, so it may get longer or shorter."""

    @property
    def size(self) -> int:
        """How many numbers."""
        return len(self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """Everything that was found in one text."""

    numbers: tuple[Number, ...]
    groups: tuple[Group, ...]
    """Each number is in exactly one."""
    booleans: tuple[Span, ...]
    lines: tuple[Span, ...]
    """Lines that are not blank, each with its newline."""

    @property
    def hinted(self) -> bool:
        """Whether anybody said what to tune."""
        return any(number.tier >= Tier.MANIFEST for number in self.numbers)


def find_sites(text: str, language: Language, hints: Iterable[str] = ()) -> Sites:
    """Return the sites of ``text``; ``hints`` are the manifest's."""
    found = scan(text, language)
    hints_read = read_manifest_hints(hints)
    grouped = {index for group in found.groups for index in group.numbers}
    # Once for each name: an array may have as many numbers as the file has room for.
    ranges = {name: _named(name, hints_read) for name in {item.name for item in found.numbers}}
    numbers = tuple(
        _number(item, i in grouped, found.comments.get(item.line) or item.bounds, ranges[item.name])
        for i, item in enumerate(found.numbers)
    )
    groups = [_array(group.numbers, numbers, group.flat) for group in found.groups]
    groups += [_single(i, numbers[i], found.numbers[i]) for i in range(len(numbers)) if i not in grouped]
    return Sites(
        numbers=numbers,
        groups=tuple(groups),
        booleans=tuple(Span(start=start, end=end) for start, end in found.booleans),
        lines=tuple(_lines(text)),
    )


def _named(name: str, hints: tuple[NamedHint, ...]) -> Range | None:
    return next((hint.range for hint in hints if hint.matches(name)), None)


def _number(item: Found, in_array: bool, commented: Range | None, named: Range | None) -> Number:
    bounds, tier = commented, Tier.COMMENT
    if bounds is None:
        bounds, tier = named, Tier.MANIFEST
    if bounds is None:
        capitals = _CAPITALS.fullmatch(item.name) is not None
        tier = Tier.CAPITALS if capitals else Tier.ARRAY if in_array else Tier.REST
    whole = item.whole if bounds is None else bounds.whole or (item.whole and bounds.whole_ends and not bounds.log)
    return Number(
        start=item.start,
        end=item.end,
        name=item.name,
        value=item.value,
        whole=whole,
        tier=tier,
        bounds=bounds,
        # A count in a program seldom means anything below 0; a fraction may, and what a range allows.
        signed=item.signed and (bounds is not None or item.value < 0 or in_array or not item.whole),
    )


def _array(indices: tuple[int, ...], numbers: tuple[Number, ...], flat: bool) -> Group:
    tier = max(numbers[i].tier for i in indices)
    # An array counts for more than one number of its kind, but a long one must not drown a learning rate.
    return Group(numbers=indices, weight=tier * (1 + len(indices).bit_length()), separators=flat)


def _single(index: int, number: Number, item: Found) -> Group:
    weight = float(number.tier)
    if number.bounds is None:
        weight *= (_DULL if number.value in _DULL_VALUES else 1.0) * (_INDEX if item.subscript else 1.0)
    return Group(numbers=(index,), weight=weight)


def _lines(text: str) -> Iterable[Span]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        if text[start:end].strip():
            yield Span(start=start, end=end)
        start = end
