"""The tiny GPT: its backward pass is right, its scorer computes what the training does, and what is no model."""

import json
import os
import re
import runpy
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ar_core.errors import PoolError
from ar_core.manifest import read_manifest
from ar_sandbox.folder import load_folder
from ar_sandbox.rooms import Outcome, PreparedProblem, RunSeeds, Sandbox

FOLDER = Path(__file__).resolve().parents[2] / "problems" / "tiny-gpt"
BETTER = Path(__file__).resolve().parent / "candidates" / "tiny-gpt" / "better.py"
SCORER = runpy.run_path(str(FOLDER / "score.py"), run_name="imported")
TRAINING = runpy.run_path(str(FOLDER / "train.py"), run_name="imported")
STEPS = {"start": 20, "better": 40}
"""Of the same length together, since the better training takes half as much text for each."""
SECONDS = 110


@dataclass(frozen=True)
class Told:
    """What the scorer left behind."""

    status: int
    out: str
    err: str


Model = tuple[dict[str, Any], dict[str, np.ndarray]]


def by_steps(source: str, steps: int) -> str:
    """Let a training end after so many steps instead of by the clock, so that a busy machine changes nothing."""
    found = re.sub(r"time\.process_time\(\) < .*:$", f"step < {steps}:", source, flags=re.MULTILINE)
    found = found.replace("time.process_time() / (SHARE * budget)", f"step / {steps}")
    assert found != source
    return found


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders that the start and the better training wrote after a few steps."""
    made = {}
    for name, path in (("start", FOLDER / "train.py"), ("better", BETTER)):
        room = tmp_path_factory.mktemp(name)
        (room / "train.py").write_text(by_steps(path.read_text(), STEPS[name]))
        (room / "data").symlink_to(FOLDER / "data")
        made[name] = room / "out"
        environment = {"AR_OUT": str(room / "out"), "AR_RUN_SEED": "3", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-B", "train.py"], cwd=room, env=environment, capture_output=True, text=True,
            timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{STEPS[name]} steps\n"
    return made


@pytest.fixture
def score(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Run the scorer within this process, where numpy is there already."""

    def run(out: Path, *, hidden: bool = False, seed: str = "7") -> Told:
        monkeypatch.chdir(FOLDER)
        for name, value in variables(out, hidden=hidden, seed=seed).items():
            monkeypatch.setenv(name, value)
        if not hidden:
            monkeypatch.delenv("AR_HIDDEN", raising=False)
        capsys.readouterr()
        with np.errstate():
            status = SCORER["main"]()
        return Told(status, *capsys.readouterr())

    return run


def variables(out: Path, *, hidden: bool = False, seed: str = "7") -> dict[str, str]:
    more = {"AR_HIDDEN": str(FOLDER / "hidden")} if hidden else {}
    return {"AR_OUT": str(out), "AR_SEED": seed, "AR_RUN_SEED": "3", **more}


def score_as_a_process(out: Path, **more: str) -> Told:
    environment = {**variables(out), "OPENBLAS_NUM_THREADS": "1", **more}
    done = subprocess.run(
        [sys.executable, "-B", "score.py"], cwd=FOLDER, env=environment, capture_output=True, text=True,
        timeout=SECONDS,
    )  # fmt: skip
    return Told(done.returncode, done.stdout, done.stderr)


def bits(told: Told) -> float:
    assert told.status == 0, told.err
    return float(json.loads(told.out)["bits_per_byte"])


def read(out: Path) -> Model:
    raw = (out / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    data = raw[8 + length :]
    about = header.pop("__metadata__")
    arrays = {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], dtype="<f4").reshape(entry["shape"]).copy()
        for name, entry in header.items()
    }
    return about, arrays


