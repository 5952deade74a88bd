"""Operators on arrays: a stretch of neighbouring numbers shifted, scaled, filled, copied, reversed or moved.

Not here: changes of one number at a time (``numeric``).
"""

import math
from collections.abc import Callable
from random import Random

from ar_search.edits import Edit
from ar_search.operators.numeric import numbers_weight, reach, told, written
from ar_search.operators.operator import Operator, length_below, step_size
from ar_search.scene import Change, Scene
from ar_search.sites import Group, Number

_Block = Callable[[Scene, Group, Random], Change | None]


def _on_array(change: _Block, least: int = 2) -> Callable[[Scene, Random], Change | None]:
    def drawn(scene: Scene, rng: Random) -> Change | None:
        group = scene.pick_group(rng, least)
        return change(scene, group, rng) if group is not None else None

    return drawn


def _stretch(group: Group, rng: Random) -> tuple[int, int]:
    """Draw places ``start`` to ``end`` (exclusive) in the group, at least two of them."""
    length = 1 + length_below(rng, group.size - 1)
    start = rng.randrange(group.size - length + 1)
    return start, start + length


def _numbers(scene: Scene, group: Group, start: int, end: int) -> list[Number]:
    return [scene.sites.numbers[i] for i in group.numbers[start:end]]


def _shift(scene: Scene, group: Group, rng: Random) -> Change | None:
    step = reach(scene, group) * step_size(scene, rng, 0.5)
    by = rng.gauss(0.0, step)
    numbers = _numbers(scene, group, *_stretch(group, rng))
    if all(number.whole for number in numbers):
        by = math.copysign(max(1.0, abs(by)), by)
    return told(scene, [written(n, n.value + by, step) for n in numbers], "shift")


def _scale(scene: Scene, group: Group, rng: Random) -> Change | None:
    factor = math.exp(rng.gauss(0.0, step_size(scene, rng, 1.0)))
    numbers = _numbers(scene, group, *_stretch(group, rng))
    step = max(abs(number.value) for number in numbers) * abs(factor - 1.0)
    return told(scene, [written(n, n.value * factor, step) for n in numbers], "scale")


def _fill(scene: Scene, group: Group, rng: Random) -> Change | None:
    value = scene.sites.numbers[rng.choice(group.numbers)].value
    numbers = _numbers(scene, group, *_stretch(group, rng))
    return told(scene, [written(n, value, 0.0) for n in numbers], "fill")


def _copy(scene: Scene, group: Group, rng: Random) -> Change | None:
    length = length_below(rng, group.size - 1)
    source, target = (rng.randrange(group.size - length + 1) for _ in range(2))
    values = [n.value for n in _numbers(scene, group, source, source + length)]
    numbers = _numbers(scene, group, target, target + length)
    return told(scene, [written(n, v, 0.0) for n, v in zip(numbers, values, strict=True)], "copy")


def _rearranged(scene: Scene, group: Group, order: list[int], verb: str) -> Change | None:
    """Write the numbers of ``order`` (places in the group), as they stand, into the places of the sorted order."""
    places = sorted(order)
    edits: list[Edit | None] = []
    for place, origin in zip(places, order, strict=True):
        number = scene.sites.numbers[group.numbers[place]]
        other = scene.sites.numbers[group.numbers[origin]]
        edits.append(written(number, other.value, 0.0))
    return told(scene, edits, verb)


def _swap(scene: Scene, group: Group, rng: Random) -> Change | None:
    first, second = sorted(rng.sample(range(group.size), 2))
    return _rearranged(scene, group, [second, first], "swap")


def _reverse(scene: Scene, group: Group, rng: Random) -> Change | None:
    start, end = _stretch(group, rng)
    return _rearranged(scene, group, list(reversed(range(start, end))), "reverse")


def _move(scene: Scene, group: Group, rng: Random) -> Change | None:
    start, end = _stretch(group, rng)
    cut = rng.randrange(start + 1, end)
    return _rearranged(scene, group, [*range(cut, end), *range(start, cut)], "move")


def _resizable(scene: Scene, rng: Random) -> Group | None:
    groups = [group for group in scene.sites.groups if group.separators]
    return rng.choice(groups) if groups else None


def _append(scene: Scene, rng: Random) -> Change | None:
    group = _resizable(scene, rng)
    if group is None:
        return None
    place = rng.randrange(1, group.size)
    before, here = (scene.sites.numbers[group.numbers[i]] for i in (place - 1, place))
    source = scene.sites.numbers[rng.choice(group.numbers)]
    piece = scene.text[before.end : here.start] + scene.text[source.start : source.end]
    # At the very end half of the time: there no other number gets a new place.
    at = scene.sites.numbers[group.numbers[-1]].end if rng.random() < 0.5 else before.end
    return Change(edits=(Edit(start=at, end=at, text=piece),), note=f"array grows by one: {here.name}")


def _drop(scene: Scene, rng: Random) -> Change | None:
    group = _resizable(scene, rng)
    if group is None:
        return None
    place = group.size - 1 if rng.random() < 0.5 else rng.randrange(1, group.size)
    before, here = (scene.sites.numbers[group.numbers[i]] for i in (place - 1, place))
    return Change(edits=(Edit(start=before.end, end=here.end, text=""),), note=f"array shrinks by one: {here.name}")


def _arrays_weight(scene: Scene) -> float:
    return numbers_weight(scene) if any(group.size > 1 for group in scene.sites.groups) else 0.0


def _pairs_weight(scene: Scene) -> float:
    return 0.7 * _arrays_weight(scene)


def _resizable_weight(scene: Scene) -> float:
    # Most arrays have a length for a reason, so a change of it seldom pays.
    return 0.1 * numbers_weight(scene) if any(group.separators for group in scene.sites.groups) else 0.0


OPERATORS = (
    Operator(name="shift", weight=_arrays_weight, change=_on_array(_shift)),
    Operator(name="scale", weight=_arrays_weight, change=_on_array(_scale)),
    Operator(name="fill", weight=_pairs_weight, change=_on_array(_fill)),
    Operator(name="copy", weight=_pairs_weight, change=_on_array(_copy)),
    Operator(name="swap", weight=_pairs_weight, change=_on_array(_swap)),
    Operator(name="reverse", weight=_pairs_weight, change=_on_array(_reverse)),
    Operator(name="move", weight=_pairs_weight, change=_on_array(_move)),
    Operator(name="append", weight=_resizable_weight, change=_append),
    Operator(name="drop", weight=_resizable_weight, change=_drop),
)
