"""Operators on plain text: a chunk put in, taken out, moved, written twice, or put in another's place.

Chunks come from the file itself, from other versions of it, and from the problem's own public texts. Not here:
whole lines (``lines``).
"""

from random import Random

from ar_search.edits import Edit
from ar_search.operators.operator import Operator, log_uniform
from ar_search.scene import Change, Scene

_SHORTEST, _LONGEST = 3, 2000
_SHOWN = 40


def _stretch(scene: Scene, text: str, rng: Random) -> tuple[int, int]:
    """Draw where a chunk of ``text`` (not empty) starts and ends, at word borders half of the time."""
    # Up to half of a full file: a long piece, cut down later, brings more than many short ones.
    longest = min(_LONGEST, max(2 * _SHORTEST, scene.material.max_bytes // 2))
    length = min(len(text), int(log_uniform(rng, _SHORTEST, longest)))
    start = rng.randrange(len(text) - length + 1)
    end = start + length
    if rng.random() < 0.5:
        return start, end
    return _to_border(text, start), max(_to_border(text, end), _to_border(text, start) + 1)


def _to_border(text: str, place: int) -> int:
    """Return the next place at or after ``place`` where a word begins or ends, or the end of the text."""
    while 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum():
        place += 1
    return min(place, len(text) - 1)


def _place(scene: Scene, rng: Random) -> int:
    """Draw where something may be put in: anywhere, or at an end, where it tears nothing apart."""
    draw = rng.random()
    if draw < 0.5:
        return rng.randrange(len(scene.text) + 1)
    if draw < 0.75:
        return _to_border(scene.text, rng.randrange(len(scene.text) + 1)) if scene.text else 0
    return rng.choice((0, len(scene.text)))


def _source(scene: Scene, rng: Random) -> str:
    """Draw a text to take a chunk of, bigger ones more often."""
    texts = [text for text in (scene.text, *scene.material.inspirations, *scene.material.corpus) if text]
    return rng.choices(texts, [len(text) for text in texts])[0] if texts else ""


def _piece(scene: Scene, rng: Random) -> str:
    source = _source(scene, rng)
    if not source:
        return ""
    start, end = _stretch(scene, source, rng)
    return source[start:end]


def _make_room(scene: Scene, missing: int, place: int, rng: Random) -> Edit | None:
    """Return a deletion of ``missing`` characters that does not reach across ``place``, ``None`` for none."""
    starts = len(scene.text) - missing + 1
    if starts < 1:
        return None
    start = rng.randrange(starts)
    if start < place < start + missing:
        start = place if place < starts else place - missing
    return Edit(start=start, end=start + missing, text="") if start >= 0 else None


def put_in(scene: Scene, piece: str, place: int, rng: Random, verb: str) -> Change | None:
    """Return the change that puts ``piece`` at ``place`` and, in a full file, drops as much elsewhere."""
    if not piece:
        return None
    put = Edit(start=place, end=place, text=piece)
    missing = len(piece.encode()) - scene.room
    if missing <= 0:
        return Change(edits=(put,), note=f"{verb} at {place}: {_shown(piece)}")
    gone = _make_room(scene, missing, place, rng)
    if gone is None:
        return None
    return Change(edits=(put, gone), note=f"{verb} at {place}, drop {missing} at {gone.start}: {_shown(piece)}")


def _shown(piece: str) -> str:
    return repr(piece if len(piece) <= _SHOWN else piece[: _SHOWN - 1] + "…")


def _insert(scene: Scene, rng: Random) -> Change | None:
    return put_in(scene, _piece(scene, rng), _place(scene, rng), rng, "put in a chunk")


def _delete(scene: Scene, rng: Random) -> Change | None:
    if not scene.text:
        return None
    start, end = _stretch(scene, scene.text, rng)
    gone = Edit(start=start, end=end, text="")
    return Change(edits=(gone,), note=f"take out a chunk at {start}: {_shown(scene.text[start:end])}")


def _move(scene: Scene, rng: Random) -> Change | None:
    if not scene.text:
        return None
    start, end = _stretch(scene, scene.text, rng)
    piece, place = scene.text[start:end], _place(scene, rng)
    if start <= place <= end:
        return None
    edits = (Edit(start=start, end=end, text=""), Edit(start=place, end=place, text=piece))
    return Change(edits=edits, note=f"move a chunk from {start} to {place}: {_shown(piece)}")


def _copy(scene: Scene, rng: Random) -> Change | None:
    if not scene.text:
        return None
    start, end = _stretch(scene, scene.text, rng)
    return put_in(scene, scene.text[start:end], _place(scene, rng), rng, "copy a chunk")


def _replace(scene: Scene, rng: Random) -> Change | None:
    piece = _piece(scene, rng)
    if not piece or not scene.text:
        return None
    start, end = _stretch(scene, scene.text, rng)
    if rng.random() < 0.5:
        end = min(len(scene.text), start + len(piece))
    return Change(
        edits=(Edit(start=start, end=end, text=piece),),
        note=f"replace {end - start} characters at {start}: {_shown(piece)}",
    )


def chunks_weight(scene: Scene) -> float:
    """Return how promising chunks are here: little where somebody said which numbers to tune."""
    return scene.material.language.chunks * (0.3 if scene.sites.hinted else 1.0)


OPERATORS = (
    Operator(name="chunk-insert", weight=chunks_weight, change=_insert),
    Operator(name="chunk-delete", weight=chunks_weight, change=_delete),
    Operator(name="chunk-move", weight=chunks_weight, change=_move),
    Operator(name="chunk-copy", weight=lambda scene: 0.5 * chunks_weight(scene), change=_copy),
    Operator(name="chunk-replace", weight=chunks_weight, change=_replace),
)
