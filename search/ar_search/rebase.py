"""A change made to one version, made to another version of the same file: the part of it that is numbers.

Not here: merging lines, which git does, and whether the outcome is any good, which only an evaluation tells.
"""

import math
from dataclasses import replace

from ar_search.edits import Edit, apply_edits
from ar_search.languages import language_of
from ar_search.operators.numeric import written
from ar_search.sites import Number, find_sites

_KEPT = 1e-6
"""Of a step: what may be lost of it where the new number is written shorter."""


def add_changes(
    *, parent: bytes, candidate: bytes, best: bytes, path: str, hints: tuple[str, ...] = ()
) -> bytes | None:
    """Return ``best`` with the steps added that lead from the numbers of ``parent`` to those of ``candidate``.

    ``path`` is the file's, which tells its language; ``hints`` are the manifest's, whose bounds hold. ``None`` where
    the three are not the same text but for their numbers, or nothing comes of it that was not there before.
    """
    language = language_of(path)
    texts = [_text(content) for content in (parent, candidate, best)]
    if None in texts:
        return None
    was, new, now = (text for text in texts if text is not None)
    sites = [find_sites(text, language, hints).numbers for text in (was, new, now)]
    if len({_template(text, numbers) for text, numbers in zip((was, new, now), sites, strict=True)}) != 1:
        return None
    edits = [
        edit
        for old, changed, current in zip(*sites, strict=True)
        if changed.value != old.value
        and (edit := _moved(old, changed, current, new[changed.start : changed.end])) is not None
    ]
    result = apply_edits(now, edits).encode()
    return None if not edits or result in {best, candidate, parent} else result


def _moved(old: Number, changed: Number, current: Number, literal: str) -> Edit | None:
    """Return the edit that takes ``current`` as far as ``changed`` is from ``old``."""
    if current.value == old.value:
        # Nobody else touched it: the number as its author wrote it.
        return Edit(start=current.start, end=current.end, text=literal)
    step = changed.value - old.value
    # A whole number by chance takes a fraction where its author wrote one.
    current = replace(current, whole=current.whole and changed.whole)
    return written(current, current.value + step, abs(step) * _KEPT if math.isfinite(step) else 0.0)


def _template(text: str, numbers: tuple[Number, ...]) -> tuple[str, ...]:
    """Return the text between the numbers."""
    ends = [0, *(number.end for number in numbers)]
    starts = [*(number.start for number in numbers), len(text)]
    return tuple(text[end:start] for end, start in zip(ends, starts, strict=True))


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
