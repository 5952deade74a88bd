"""What an operator sees of a search: one text with its sites, and the material to change it with.

Not here: scores. An operator does not know how good anything is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from ar_core.text import is_control
from ar_search.edits import Edit
from ar_search.languages import Language, language_of
from ar_search.sites import Group, Number, Sites, find_sites


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Edits of one text, and in a few words what they do."""

    edits: tuple[Edit, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What stays the same while a search goes on."""

    language: Language
    hints: tuple[str, ...]
    max_bytes: int
    corpus: tuple[str, ...]
    """Texts to take pieces of."""
    inspirations: tuple[str, ...]
    """Other versions of the same file."""
    others: tuple[tuple[Number, ...], ...]
    """The numbers of each of those versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One version of the file with all that can be changed in it."""

    text: str
    material: Material
    sites: Sites
    room: int
    """Bytes that the file may still grow; negative where it is too long already."""
    draw: tuple[float, ...]
    """Running sums of the groups' weights."""
    step: float = 1.0
    """How far numbers go now, as a share of how far they go at most."""

    def pick_group(self, rng: Random, least: int = 1) -> Group | None:
        """Draw a group of at least ``least`` numbers, by weight; ``None`` where none is so big."""
        if least <= 1:
            return rng.choices(self.sites.groups, cum_weights=self.draw)[0] if self.draw else None
        groups = [group for group in self.sites.groups if group.size >= least]
        return rng.choices(groups, [group.weight for group in groups])[0] if groups else None


def gather(
    *, path: str, hints: tuple[str, ...], max_bytes: int, corpus: Iterable[bytes], inspirations: Iterable[bytes]
) -> Material:
    """Read the material of a search for the mutable file at ``path``."""
    language = language_of(path)
    versions = readable(inspirations)
    return Material(
        language=language,
        hints=hints,
        max_bytes=max_bytes,
        corpus=readable(corpus),
        inspirations=versions,
        others=tuple(find_sites(version, language).numbers for version in versions),
    )


def set_scene(text: str, material: Material) -> Scene:
    """Find what can be changed in ``text``."""
    sites = find_sites(text, material.language, material.hints)
    return Scene(
        text=text,
        material=material,
        sites=sites,
        room=material.max_bytes - len(text.encode()),
        draw=tuple(accumulate(group.weight for group in sites.groups)),
    )


def readable(contents: Iterable[bytes]) -> tuple[str, ...]:
    """Return those contents that are UTF-8 text, line ends made ``\\n``, control characters dropped."""
    texts = []
    for content in contents:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            continue
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not text.isascii() or not text.replace("\n", "").isprintable():
            text = "".join(c for c in text if not is_control(c))
        if text.strip():
            texts.append(text)
    return tuple(texts)
