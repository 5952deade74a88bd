"""Operators that take from another version of the same file: its numbers, or some of its lines.

Not here: pieces of text from anywhere (``chunks``).
"""

from difflib import SequenceMatcher
from random import Random

from ar_search.edits import Edit
from ar_search.operators.numeric import numbers_weight, reach, told, written
from ar_search.operators.operator import Operator, length_below
from ar_search.scene import Change, Scene
from ar_search.sites import Group, Number

_MOST_LINES = 1000


def _counterparts(scene: Scene, rng: Random) -> tuple[Number, ...] | None:
    """Return the numbers of a version with as many as this one, ``None`` where the drawn one has not."""
    numbers = rng.choice(scene.material.others)
    same = len(numbers) == len(scene.sites.numbers) and all(
        theirs.name == ours.name for theirs, ours in zip(numbers, scene.sites.numbers, strict=True)
    )
    return numbers if same else None


def _drawn(group: Group, rng: Random) -> tuple[int, ...]:
    """Draw which numbers to take: a stretch of an array, all of it at times."""
    if rng.random() < 0.2:
        return group.numbers
    length = length_below(rng, group.size)
    start = rng.randrange(group.size - length + 1)
    return group.numbers[start : start + length]


def _take_numbers(scene: Scene, rng: Random) -> Change | None:
    group, others = scene.pick_group(rng), _counterparts(scene, rng)
    if group is None or others is None:
        return None
    edits = [written(scene.sites.numbers[i], others[i].value, 0.0) for i in _drawn(group, rng)]
    return told(scene, edits, "take from another version")


def _towards(scene: Scene, rng: Random) -> Change | None:
    """Go part of the way to another version's numbers, or away from them, or beyond them."""
    group, others = scene.pick_group(rng), _counterparts(scene, rng)
    if group is None or others is None:
        return None
    share = rng.uniform(-0.5, 1.5)
    step = reach(scene, group) * 1e-3
    edits = []
    for i in _drawn(group, rng):
        number = scene.sites.numbers[i]
        edits.append(written(number, number.value + share * (others[i].value - number.value), step))
    return told(scene, edits, "between two versions")


def _take_lines(scene: Scene, rng: Random) -> Change | None:
    ours = scene.text.splitlines(keepends=True)
    theirs = rng.choice(scene.material.inspirations).splitlines(keepends=True)
    if len(ours) + len(theirs) > _MOST_LINES:
        return None
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    different = [block for block in matcher.get_opcodes() if block[0] != "equal"]
    if not different:
        return None
    starts = [0]
    for line in ours:
        starts.append(starts[-1] + len(line))
    taken = rng.sample(different, length_below(rng, len(different)))
    edits = tuple(
        Edit(start=starts[first], end=starts[last], text="".join(theirs[other_first:other_last]))
        for _, first, last, other_first, other_last in sorted(taken)
    )
    return Change(edits=edits, note=f"take {len(edits)} of {len(different)} differences from another version")


def _numbers_weight(scene: Scene) -> float:
    return 0.5 * numbers_weight(scene) if scene.material.inspirations else 0.0


def _lines_weight(scene: Scene) -> float:
    return 0.3 if scene.material.inspirations else 0.0


OPERATORS = (
    Operator(name="cross-numbers", weight=_numbers_weight, change=_take_numbers),
    Operator(name="cross-between", weight=_numbers_weight, change=_towards),
    Operator(name="cross-lines", weight=_lines_weight, change=_take_lines),
)
