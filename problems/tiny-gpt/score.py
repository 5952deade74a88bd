"""Scores the language model that a training run wrote, on text that the run never saw.

It never runs code of the candidate: it reads arrays of numbers, computes the predictions of the transformer that
program.md describes itself, and averages what each character costs. So a model can neither see the characters that
it is to predict nor promise more than one whole probability; both are tried out all the same, each time.
"""

import json
import math
import os
import random
import struct
import sys
from pathlib import Path

import numpy as np

VOCABULARY, WINDOW = 96, 128
SAMPLES, PREFIX = 192, 32
MAX_NUMBERS, MAX_LAYERS, LARGEST_NUMBER = 400_000, 8, 1e4
MAX_FILE_BYTES, MAX_HEADER_BYTES = 2 * 1024**2, 64 * 1024
MAX_BITS = 16.0  # one character costs at most this, so that a single bold mistake does not decide a run
EPSILON = 1e-5
CHOICES = {
    "activation": ("relu", "relu2", "gelu", "silu"),
    "norm": ("layer", "rms"),
    "rotary": ("no", "yes"),
    "gated": ("no", "yes"),
}

Arrays = dict[str, np.ndarray]
Config = dict[str, str]


class InvalidModelError(ValueError):
    """What is wrong with a model, as one sentence for its maker."""


def read_model(path: Path) -> tuple[Config, Arrays]:
    """Return the settings and arrays of a safetensors file; InvalidModelError if it breaks a rule of program.md."""
    if path.is_symlink() or not path.is_file():
        raise InvalidModelError("the run wrote no model.safetensors to $AR_OUT")
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise InvalidModelError(f"model.safetensors is longer than {MAX_FILE_BYTES} bytes")
    if len(raw) < 8:
        raise InvalidModelError("model.safetensors is cut off")
    (length,) = struct.unpack("<Q", raw[:8])
    if length > min(MAX_HEADER_BYTES, len(raw) - 8):
        raise InvalidModelError("the header of model.safetensors is too long")
    header = read_header(raw[8 : 8 + length])
    config = header.pop("__metadata__", None)
    return checked_config(config), read_arrays(header, raw[8 + length :])


def read_header(raw: bytes) -> dict[str, object]:
    """Return a header's object; it is read as JSON without surprises."""
    try:
        text = raw.decode("ascii")
        # No header of a model is nested deeper than three; a recursive parser is not shown more.
        if text.count("{") + text.count("[") > 1000:
            raise InvalidModelError("the header of model.safetensors has too many parts")
        header = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise InvalidModelError("the header of model.safetensors is not JSON") from None
    if type(header) is not dict:
        raise InvalidModelError("the header of model.safetensors is not an object")
    return header


def checked_config(config: object) -> Config:
    """Return the settings: each one of its choices, and a number of heads."""
    if type(config) is not dict or set(config) != {*CHOICES, "heads"}:
        raise InvalidModelError(f"__metadata__ must have the keys {', '.join(sorted([*CHOICES, 'heads']))}")
    for key, choices in CHOICES.items():
        if config[key] not in choices:
            raise InvalidModelError(f"{key} must be one of {', '.join(choices)}")
    heads = config["heads"]
    if type(heads) is not str or heads not in {str(number) for number in range(1, 33)}:
        raise InvalidModelError('heads must be a number from "1" to "32", as a string')
    return config


def read_arrays(header: dict[str, object], data: bytes) -> Arrays:
    """Return every array as float32; each must be finite and of moderate size."""
    arrays: Arrays = {}
    left = MAX_NUMBERS
    for name, entry in header.items():
        if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"} or entry["dtype"] != "F32":
            raise InvalidModelError("each array must have dtype F32, a shape and data_offsets")
        shape, offsets = entry["shape"], entry["data_offsets"]
        for values, count in ((shape, (1, 2)), (offsets, (2,))):
            if type(values) is not list or len(values) not in count:
                raise InvalidModelError("a shape has one or two numbers, and data_offsets has two")
            if any(type(value) is not int or not 0 <= value <= MAX_FILE_BYTES for value in values):
                raise InvalidModelError("a shape or offset is not a number in the file")
        numbers = math.prod(shape)
        left -= numbers
        if left < 0 or numbers == 0:
            raise InvalidModelError(f"the model has an empty array, or more than {MAX_NUMBERS} numbers")
        start, end = offsets
        if end > len(data) or end - start != 4 * numbers:
            raise InvalidModelError("data_offsets do not fit the shape")
        array = np.frombuffer(data, dtype="<f4", count=numbers, offset=start).reshape(shape)
        if not np.all(np.abs(array) <= LARGEST_NUMBER):  # not true of NaN either
            raise InvalidModelError(f"a number is not between -{LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}")
        arrays[name] = array.astype(np.float32)
    return arrays


