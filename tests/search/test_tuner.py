"""The tuner: what it promises of every proposal, and that it finds what is there to find."""

import ast
import json
import math
import tomllib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ar_core.candidate import check_policy, content_hash
from ar_core.metric import Direction, MinGain
from ar_core.problem import Noise
from ar_search.agent import Agent, Best, Inspiration, Observation, Proposal, Task
from ar_search.tuner import Tuner, make_tuner

SAMPLES = {
    "a.json": b'{"a": [1.0, 2.5, 3.0], "b": 5, "c": true}\n',
    "a.toml": b"lr = 0.1 # tune: 1e-4..1 log\non = true\nxs = [1, 2]\n",
    "a.py": b"LR = 0.1\nfor i in range(4):\n    print(-i * LR)\n",
    "a.css": b".a { margin: 0 4px; }\n.b { flex: 2; }\n",
    "a.txt": "Be brief — in 20 words.\r\nThank you".encode(),
}
READERS: dict[str, Callable[[str], object]] = {"a.json": json.loads, "a.toml": tomllib.loads, "a.py": ast.parse}
PARENTS = st.one_of(
    st.binary(max_size=80), st.text(max_size=80).map(str.encode), st.sampled_from([*SAMPLES.values()])
)


def proposals(tuner: Agent, most: int) -> Iterator[Proposal]:
    """Every proposal, each of them failing."""
    for _ in range(most):
        proposal = tuner.propose()
        if proposal is None:
            return
        yield proposal
        tuner.observe(proposal, Observation(score=None, reason="crash"))


@pytest.mark.parametrize("path", list(SAMPLES))
@pytest.mark.parametrize("seed", range(3))
def test_every_proposal_keeps_the_rules(path: str, seed: int, task_of: Callable[..., Task]) -> None:
    parent, rng = SAMPLES[path], Random(seed)
    limit = len(parent) + 20
    task = task_of(parent, path, max_bytes=limit, parent_score=1.0, corpus=(b"some words\nand more\0\x1b words",),
                   inspirations=(Inspiration(content=parent.replace(b"2", b"3"), score=None),))  # fmt: skip
    tuner, seen = make_tuner(task, seed), {content_hash(parent)}
    for _ in range(150):
        proposal = tuner.propose()
        if proposal is None:
            break
        assert check_policy(proposal.content, limit) is None
        assert content_hash(proposal.content) not in seen
        assert "\n" not in proposal.note
        assert proposal.note
        if path in READERS:
            READERS[path](proposal.content.decode())
        seen.add(content_hash(proposal.content))
        tuner.observe(proposal, Observation(score=rng.choice((None, 0.5, 1.0, 2.0, math.nan))))
    assert len(seen) > 20


