"""The letter reader: what its training scores, which changes the referee believes, and what is no model."""

import json
import math
import os
import random
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ar_core.acceptance import Pair, Verdict, decide_betting, derive_window
from ar_core.acceptance.decision import Decision

FOLDER = Path(__file__).resolve().parents[2] / "problems" / "tiny-classifier"
SCORER = runpy.run_path(str(FOLDER / "score.py"), run_name="imported")
# What 60 pairs of the start gave; a published score brings these numbers in a pool.
START_MEAN, START_SD = 2.196, 0.076


@pytest.fixture(scope="module")
def room(open_room: Callable[[str], Any]) -> Any:
    return open_room("tiny-classifier")


@pytest.fixture(scope="module")
def start_model(room: Any) -> bytes:
    """Return what the start writes for one run seed."""
    model: bytes = (room.train(room.start, "5") / "model.json").read_bytes()
    return model


def evaluate(room: Any, train: Path, number: int, *, hidden: bool = True) -> dict[str, float]:
    """Train and score once; the same `number` gives the same two seeds."""
    run_seed, seed = f"run-{number}", f"scorer-{number}"
    out = room.train(train, run_seed)
    variables = {"AR_OUT": str(out), "AR_RUN_SEED": run_seed, "AR_SEED": seed}
    numbers: dict[str, float] = room.score(train, hidden=hidden, **variables).score
    return numbers


def referee(room: Any, candidate: Path, incumbents: dict[int, float]) -> Decision:
    """Measure pairs one by one until the problem's own acceptance rule decides."""
    problem = room.problem
    window = derive_window(
        mean=START_MEAN,
        sd=START_SD,
        min_gain=problem.acceptance.min_gain,
        explicit=problem.acceptance.window,
        low=problem.metric.low,
        high=problem.metric.high,
    )
    pairs: list[Pair] = []
    while True:
        number = len(pairs)
        if number not in incumbents:
            incumbents[number] = evaluate(room, room.start, number)["loss_bits"]
        score = evaluate(room, candidate, number)["loss_bits"]
        pairs.append(Pair(index=number, candidate=score, incumbent=incumbents[number]))
        decision = decide_betting(
            pairs,
            window,
            problem.metric.direction,
            problem.acceptance.min_gain,
            max_pairs=problem.acceptance.max_pairs,
        )
        if decision.verdict is not Verdict.CONTINUE:
            return decision


def test_real_gains_are_accepted_and_an_idle_change_is_not(room: Any) -> None:
    incumbents: dict[int, float] = {}
    faster = referee(room, room.candidates / "faster.py", incumbents)
    assert faster.verdict is Verdict.ACCEPT
    assert faster.n <= 40
    assert faster.mean_gain is not None
    assert faster.mean_gain > 0.3
    # The same training with other random numbers: differences that are not 0 and mean nothing.
    idle = referee(room, room.candidates / "noop_10.py", incumbents)
    assert idle.verdict is Verdict.REJECT
    assert idle.effect_size is not None
    assert len(set(incumbents.values())) == len(incumbents)


@pytest.mark.parametrize("number", range(1, 10))
def test_what_changes_nothing_trains_the_same_model(room: Any, start_model: bytes, number: int) -> None:
    noop = room.candidates / f"noop_{number:02d}.py"
    assert noop.read_bytes() != room.start.read_bytes()
    assert (room.train(noop, "5") / "model.json").read_bytes() == start_model


@pytest.mark.parametrize("hidden", [False, True])
def test_better_is_better_and_worse_is_worse(room: Any, hidden: bool) -> None:
    start = evaluate(room, room.start, 1, hidden=hidden)
    better = evaluate(room, room.candidates / "better.py", 1, hidden=hidden)
    worse = evaluate(room, room.candidates / "worse.py", 1, hidden=hidden)
    assert 1.8 < start["loss_bits"] < 2.6
    assert better["loss_bits"] < start["loss_bits"] - 1.0
    assert worse["loss_bits"] > start["loss_bits"] + 0.3
    assert better["accuracy"] > start["accuracy"] > worse["accuracy"]


def test_only_the_two_seeds_decide(room: Any) -> None:
    out = str(room.train(room.start, "1"))
    assert (room.train(room.start, "1") / "model.json").read_bytes() == Path(out, "model.json").read_bytes()

    def score(**variables: str) -> dict[str, float]:
        numbers: dict[str, float] = room.score(room.start, hidden=True, AR_OUT=out, **variables).score
        return numbers

    first = score(AR_RUN_SEED="1", AR_SEED="1")
    assert first == score(AR_RUN_SEED="1", AR_SEED="1", hash_seed="12345")
    assert first != score(AR_RUN_SEED="1", AR_SEED="2")
    # Another alphabet's letters: what this run learned is of no use there.
    other = next(str(n) for n in range(2, 99) if alphabet(str(n)) != alphabet("1"))
    assert score(AR_RUN_SEED=other, AR_SEED="1")["loss_bits"] > first["loss_bits"] + 0.3


def alphabet(run_seed: str) -> int:
    return random.Random(f"alphabet {run_seed}").randrange(16)


def model(layers: list[tuple[int, int]], weight: Any = 0.0) -> dict[str, Any]:
    """Return a model with layers of (outputs, inputs), every number the same."""

    def layer(outputs: int, inputs: int) -> dict[str, Any]:
        return {"weights": [[weight] * inputs] * outputs, "bias": [weight] * outputs}

    return {"layers": [layer(*shape) for shape in layers]}


