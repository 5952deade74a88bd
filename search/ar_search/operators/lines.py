"""Operators on whole lines: taken out, moved, swapped, written twice, or brought in from another text.

Not here: pieces of lines (``chunks``).
"""

from random import Random

from ar_search.edits import Edit
from ar_search.operators.chunks import put_in
from ar_search.operators.operator import Operator, length_below
from ar_search.scene import Change, Scene
from ar_search.sites import Span

_MOST = 12


def _some(scene: Scene, rng: Random) -> Span:
    """Draw a few neighbouring lines."""
    lines = scene.sites.lines
    first = rng.randrange(len(lines))
    last = min(len(lines), first + length_below(rng, _MOST)) - 1
    return Span(start=lines[first].start, end=lines[last].end)


def _place(scene: Scene, rng: Random) -> int:
    """Draw the start of a line, or the end of the text where a line may start there."""
    starts = [line.start for line in scene.sites.lines]
    if scene.text.endswith("\n") or not scene.text:
        starts.append(len(scene.text))
    return rng.choice(starts)


def _ended(piece: str) -> str:
    return piece if piece.endswith("\n") else piece + "\n"


def _delete(scene: Scene, rng: Random) -> Change | None:
    span = _some(scene, rng)
    shown = scene.text[span.start : span.end].strip()[:60]
    return Change(edits=(Edit(start=span.start, end=span.end, text=""),), note=f"take out lines: {shown}")


def _move(scene: Scene, rng: Random) -> Change | None:
    span, place = _some(scene, rng), _place(scene, rng)
    if span.start <= place <= span.end:
        return None
    piece = _ended(scene.text[span.start : span.end])
    edits = (Edit(start=span.start, end=span.end, text=""), Edit(start=place, end=place, text=piece))
    return Change(edits=edits, note=f"move lines: {piece.strip()[:60]}")


def _swap(scene: Scene, rng: Random) -> Change | None:
    if len(scene.sites.lines) < 2:
        return None
    first, second = sorted(rng.sample(scene.sites.lines, 2), key=lambda span: span.start)
    # Without their newlines, as the last line may have none.
    texts = [scene.text[span.start : span.end].rstrip("\r\n") for span in (first, second)]
    edits = tuple(
        Edit(start=span.start, end=span.start + len(old), text=new)
        for span, old, new in ((first, texts[0], texts[1]), (second, texts[1], texts[0]))
    )
    return Change(edits=edits, note=f"swap two lines: {texts[0].strip()[:40]}")


def _copy(scene: Scene, rng: Random) -> Change | None:
    span = _some(scene, rng)
    return put_in(scene, _ended(scene.text[span.start : span.end]), _place(scene, rng), rng, "copy lines")


def _insert(scene: Scene, rng: Random) -> Change | None:
    texts = (*scene.material.inspirations, *scene.material.corpus)
    if not texts:
        return None
    lines = [line for line in rng.choice(texts).split("\n") if line.strip()]
    first = rng.randrange(len(lines))
    piece = "\n".join(lines[first : first + length_below(rng, 4)]) + "\n"
    return put_in(scene, piece, _place(scene, rng), rng, "bring in lines")


def lines_weight(scene: Scene) -> float:
    """Return how promising lines are here: little where somebody said which numbers to tune."""
    if not scene.sites.lines:
        return 0.0
    return scene.material.language.lines * (0.3 if scene.sites.hinted else 1.0)


def _insert_weight(scene: Scene) -> float:
    return 0.3 * lines_weight(scene) if scene.material.inspirations or scene.material.corpus else 0.0


OPERATORS = (
    Operator(name="line-delete", weight=lines_weight, change=_delete),
    Operator(name="line-move", weight=lines_weight, change=_move),
    Operator(name="line-swap", weight=lines_weight, change=_swap),
    Operator(name="line-copy", weight=lambda scene: 0.3 * lines_weight(scene), change=_copy),
    Operator(name="line-insert", weight=_insert_weight, change=_insert),
)