def check_shapes(config: Config, arrays: Arrays) -> int:
    """Return the number of layers; InvalidModelError unless exactly the arrays of program.md are there."""
    if "embedding" not in arrays or arrays["embedding"].ndim != 2:
        raise InvalidModelError("the array embedding is missing")
    width = arrays["embedding"].shape[1]
    layers = sum(name.endswith(".wq") for name in arrays)
    if not 1 <= layers <= MAX_LAYERS:
        raise InvalidModelError(f"the model has {layers} layers: 1 to {MAX_LAYERS} are allowed")
    wanted: dict[str, tuple[int, ...]] = {
        "embedding": (VOCABULARY, width), "positions": (WINDOW, width), "output": (width, VOCABULARY),
        "norm.gain": (width,), "norm.bias": (width,),
    }  # fmt: skip
    for layer in range(layers):
        inner, hidden = (arrays.get(f"{layer}.{name}") for name in ("wq", "w1"))
        if inner is None or hidden is None or inner.ndim != 2 or hidden.ndim != 2:
            raise InvalidModelError(f"layer {layer} has no wq or no w1 of two dimensions")
        heads = int(config["heads"])
        if inner.shape[1] % (2 * heads):
            raise InvalidModelError("the width of wq is not an even number for each head")
        across, middle = inner.shape[1], hidden.shape[1]
        shapes = {
            "norm1.gain": (width,), "norm1.bias": (width,), "norm2.gain": (width,), "norm2.bias": (width,),
            "wq": (width, across), "wk": (width, across), "wv": (width, across), "wo": (across, width),
            "w1": (width, middle), "b1": (middle,), "w2": (middle, width), "b2": (width,),
        }  # fmt: skip
        if config["gated"] == "yes":
            shapes["gate"] = (width, middle)
        wanted |= {f"{layer}.{name}": shape for name, shape in shapes.items()}
    if wanted.keys() != arrays.keys():
        odd = min(wanted.keys() ^ arrays.keys())
        raise InvalidModelError(f"the array {odd[:40]!r} is missing or too many")
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise InvalidModelError(f"the array {name} has the shape {arrays[name].shape}, not {shape}")
    return layers


def normalised(x: np.ndarray, kind: str, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return layer or root-mean-square normalisation over the last axis."""
    if kind == "layer":
        x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPSILON) * gain + bias


def activated(x: np.ndarray, kind: str) -> np.ndarray:
    """Return the activation of program.md."""
    if kind == "relu":
        return np.maximum(x, 0)
    if kind == "relu2":
        return np.square(np.maximum(x, 0))
    if kind == "silu":
        return x / (1 + np.exp(-np.clip(x, -60, 60)))
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def rotated(x: np.ndarray) -> np.ndarray:
    """Turn each pair (i, i + half) of a head's numbers by an angle that grows with the position."""
    length, half = x.shape[-2], x.shape[-1] // 2
    angle = np.arange(length)[:, None] * (10_000.0 ** (-np.arange(half) / half))[None, :]
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def log_probabilities(config: Config, arrays: Arrays, layers: int, tokens: np.ndarray) -> np.ndarray:
    """Return natural logarithms, batch × length × vocabulary, for the character after each of `tokens`."""
    heads, norm = int(config["heads"]), config["norm"]
    batch, length = tokens.shape
    x = arrays["embedding"][tokens] + arrays["positions"][:length]
    future = np.triu(np.full((length, length), -np.inf, dtype=np.float32), 1)
    for layer in range(layers):
        p = {name.partition(".")[2]: a for name, a in arrays.items() if name.startswith(f"{layer}.")}
        h = normalised(x, norm, p["norm1.gain"], p["norm1.bias"])
        q, k, v = ((h @ p[name]).reshape(batch, length, heads, -1).swapaxes(1, 2) for name in ("wq", "wk", "wv"))
        if config["rotary"] == "yes":
            q, k = rotated(q), rotated(k)
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]) + future
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        x = x + (scores @ v).swapaxes(1, 2).reshape(batch, length, -1) @ p["wo"]
        h = normalised(x, norm, p["norm2.gain"], p["norm2.bias"])
        middle = h @ p["w1"] + p["b1"]
        middle = activated(h @ p["gate"], config["activation"]) * middle if "gate" in p else activated(
            middle, config["activation"]
        )  # fmt: skip
        x = x + middle @ p["w2"] + p["b2"]
    x = normalised(x, norm, arrays["norm.gain"], arrays["norm.bias"])
    logits = (x @ arrays["output"]).astype(np.float64)
    top = logits.max(axis=-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))


