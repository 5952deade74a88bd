"""Operators on single numbers and booleans: steps, factors, whole steps, a fresh draw, rounding, a toggle.

Not here: operators that keep an array's shape in mind (``blocks``).
"""

import math
from collections.abc import Callable, Iterable
from random import Random

from ar_search.edits import Edit
from ar_search.numerals import render, simpler
from ar_search.operators.operator import Operator, log_uniform, step_size
from ar_search.scene import Change, Scene
from ar_search.sites import Group, Number

_OPPOSITES = {"true": "false", "false": "true", "True": "False", "False": "True"}


def numbers_weight(scene: Scene) -> float:
    """Return how promising numbers are here: those that somebody named always are."""
    if not scene.sites.numbers:
        return 0.0
    return 1.0 if scene.sites.hinted else scene.material.language.numbers


def written(number: Number, value: float, step: float) -> Edit | None:
    """Return the edit that gives ``number`` the value, inside its bounds; ``None`` where that changes nothing.

    ``step`` is how far apart two values have to be to matter; it decides how many digits are written.
    """
    if not math.isfinite(value):
        return None
    if number.bounds is not None:
        value = number.bounds.clip(value)
    if not number.signed or (number.value > 0 and value < 0 and number.whole and number.bounds is None):
        value = abs(value)
    text = render(value, whole=number.whole, step=step)
    if number.bounds is not None and not number.bounds.low <= float(text) <= number.bounds.high:
        text = render(value, whole=number.whole, step=0.0)
    if float(text) == number.value:
        return None
    return Edit(start=number.start, end=number.end, text=text)


def reach(scene: Scene, group: Group) -> float:
    """Return how far apart the numbers of a group can sensibly be: the scale of a big step."""
    numbers = [scene.sites.numbers[i] for i in group.numbers]
    widths = [n.bounds.high - n.bounds.low for n in numbers if n.bounds is not None]
    if widths:
        return max(widths)
    return max(abs(number.value) for number in numbers) or 1.0


def told(scene: Scene, edits: Iterable[Edit | None], verb: str) -> Change | None:
    """Make a change of those edits that are there, with a note that shows the first."""
    real = tuple(edit for edit in edits if edit is not None)
    if not real:
        return None
    first = real[0]
    name = next((n.name for n in scene.sites.numbers if n.start == first.start), "")
    shown = f"{name} {scene.text[first.start : first.end]} → {first.text}".strip()
    more = f" and {len(real) - 1} more" if len(real) > 1 else ""
    return Change(edits=real, note=f"{verb}: {shown}{more}")


def _some(group: Group, rng: Random) -> list[int]:
    """Draw few numbers of a group: one half of the time, else two to eight on average."""
    if group.size == 1 or rng.random() < 0.5:
        return [rng.choice(group.numbers)]
    share = rng.choice((2, 4, 8)) / group.size
    return [i for i in group.numbers if rng.random() < share] or [rng.choice(group.numbers)]


def _stepped(
    move: Callable[[Scene, Number, float, Random], Edit | None], verb: str
) -> Callable[[Scene, Random], Change | None]:
    def change(scene: Scene, rng: Random) -> Change | None:
        group = scene.pick_group(rng)
        if group is None:
            return None
        scale = reach(scene, group)
        return told(scene, [move(scene, scene.sites.numbers[i], scale, rng) for i in _some(group, rng)], verb)

    return change


def _gaussian(scene: Scene, number: Number, scale: float, rng: Random) -> Edit | None:
    size = step_size(scene, rng, 0.5)
    if number.bounds is not None and number.bounds.log:
        width = math.log(number.bounds.high / number.bounds.low)
        factor = math.exp(min(500.0, width * size * rng.gauss(0.0, 1.0)))
        return written(number, number.value * factor, abs(number.value) * width * size)
    step = scale * size
    value = number.value + rng.gauss(0.0, step)
    if number.whole and round(value) == number.value:
        value = number.value + rng.choice((-1, 1))
    return written(number, value, step)


def _factor(scene: Scene, number: Number, scale: float, rng: Random) -> Edit | None:
    size = step_size(scene, rng, 2.0)
    if number.value == 0.0:
        return written(number, scale * math.exp(rng.gauss(-1.0, size)), scale * 0.1)
    return written(number, number.value * math.exp(rng.gauss(0.0, size)), abs(number.value) * min(size, 1.0))


def _whole_step(_scene: Scene, number: Number, _scale: float, rng: Random) -> Edit | None:
    if not number.whole:
        return None
    if rng.random() < 0.3:
        value = number.value * 2 if rng.random() < 0.5 else number.value // 2
    else:
        value = number.value + rng.choice((-1, 1)) * int(log_uniform(rng, 1.0, 9.0))
    return written(number, value, 1.0)


def _fresh(_scene: Scene, number: Number, _scale: float, rng: Random) -> Edit | None:
    bounds = number.bounds
    if bounds is None:
        return None
    if bounds.log:
        value = log_uniform(rng, bounds.low, bounds.high)
        return written(number, value, value * 0.1)
    return written(number, rng.uniform(bounds.low, bounds.high), (bounds.high - bounds.low) * 0.01)


def _rounded(_scene: Scene, number: Number, _scale: float, rng: Random) -> Edit | None:
    return written(number, simpler(number.value, rng.choice((1, 1, 2, 3))), 0.0)


def _toggled(scene: Scene, rng: Random) -> Change | None:
    place = rng.choice(scene.sites.booleans)
    now = scene.text[place.start : place.end]
    edit = Edit(start=place.start, end=place.end, text=_OPPOSITES[now])
    return Change(edits=(edit,), note=f"toggle: {now} → {edit.text}")


def _whole_weight(scene: Scene) -> float:
    return numbers_weight(scene) * (1.0 if any(number.whole for number in scene.sites.numbers) else 0.0)


def _bounded_weight(scene: Scene) -> float:
    return 1.0 if scene.sites.hinted else 0.0


OPERATORS = (
    Operator(name="gaussian", weight=numbers_weight, change=_stepped(_gaussian, "step")),
    Operator(name="factor", weight=numbers_weight, change=_stepped(_factor, "factor")),
    Operator(name="whole", weight=_whole_weight, change=_stepped(_whole_step, "whole step")),
    Operator(name="fresh", weight=_bounded_weight, change=_stepped(_fresh, "fresh draw")),
    Operator(name="round", weight=lambda scene: 0.3 * numbers_weight(scene), change=_stepped(_rounded, "round")),
    Operator(name="toggle", weight=lambda scene: 0.5 if scene.sites.booleans else 0.0, change=_toggled),
)
