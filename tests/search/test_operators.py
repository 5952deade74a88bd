"""Every operator on every kind of file: spans that fit, notes, and what each family promises."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_search.edits import apply_edits, overlap
from ar_search.languages import language_of
from ar_search.operators import OPERATORS, Operator
from ar_search.scene import Scene, gather, set_scene
from ar_search.sites import find_sites

BY_NAME = {operator.name: operator for operator in OPERATORS}
NUMERIC = ("gaussian", "factor", "whole", "fresh", "round")
BLOCKS = ("shift", "scale", "fill", "copy", "swap", "reverse", "move")
SAMPLES = {
    "a.json": '{"a": [1.0, 2.5, 3.0, -4.0],\n "b": 5, "c": true}\n',
    "a.py": "LR = 0.01  # tune: 1e-4..1 log\nN = 3  # tune: 1..9 int\nfor i in range(4):\n    print(i * LR)\n",
    "a.css": ".a { margin: 0 4px; }\n.b { flex: 2; }\n.c { flex: 3 }",
    "a.txt": "Be brief.\r\nUse at most 20 words, 3 lines.\n\nThank you",
}


def scene_of(path: str, text: str, *hints: str, max_bytes: int = 500, others: tuple[bytes, ...] = ()) -> Scene:
    corpus = (b"a corpus\nof three lines\nof text", b"\xff\xfe not text")
    return set_scene(text, gather(path=path, hints=hints, max_bytes=max_bytes, corpus=corpus, inspirations=others))


def changed(scene: Scene, operator: Operator, seed: int, tries: int = 50) -> list[str]:
    """Return the different texts that an operator makes of the scene."""
    rng, texts = Random(seed), []
    for _ in range(tries):
        change = operator.change(scene, rng) if operator.weight(scene) else None
        if change is not None:
            assert not overlap(change.edits)
            assert change.note
            texts.append(apply_edits(scene.text, change.edits))
    return texts


@pytest.mark.parametrize("name", list(BY_NAME))
def test_each_operator_changes_some_file(name: str) -> None:
    made = []
    for path, text in SAMPLES.items():
        other = text.replace("2", "7").replace("brief", "kind").encode()
        made += [new for new in changed(scene_of(path, text, others=(other,)), BY_NAME[name], 1) if new != text]
    assert made


@given(st.sampled_from(OPERATORS), st.sampled_from(list(SAMPLES)), st.text(max_size=60), st.integers(0, 99))
def test_any_text_any_operator(operator: Operator, path: str, text: str, seed: int) -> None:
    scene = scene_of(path, text, "* 0..9", max_bytes=70, others=(b"x = [1, 2]\ny\n",))
    for new in changed(scene, operator, seed, tries=5):
        new.encode()


@given(
    st.sampled_from((*NUMERIC, *BLOCKS)),
    st.lists(st.floats(-10, 10, allow_subnormal=False) | st.integers(-10, 10), min_size=2, max_size=8),
    st.integers(0, 999),
)
def test_numeric_operators_change_numbers_only_and_stay_inside(name: str, values: list[float], seed: int) -> None:
    text = "[" + " ,\t".join(map(repr, values)) + "]"
    scene = scene_of("a.json", text, "* -10..10")
    for new in changed(scene, BY_NAME[name], seed, tries=5):
        sites = find_sites(new, language_of("a.json")).numbers
        assert len(sites) == len(values)
        assert all(-10 <= number.value <= 10 for number in sites)
        assert [number.whole for number in sites] == [type(value) is int for value in values]
        for site in reversed(sites):
            new = new[: site.start] + "#" + new[site.end :]
        assert new == "[" + " ,\t".join("#" for _ in values) + "]"


@pytest.mark.parametrize("name", ["swap", "reverse", "move"])
def test_rearranging_keeps_the_values(name: str) -> None:
    scene = scene_of("a.json", "[1, 2, 3, 4, 5]")
    made = set(changed(scene, BY_NAME[name], 1))
    assert len(made) > 3
    assert all(sorted(new.strip("[]").split(", ")) == list("12345") for new in made)


def test_a_literal_behind_a_minus_stays_positive() -> None:
    scene = scene_of("a.sql", "SELECT a -0.5 FROM t")
    for name in NUMERIC:
        assert all("--" not in new for new in changed(scene, BY_NAME[name], 1))


def test_arrays_grow_and_shrink_by_one() -> None:
    scene = scene_of("a.json", '{"a": [1, 2, 3]}')
    assert {new.count(",") for new in changed(scene, BY_NAME["append"], 1)} == {3}
    assert {new.count(",") for new in changed(scene, BY_NAME["drop"], 1)} == {1}


def test_a_log_range_is_searched_in_factors() -> None:
    scene = scene_of("a.py", "x = 0.01  # tune: 1e-6..1e2 log\n")
    values = [float(new.split()[2]) for new in changed(scene, BY_NAME["fresh"], 1, tries=200)]
    assert all(1e-6 <= value <= 1e2 for value in values)
    assert sum(value < 1e-2 for value in values) > 50


def test_steps_get_shorter_with_the_scene() -> None:
    scene = scene_of("a.json", "[1000.0]")

    def typical(step: float) -> float:
        made = changed(replace(scene, step=step), BY_NAME["gaussian"], 1, tries=101)
        return sorted(abs(float(new.strip("[]")) - 1000.0) for new in made)[len(made) // 2]

    assert typical(0.001) < 0.1 * typical(1.0)


def test_a_chunk_in_a_full_file_takes_the_place_of_another() -> None:
    text = "".join(chr(97 + i % 26) for i in range(100))
    scene = scene_of("a.txt", text, max_bytes=100)
    made = changed(scene, BY_NAME["chunk-insert"], 1)
    assert made
    assert all(len(new) == 100 for new in made)


def test_chunks_come_from_the_corpus() -> None:
    made = changed(scene_of("a.txt", "zzzz"), BY_NAME["chunk-insert"], 1)
    assert any("corpus" in new or "three" in new for new in made)


def test_lines_stay_whole_where_the_last_has_no_newline() -> None:
    scene = scene_of("a.css", "a{}\nb{}\nc{}")
    for name in ("line-move", "line-swap", "line-copy", "line-delete"):
        made = changed(scene, BY_NAME[name], 1)
        assert made
        assert {line for new in made for line in new.split("\n")} <= {"a{}", "b{}", "c{}", ""}


def test_numbers_are_taken_from_another_version_of_the_same_shape_only() -> None:
    same, shorter = b'{"a": [7, 8], "b": 9}', b'{"a": [7], "b": 9}'
    text = '{"a": [1, 2], "b": 3}'
    taken = changed(scene_of("a.json", text, others=(same,)), BY_NAME["cross-numbers"], 1)
    assert {'{"a": [7, 8], "b": 3}', '{"a": [1, 2], "b": 9}'} <= set(taken)
    assert changed(scene_of("a.json", text, others=(shorter,)), BY_NAME["cross-numbers"], 1) == []


def test_lines_are_taken_from_another_version() -> None:
    scene = scene_of("a.css", "a\nb\nc\n", others=(b"a\nB\nc\nd\n",))
    made = set(changed(scene, BY_NAME["cross-lines"], 1))
    assert made == {"a\nB\nc\n", "a\nb\nc\nd\n", "a\nB\nc\nd\n"}


def test_nothing_to_change_is_weight_zero() -> None:
    scene = set_scene("", gather(path="a.json", hints=(), max_bytes=10, corpus=(), inspirations=()))
    assert {operator.name for operator in OPERATORS if operator.weight(scene)} == set()