def texts_that_are_no_model() -> dict[str, bytes]:
    def text(value: object) -> bytes:
        return json.dumps(value).encode()

    good = model([(8, 64)])
    return {
        "empty": b"",
        "binary": b"\x80\x04\x95pickle",
        "cut": text(good)[:-5],
        "too-long": b" " * 262_145,
        "a-number": b"0.1",
        "a-list": b"[]",
        "a-score": b'{"loss_bits": 0.0}',
        "extra-key": text({**good, "loss_bits": 0.0}),
        "no-layers": text({"layers": []}),
        "four-layers": text(model([(8, 64), (8, 8), (8, 8), (8, 8)])),
        "layers-object": b'{"layers": {"0": {}}}',
        "layer-list": b'{"layers": [[1]]}',
        "too-few-outputs": text(model([(7, 64)])),
        "too-many-outputs": text(model([(9, 64)])),
        "wrong-inputs": text(model([(8, 63)])),
        "wrong-middle": text(model([(10, 64), (8, 9)])),
        "no-outputs": text(model([(0, 64), (8, 0)])),
        "too-many-numbers": text(model([(84, 64), (8, 84)])),
        "short-bias": text({"layers": [{"weights": [[0.0] * 64] * 8, "bias": [0.0] * 7}]}),
        "nan": text(model([(8, 64)], math.nan)),
        "infinity": text(model([(8, 64)], math.inf)),
        "overflow": text(model([(8, 64)])).replace(b"0.0", b"1e999", 1),
        "huge": text(model([(8, 64)], 1e7)),
        "huge-whole": text(model([(8, 64)], 10**300)),
        "endless-whole": text(model([(8, 64)])).replace(b"0.0", b"9" * 10_000, 1),
        "true": text(model([(8, 64)], True)),
        "null": text(model([(8, 64)], None)),
        "words": text(model([(8, 64)], "0.5")),
        "lists": text(model([(8, 64)], [0.5])),
        "deep": b"[" * 100_000 + b"]" * 100_000,
        "deep-objects": b'{"layers":' * 20_000,
        "surrogate": '{"layers": "\ud800"}'.encode("utf-8", "surrogatepass"),
    }


@pytest.mark.parametrize("name", sorted(texts_that_are_no_model()))
def test_what_is_no_model_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(texts_that_are_no_model()[name])
    with pytest.raises(ValueError) as caught:
        SCORER["read_model"](path)
    assert 0 < len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["empty", "nan", "deep", "endless-whole", "a-score", "binary"])
def test_a_refusal_is_one_sentence(room: Any, refused: Callable[[Any], None], name: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(texts_that_are_no_model()[name])
    refused(room.score(room.start, AR_OUT=str(tmp_path)))


def test_a_run_that_wrote_no_file_is_refused(room: Any, refused: Callable[[Any], None], tmp_path: Path) -> None:
    refused(room.score(room.start, AR_OUT=str(tmp_path)))
    (tmp_path / "model.json").mkdir()
    refused(room.score(room.start, AR_OUT=str(tmp_path)))
    (tmp_path / "model.json").rmdir()
    os.mkfifo(tmp_path / "model.json")
    refused(room.score(room.start, AR_OUT=str(tmp_path)))
    (tmp_path / "model.json").unlink()
    (tmp_path / "elsewhere.json").write_text(json.dumps(model([(8, 64)])))
    (tmp_path / "model.json").symlink_to(tmp_path / "elsewhere.json")
    refused(room.score(room.start, AR_OUT=str(tmp_path)))


def test_constant_models_score_worse_than_the_start(room: Any, tmp_path: Path) -> None:
    for weight in (0.0, 1e6, -1e6, 1e-320):
        (tmp_path / "model.json").write_text(json.dumps(model([(8, 64)], weight)))
        numbers = room.score(room.start, hidden=True, AR_OUT=str(tmp_path)).score
        assert numbers["loss_bits"] >= 2.9
        assert numbers["accuracy"] == 0.0


# Numbers from -100 to 100 that are not too small to be told apart after a sum of 64 products.
numbers_of_a_model = st.integers(-(10**6), 10**6).map(lambda whole: whole / 10**4)


@settings(max_examples=50, deadline=None)
@given(
    bias=st.lists(numbers_of_a_model, min_size=8, max_size=8),
    shift=st.integers(-1000, 1000).map(float),
    ink=st.lists(st.integers(0, 9), min_size=64, max_size=64),
    hidden_units=st.integers(0, 5),
)
def test_a_loss_is_that_of_probabilities(bias: list[float], shift: float, ink: list[int], hidden_units: int) -> None:
    """No model can promise more than one whole: the eight probabilities of an image never sum to more than 1."""
    pixels = [value / 9 for value in ink]
    layers = [([[0.01] * 64] * hidden_units, [0.5] * hidden_units)] if hidden_units else []
    last = [[(row + 1) / 100] * (hidden_units or 64) for row in range(8)]
    losses = [SCORER["loss_and_hit"]([*layers, (last, bias)], (pixels, name))[0] for name in range(8)]
    assert all(0 <= loss <= SCORER["MAX_LOSS"] for loss in losses)
    uncut = [2**-loss for loss in losses if loss < SCORER["MAX_LOSS"]]
    assert sum(uncut) <= 1 + 1e-9
    if len(uncut) == 8:
        assert sum(uncut) == pytest.approx(1)
    moved = [value + shift for value in bias]
    again = [SCORER["loss_and_hit"]([*layers, (last, moved)], (pixels, name))[0] for name in range(8)]
    assert again == pytest.approx(losses, abs=1e-6)


KEYS = st.sampled_from(["layers", "weights", "bias", "other"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(value=json_values)
def test_any_other_json_is_refused(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "model"
    path.write_text(json.dumps(value))
    with pytest.raises(ValueError):
        SCORER["read_model"](path)