def read_tokens(path: Path) -> np.ndarray:
    """Return a text as numbers: 0 is the end of a line, 1 to 95 are the printable characters."""
    data = np.frombuffer(path.read_bytes(), dtype=np.uint8).astype(np.int64)
    return np.where(data == 10, 0, data - 31)


def probe(config: Config, arrays: Arrays, layers: int, window: np.ndarray, rng: random.Random) -> None:
    """Raise InvalidModelError where a changed future changes the past, or probabilities do not add up to one.

    No array can do either as long as the code above is right; this is what would show that it is not.
    """
    cut = rng.randrange(PREFIX, WINDOW - 1)
    changed = window.copy()
    changed[cut:] = [rng.randrange(VOCABULARY) for _ in range(len(window) - cut)]
    both = log_probabilities(config, arrays, layers, np.stack([window, changed]))
    if not np.all(np.isfinite(both)):
        raise InvalidModelError("the model predicts something that is not a number")
    if np.abs(np.exp(both).sum(axis=-1) - 1).max() > 1e-6:
        raise InvalidModelError("the probabilities of a prediction do not add up to one")
    if np.abs(both[0, :cut] - both[1, :cut]).max() > 1e-3:
        raise InvalidModelError("a prediction depends on the characters after it")


def main() -> int:
    """Print the score; 1 with a sentence on stderr where the model is invalid."""
    np.seterr(all="ignore")  # what overflows becomes infinite and is refused below
    try:
        config, arrays = read_model(Path(os.environ.get("AR_OUT") or "out") / "model.safetensors")
        layers = check_shapes(config, arrays)
        # The referee's machine has text that nobody else has; elsewhere the public validation text stands in.
        hidden = os.environ.get("AR_HIDDEN")
        tokens = read_tokens(Path(hidden) / "test.txt" if hidden else Path("data/validation.txt"))
        rng = random.Random(f"windows {os.environ.get('AR_SEED') or '0'}")
        starts = [rng.randrange(len(tokens) - WINDOW) for _ in range(SAMPLES)]
        windows = np.stack([tokens[start : start + WINDOW] for start in starts])
        probe(config, arrays, layers, windows[0], rng)
        bits: list[float] = []
        for group in np.array_split(windows, SAMPLES // 16):
            found = log_probabilities(config, arrays, layers, group[:, :-1])
            asked = np.take_along_axis(found, group[:, 1:, None], axis=-1)[..., 0] / -math.log(2)
            if not np.all(np.isfinite(asked)):
                raise InvalidModelError("the model predicts something that is not a number")
            bits += np.minimum(asked, MAX_BITS).ravel().tolist()
    except (OSError, InvalidModelError) as problem:
        print(f"invalid: {problem}", file=sys.stderr)
        return 1
    numbers = sum(array.size for array in arrays.values())
    print(json.dumps({"bits_per_byte": math.fsum(bits) / len(bits), "parameters": numbers}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
