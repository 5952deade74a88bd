"""Edits are spans of the original: what they do not name stays as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_search.edits import Edit, apply_edits, overlap


@st.composite
def texts_with_edits(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    """A text cut at some places, and new text for every second piece."""
    text = draw(st.text(max_size=60))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    edits = [Edit(start=start, end=end, text=draw(st.text(max_size=5))) for start, end in pairs]
    return text, draw(st.permutations(edits))


@given(texts_with_edits())
def test_text_between_the_edits_stays(case: tuple[str, list[Edit]]) -> None:
    text, edits = case
    rest = apply_edits(text, edits)
    place = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        for kept in (text[place : edit.start], edit.text):
            assert rest.startswith(kept)
            rest = rest[len(kept) :]
        place = edit.end
    assert rest == text[place:]


def test_no_edits_change_nothing() -> None:
    assert apply_edits("a\r\n b", []) == "a\r\n b"


def test_insertions_at_one_place_keep_their_order() -> None:
    edits = [Edit(start=1, end=1, text="x"), Edit(start=1, end=1, text="y"), Edit(start=1, end=2, text="z")]
    assert apply_edits("abc", edits) == "axyzc"


@pytest.mark.parametrize(
    ("first", "second", "touching"),
    [
        ((0, 3), (2, 4), True),
        ((0, 3), (1, 1), True),
        ((0, 3), (3, 4), False),
        ((0, 3), (3, 3), False),
        ((2, 2), (2, 2), False),
        ((2, 2), (2, 4), False),
    ],
)
def test_overlap(first: tuple[int, int], second: tuple[int, int], touching: bool) -> None:
    edits = [Edit(start=start, end=end, text="") for start, end in (first, second)]
    assert overlap(edits) is touching
    assert overlap(reversed(edits)) is touching
    if touching:
        with pytest.raises(ValueError, match="overlaps"):
            apply_edits("abcdef", edits)


@pytest.mark.parametrize(("start", "end"), [(4, 5), (-1, 1), (2, 1)])
def test_places_outside_the_text_are_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="leaves the text"):
        apply_edits("abc", [Edit(start=start, end=end, text="")])