def write(out: Path, about: Any, arrays: dict[str, np.ndarray]) -> Path:
    out.mkdir(exist_ok=True)
    header: dict[str, Any] = {"__metadata__": about}
    arrays = {name: array.astype("<f4") for name, array in arrays.items()}
    at = 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    data = b"".join(array.tobytes() for array in arrays.values())
    (out / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return out


def test_the_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(5)
    parameters = {
        name: array.astype(np.float64) + rng.normal(0, 0.1, array.shape)
        for name, array in TRAINING["make_parameters"]().items()
    }
    tokens = rng.integers(0, 96, (2, 24))
    _, gradients = TRAINING["loss_and_gradients"](parameters, tokens)
    assert gradients.keys() == parameters.keys()
    for name, array in parameters.items():
        # Along a random direction, since single numbers of a relu may stand at its kink.
        direction = rng.normal(0, 1, array.shape)
        losses = []
        for sign in (1, -1):
            moved = {**parameters, name: array + sign * 1e-5 * direction}
            losses.append(TRAINING["loss_and_gradients"](moved, tokens)[0])
        slope = (losses[0] - losses[1]) / 2e-5
        assert slope == pytest.approx(float((gradients[name] * direction).sum()), rel=2e-2, abs=1e-4), name


def test_the_scorer_computes_what_the_training_does(models: dict[str, Path]) -> None:
    config, arrays = SCORER["read_model"](models["start"] / "model.safetensors")
    layers = SCORER["check_shapes"](config, arrays)
    tokens = SCORER["read_tokens"](FOLDER / "data" / "validation.txt")[:512].reshape(4, 128)
    expected, _ = TRAINING["loss_and_gradients"](arrays, tokens)
    found = SCORER["log_probabilities"](config, arrays, layers, tokens[:, :-1])
    assert -np.take_along_axis(found, tokens[:, 1:, None], axis=-1).mean() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("hidden", [False, True])
def test_better_is_better(models: dict[str, Path], score: Callable[..., Told], hidden: bool) -> None:
    start, better = (bits(score(models[name], hidden=hidden)) for name in ("start", "better"))
    assert better < start - 0.1
    assert 1.0 < better < start < 6.6


def test_only_the_seed_decides(models: dict[str, Path], score: Callable[..., Told]) -> None:
    first = bits(score(models["start"]))
    assert bits(score_as_a_process(models["start"], PYTHONHASHSEED="12")) == first
    assert bits(score(models["start"], seed="8")) != first


def test_a_run_can_be_repeated(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(by_steps((FOLDER / "train.py").read_text(), 2))
    (tmp_path / "data").symlink_to(FOLDER / "data")
    written = []
    for seed in ("3", "3", "4"):
        environment = {"AR_RUN_SEED": seed, "OPENBLAS_NUM_THREADS": "1", "AR_OUT": str(tmp_path / "out")}
        command = [sys.executable, "-B", "train.py"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=SECONDS)
        written.append((tmp_path / "out" / "model.safetensors").read_bytes())
    assert written[0] == written[1]
    assert written[0] != written[2]


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("activation", ["relu", "relu2", "gelu", "silu"])
@pytest.mark.parametrize("rotary", ["no", "yes"])
@pytest.mark.parametrize("gated", ["no", "yes"])
def test_every_shape_of_model_is_blind_to_the_future(
    models: dict[str, Path], norm: str, activation: str, rotary: str, gated: str
) -> None:
    about, arrays = read(models["better"])
    config = {**about, "norm": norm, "activation": activation, "rotary": rotary, "gated": gated}
    for layer in range(sum(name.endswith(".wq") for name in arrays)):
        arrays.pop(f"{layer}.gate", None)
        if gated == "yes":
            arrays[f"{layer}.gate"] = arrays[f"{layer}.w1"]
    layers = SCORER["check_shapes"](config, arrays)
    tokens = SCORER["read_tokens"](FOLDER / "data" / "validation.txt")[:128]
    SCORER["probe"](config, arrays, layers, tokens, __import__("random").Random(1))


@pytest.fixture
def replaced() -> Iterator[Callable[[Callable[..., np.ndarray]], None]]:
    """Give the scorer another forward pass, as if somebody had got it wrong."""
    names = SCORER["probe"].__globals__
    original = names["log_probabilities"]

    def replace(wrong: Callable[..., np.ndarray]) -> None:
        names["log_probabilities"] = wrong

    yield replace
    names["log_probabilities"] = original


def test_the_probes_would_show_a_model_that_looks_ahead_or_promises_too_much(
    replaced: Callable[[Callable[..., np.ndarray]], None],
) -> None:
    def look(tokens: np.ndarray, ahead: int, share: float) -> np.ndarray:
        found = np.full((*tokens.shape, 96), np.log((1 - share) / 95))
        np.put_along_axis(found, np.roll(tokens, -ahead, axis=1)[..., None], np.log(share), axis=-1)
        return found

    tokens = SCORER["read_tokens"](FOLDER / "data" / "validation.txt")[:128]
    invalid = SCORER["InvalidModelError"]

    def probe() -> None:
        SCORER["probe"]({}, {}, 1, tokens, __import__("random").Random(1))

    replaced(lambda _c, _a, _l, t: look(t, 0, 0.9))
    probe()
    replaced(lambda _c, _a, _l, t: look(t, 1, 0.9))
    with pytest.raises(invalid, match="after it"):
        probe()
    replaced(lambda _c, _a, _l, t: look(t, 0, 0.9) + 0.1)
    with pytest.raises(invalid, match="add up to one"):
        probe()


def check_refusal(told: Told) -> str:
    """Return the one sentence with which a model is refused, with no score and no traceback."""
    assert told.status == 1, told
    assert told.out == ""
    assert told.err.startswith("invalid: ")
    assert len(told.err.splitlines()) == 1
    return told.err


@pytest.fixture
def refused(score: Callable[..., Told]) -> Callable[[Path], str]:
    return lambda out: check_refusal(score(out))


CHANGES: list[tuple[str, Callable[[dict[str, Any], dict[str, np.ndarray]], Any]]] = [
    ("is not between", lambda _about, arrays: arrays["output"].__setitem__((0, 0), np.nan)),
    ("is not between", lambda _about, arrays: arrays["output"].__setitem__((0, 0), np.inf)),
    ("missing or too many", lambda _about, arrays: arrays.__setitem__("more", np.ones(3))),
    ("missing or too many", lambda _about, arrays: arrays.pop("0.wk")),
    ("has the shape", lambda _about, arrays: arrays.__setitem__("positions", np.ones((127, 48)))),
    ("more than 400000 numbers", lambda _about, arrays: arrays.__setitem__("more", np.ones((700, 500)))),
    ("even number for each head", lambda about, _arrays: about.update(heads="5")),
    ("heads must be", lambda about, _arrays: about.update(heads=4)),
    ("activation must be", lambda about, _arrays: about.update(activation="tanh")),
    ("must have the keys", lambda about, _arrays: about.update(more="x")),
    ("0 layers", lambda _about, arrays: [arrays.pop(name) for name in list(arrays) if name[0] in "01"]),
]


@pytest.mark.parametrize(("said", "change"), CHANGES)
def test_what_breaks_a_rule_is_refused(
    models: dict[str, Path], tmp_path: Path, refused: Callable[[Path], str], said: str, change: Callable[..., Any]
) -> None:
    about, arrays = read(models["start"])
    change(about, arrays)
    assert said in refused(write(tmp_path / "out", about, arrays))


def test_large_weights_cost_and_gain_nothing(
    models: dict[str, Path], score: Callable[..., Told], tmp_path: Path
) -> None:
    about, arrays = read(models["start"])
    arrays["output"][:] = np.sign(arrays["output"]) * 9999
    assert bits(score(write(tmp_path / "out", about, arrays))) > 6.0


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\x00" * 7, struct.pack("<Q", 2**63), struct.pack("<Q", 10), struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 3) + b"nan", struct.pack("<Q", 3000) + b"[" * 3000,
        struct.pack("<Q", 8) + b'{"a":1}\n', struct.pack("<Q", 1) + b"\xff", b"x" * (2 * 1024**2 + 1),
        struct.pack("<Q", 54) + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}',
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused(tmp_path: Path, refused: Callable[[Path], str], raw: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(raw)
    refused(tmp_path)


def test_a_refusal_is_how_the_process_ends(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    check_refusal(score_as_a_process(tmp_path))


def test_a_link_or_nothing_is_refused(
    tmp_path: Path, models: dict[str, Path], refused: Callable[[Path], str]
) -> None:
    assert "wrote no model" in refused(tmp_path)
    (tmp_path / "model.safetensors").symlink_to(models["start"] / "model.safetensors")
    assert "wrote no model" in refused(tmp_path)


@pytest.mark.parametrize("entry", [[-4, 0], [0, 4.0], [True, 4], ["0", 4], [0, 2**40], [8, 4]])
def test_offsets_that_lead_elsewhere_are_refused(
    tmp_path: Path, models: dict[str, Path], refused: Callable[[Path], str], entry: list[Any]
) -> None:
    about, arrays = read(models["start"])
    raw = (write(tmp_path, about, arrays) / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header["norm.bias"]["data_offsets"] = entry
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    refused(tmp_path)


@pytest.mark.timeout(300)
def test_it_trains_and_scores_in_rooms_with_numpy_from_the_package_index(tmp_path: Path) -> None:
    """The one test that asks the package index of this machine, for a wheel that the tests need anyway.

    The budget is a number of the manifest: any other works, too.
    """
    files = load_folder(FOLDER)
    files["problem.toml"] = files["problem.toml"].replace(b'time_budget = "30s"', b'time_budget = "90s"')
    problem = read_manifest(files["problem.toml"])
    assert problem.evaluation.time_budget == 90
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    sandbox = Sandbox.detect(environments=home / "environments")
    start = by_steps(files["train.py"].decode(), 4).encode()
    try:
        opened = sandbox.open(PreparedProblem.of(problem, files))
    except PoolError as error:
        if error.code == "AR-S503":
            pytest.skip(f"the package index does not answer: {error.detail}")
        raise
    with opened:
        seen = opened.evaluate(start, RunSeeds(run=1, scorer=2), hash_seed=3)
        assert seen.outcome is Outcome.OK, seen.feedback
        assert seen.score is not None
        assert 4.0 < seen.score < 6.7
        again = opened.evaluate(start, RunSeeds(run=1, scorer=2), hash_seed=4)
        assert again.score == seen.score
        empty = opened.evaluate(b"", RunSeeds(run=1, scorer=2))
        assert empty.outcome is Outcome.CRASH
        assert "invalid: the run wrote no model.safetensors" in empty.feedback


def test_a_seed_repeats_its_book_and_no_seed_never_does(tmp_path: Path) -> None:
    books = []
    for number, seed in enumerate((["--seed", "spring"], ["--seed", "spring"], [])):
        into = tmp_path / str(number)
        command = [sys.executable, "-B", str(FOLDER / "hidden" / "generate.py"), "--into", str(into), *seed]
        subprocess.run(command, check=True, env={}, timeout=SECONDS)
        books.append({str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*.txt")})
    assert books[0] == books[1]
    assert books[0].keys() == books[2].keys()
    shipped = {path: (FOLDER / path).read_bytes() for path in books[0]}
    for path, text in shipped.items():
        assert len({book[path] for book in (books[0], books[2], shipped)}) == 3
        assert set(text) <= {10, *range(32, 127)}


def test_the_clock_ends_a_run(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(FOLDER / "data")
    environment = {"AR_TIME_BUDGET": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": os.defpath}
    command = [sys.executable, "-B", str(FOLDER / "train.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "model.safetensors").is_file()