@given(
    parent=PARENTS,
    path=st.sampled_from([*SAMPLES]),
    other=st.binary(max_size=40),
    max_bytes=st.integers(1, 120),
    explore=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_it_never_raises_on_any_bytes(
    parent: bytes, path: str, other: bytes, max_bytes: int, explore: bool, task_of: Callable[..., Task]
) -> None:
    task = task_of(parent, path, max_bytes=max_bytes, corpus=(other,), explore=explore, hints=("* 0..9", "?"),
                   inspirations=(Inspiration(content=other, score=1.0),))  # fmt: skip
    for proposal in proposals(make_tuner(task, 1), 8):
        assert check_policy(proposal.content, max_bytes) is None


def test_a_binary_file_has_nothing_to_propose(task_of: Callable[..., Task]) -> None:
    assert make_tuner(task_of(b"\xff\x00\x01"), 1).propose() is None


def test_where_all_was_tried_there_is_nothing_new(task_of: Callable[..., Task]) -> None:
    task = task_of(b'{"on": true}', parent_score=1.0)
    found = list(proposals(make_tuner(task, 1), 5))
    assert [proposal.content for proposal in found] == [b'{"on": false}']
    tried = frozenset({content_hash(found[0].content)})
    assert make_tuner(task_of(b'{"on": true}', parent_score=1.0, tried=tried), 1).propose() is None


@pytest.mark.parametrize("path", list(SAMPLES))
def test_equal_seeds_give_equal_proposals(
    path: str, task_of: Callable[..., Task], search: Callable[..., Any]
) -> None:
    task = task_of(SAMPLES[path], path, corpus=(b"more words",))
    runs = [search(task, lambda content: float(len(content)), 60, seed).proposals for seed in (7, 7, 8)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_untouched_text_is_byte_identical(task_of: Callable[..., Task]) -> None:
    parent = "# Größe…\r\nRATE\t=  0.10   # tune: 0.01..1 log\r\n\r\nname = 'ä' ;".encode()
    before, after = parent.split(b"0.10")
    task = task_of(parent, "a.py", parent_score=1.0)
    found = [p for p in proposals(make_tuner(task, 1), 60) if not p.operator.startswith(("line", "chunk"))]
    numeric = [p.content for p in found if "line" not in p.operator and "chunk" not in p.operator]
    assert len(numeric) > 20
    assert all(content.startswith(before) and content.endswith(after) for content in numeric)


def test_an_unknown_parent_is_measured_first(task_of: Callable[..., Task]) -> None:
    tuner = make_tuner(task_of(b"[1.0, 2.0]"), 1)
    first = tuner.propose()
    assert first is not None
    assert first.content == b"[1.0, 2.0]"
    tuner.observe(first, Observation(score=5.0))
    assert tuner.best == Best(content=b"[1.0, 2.0]", score=5.0)
    second = tuner.propose()
    assert second is not None
    assert second.content != first.content


def test_it_climbs_a_quadratic(task_of: Callable[..., Task], search: Callable[..., Any]) -> None:
    target = [3.25, -1.5, 0.125, 40.0]

    def score(content: bytes) -> float:
        return sum((a - b) ** 2 for a, b in zip(json.loads(content)["xs"], target, strict=True))

    task = task_of(b'{"xs": [1.0, 1.0, 1.0, 1.0]}')
    starts = score(task.parent)
    finals = [search(task_of(task.parent, tried=frozenset()), _or_none(score), 600, seed).best for seed in (1, 2, 3)]
    assert sorted(finals)[1] < starts / 1000


def _or_none(score: Callable[[bytes], float]) -> Callable[[bytes], float | None]:
    def safe(content: bytes) -> float | None:
        try:
            return score(content)
        except (ValueError, KeyError, IndexError):
            return None

    return safe


def test_it_sorts_a_permutation(task_of: Callable[..., Task], search: Callable[..., Any]) -> None:
    parent = b"[5, 2, 8, 1, 7, 3, 6, 4]"

    def score(content: bytes) -> float:
        values = json.loads(content)
        if sorted(values) != list(range(1, 9)):
            raise ValueError
        return float(sum(a > b for i, a in enumerate(values) for b in values[i:]))

    task = task_of(parent, parent_score=score(parent))
    finals = [search(task, _or_none(score), 400, seed).best for seed in (1, 2, 3)]
    assert sorted(finals)[1] == 0.0


def test_it_maximises_where_asked(task_of: Callable[..., Task], search: Callable[..., Any]) -> None:
    task = task_of(b"x = 1.0  # tune: 0..9\n", "a.py", direction=Direction.MAXIMIZE)
    assert search(task, lambda content: float(content.split()[2]), 100).best > 8.5


def test_ties_are_gone_on_from_without_noise_only(task_of: Callable[..., Task]) -> None:
    # Where all scores are equal, only ties lead away from the start.
    def distance(noise: Noise) -> int:
        task = task_of(b"[0, 0, 0, 0, 0, 0, 0, 0]", parent_score=1.0, noise=noise)
        tuner = make_tuner(task, 1)
        last = task.parent
        for _ in range(150):
            proposal = tuner.propose()
            assert proposal is not None
            tuner.observe(proposal, Observation(score=1.0))
            last = proposal.content
        assert tuner.best.content == task.parent
        return sum(value != 0 for value in json.loads(last))

    assert distance(Noise.NONE) > 5


def test_ties_and_small_gains_of_a_noisy_problem_are_luck(task_of: Callable[..., Task]) -> None:
    task = task_of(b"[1.0, 2.0]", parent_score=1.0, noise=Noise.SEED)
    tuner = make_tuner(task, 1, tolerance=0.1)
    for score, best in ((1.0, 1.0), (0.95, 1.0), (0.8, 0.8), (0.75, 0.8)):
        proposal = tuner.propose()
        assert proposal is not None
        tuner.observe(proposal, Observation(score=score))
        assert tuner.best.score == best


def test_somebody_elses_better_version_is_gone_on_from(task_of: Callable[..., Task]) -> None:
    tuner = make_tuner(task_of(b"x = 5\n", "a.py", parent_score=5.0), 1)
    tuner.improved(b"yyy = 7\nz = 3\n", 6.0)
    assert tuner.best.score == 5.0
    tuner.improved(b"yyy = 7\nz = 3\n", 2.0)
    assert tuner.best == Best(content=b"yyy = 7\nz = 3\n", score=2.0)
    proposal = tuner.propose()
    assert proposal is not None
    assert b"yyy" in proposal.content
    tuner.improved(b"bad", math.nan)
    assert tuner.best.score == 2.0


def test_proposals_may_be_out_together_and_come_back_in_any_order(task_of: Callable[..., Task]) -> None:
    tuner = make_tuner(task_of(b"[1, 2, 3]", parent_score=9.0), 1)
    out = [tuner.propose() for _ in range(5)]
    waiting = [proposal for proposal in out if proposal is not None]
    assert len({proposal.content for proposal in waiting}) == 5
    for score, proposal in enumerate(reversed(waiting)):
        tuner.observe(proposal, Observation(score=float(score)))
    assert tuner.best == Best(content=waiting[-1].content, score=0.0)


def test_a_new_direction_leaves_the_parent_but_keeps_the_best(task_of: Callable[..., Task]) -> None:
    task = task_of(b"[1.0, 2.0, 3.0, 4.0]", parent_score=1.0, explore=True)
    tuner = make_tuner(task, 3)
    first = tuner.propose()
    assert first is not None
    assert "+" in first.operator
    tuner.observe(first, Observation(score=2.0))
    assert tuner.best == Best(content=task.parent, score=1.0)
    second = tuner.propose()
    assert second is not None
    tuner.observe(second, Observation(score=1.5))
    assert tuner.best.score == 1.0
    tuner.improved(task.parent, 0.5)
    assert tuner.best.score == 0.5


def test_the_smallest_gain_that_counts(task_of: Callable[..., Task]) -> None:
    task = task_of(b"[1.0]", parent_score=10.0, min_gain=MinGain(value=0.1, relative=True))
    tuner = make_tuner(task, 1)
    assert not tuner.gained_enough
    for score, enough in ((9.5, False), (9.0, True)):
        tuner.improved(b"[%.1f]" % score, score)
        assert tuner.gained_enough is enough


def test_what_does_not_pay_is_used_less(task_of: Callable[..., Task], search: Callable[..., Any]) -> None:
    task = task_of(b'{"a": 5.5, "b": [1, 2, 3, 4, 5, 6]}', parent_score=math.pi * 1e6)

    def score(content: bytes) -> float | None:
        values = json.loads(content)
        return abs(values["a"] - math.pi * 1e6) if values["b"] == [1, 2, 3, 4, 5, 6] else None

    run = search(task, score, 300)
    blocks = [p for p in run.proposals[150:] if set(p.operator.split("+")) & {"swap", "reverse", "move", "fill"}]
    assert len(blocks) < 50


def test_the_tuner_is_an_agent(task_of: Callable[..., Task]) -> None:
    agent: Agent = make_tuner(task_of(b"[1]"), 1)
    assert isinstance(agent, Tuner)


def test_it_settles_to_short_steps_near_an_optimum(task_of: Callable[..., Task], search: Callable[..., Any]) -> None:
    task = task_of(b'{"x": 500.0}', parent_score=250.0)
    run = search(task, lambda content: abs(json.loads(content)["x"] - 250.0), 300)
    values = [json.loads(proposal.content)["x"] for proposal in run.proposals]
    early, late = (sorted(abs(value - 250.0) for value in part)[25] for part in (values[:50], values[-50:]))
    assert run.best < 0.5
    assert late < early / 10


def test_an_empty_file_is_never_proposed(task_of: Callable[..., Task]) -> None:
    found = list(proposals(make_tuner(task_of(b"a\nb\n", "a.txt", parent_score=1.0), 1), 50))
    assert found
    assert all(proposal.content.strip() for proposal in found)


def test_measuring_the_parent_is_no_step_in_a_new_direction(task_of: Callable[..., Task]) -> None:
    tuner = make_tuner(task_of(b"[1.0, 2.0, 3.0, 4.0]", explore=True), 3)
    first = tuner.propose()
    assert first is not None
    assert first.content == b"[1.0, 2.0, 3.0, 4.0]"
    tuner.observe(first, Observation(score=1.0))
    second = tuner.propose()
    assert second is not None
    assert "+" in second.operator


@pytest.mark.parametrize("score", [None, math.nan, math.inf])
def test_a_failure_is_never_gone_on_from(score: float | None, task_of: Callable[..., Task]) -> None:
    task = task_of(b"[1.0]", parent_score=1.0, direction=Direction.MAXIMIZE)
    tuner = make_tuner(task, 1)
    proposal = tuner.propose()
    assert proposal is not None
    tuner.observe(proposal, Observation(score=score, reason="invalid_score"))
    assert tuner.best == Best(content=task.parent, score=1.0)
