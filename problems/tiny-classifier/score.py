"""Scores the network that a training run wrote, on images of the same alphabet that the run never saw.

It never runs code of the candidate: it reads numbers, computes the predictions itself and averages the loss.
"""

import json
import math
import os
import random
import re
import sys
from operator import mul
from pathlib import Path

ALPHABETS, LETTERS, PIXELS = 16, 8, 64
SAMPLE = 200
MAX_LOSS = 8.0  # bits; one image costs at most this, so that a single bold mistake does not decide a run
MAX_FILE_BYTES = 262_144
MAX_DEPTH = 5
MAX_LAYERS, MAX_NUMBERS, LARGEST_NUMBER = 3, 6000, 1e6

Layer = tuple[list[list[float]], list[float]]
Image = tuple[list[float], int]


def read_model(path: Path) -> list[Layer]:
    """Return the layers of `model.json`; ValueError with one sentence if it breaks a rule of program.md."""
    if path.is_symlink() or not path.is_file():
        raise ValueError("the run wrote no model.json to $AR_OUT")
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise ValueError(f"model.json is longer than {MAX_FILE_BYTES} bytes")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("model.json is not plain text") from None
    check_depth(text)
    try:
        model = json.loads(text, parse_constant=refuse_constant)
    except ValueError as problem:
        raise ValueError(f"model.json is not valid JSON: {str(problem)[:120]}") from None
    if type(model) is not dict or set(model) != {"layers"} or type(model["layers"]) is not list:
        raise ValueError('model.json must be an object with one key, "layers", a list')
    if not 1 <= len(model["layers"]) <= MAX_LAYERS:
        raise ValueError(f"the model has {len(model['layers'])} layers: 1 to {MAX_LAYERS} are allowed")
    layers = []
    width = PIXELS
    for layer in model["layers"]:
        layers.append(checked_layer(layer, width))
        width = len(layers[-1][1])
    if width != LETTERS:
        raise ValueError(f"the last layer has {width} outputs, not {LETTERS}")
    if sum(len(bias) * (len(weights[0]) + 1) for weights, bias in layers) > MAX_NUMBERS:
        raise ValueError(f"the model holds more than {MAX_NUMBERS} numbers")
    return layers


def check_depth(text: str) -> None:
    """Raise ValueError for nesting that no model has, before a recursive parser meets it."""
    depth = 0
    for bracket in re.finditer(r"[][{}]", text):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError("model.json is nested too deeply")


def refuse_constant(name: str) -> float:
    """Raise ValueError: the words NaN and Infinity are not JSON."""
    raise ValueError(f"{name} is not a number")


def checked_layer(layer: object, width: int) -> Layer:
    """Return one layer's weights (outputs × `width`) and bias (outputs); ValueError unless exactly that."""
    if type(layer) is not dict or set(layer) != {"weights", "bias"}:
        raise ValueError('a layer must be an object with the keys "weights" and "bias"')
    weights, bias = layer["weights"], checked_numbers(layer["bias"])
    if type(weights) is not list or len(weights) != len(bias) or not bias:
        raise ValueError("a layer must have one row of weights for each number of its bias, and at least one")
    rows = [checked_numbers(row) for row in weights]
    if any(len(row) != width for row in rows):
        raise ValueError(f"a row of weights does not have {width} numbers, one for each input of its layer")
    return rows, bias


def checked_numbers(values: object) -> list[float]:
    """Return a list of plain numbers as floats; ValueError for anything else."""
    if type(values) is not list:
        raise ValueError("weights and bias must be lists of numbers")
    for value in values:
        if type(value) not in (int, float) or not abs(value) <= LARGEST_NUMBER:
            raise ValueError(f"a weight or bias is not a number between -{LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}")
    return [float(value) for value in values]


def read_images(path: Path) -> list[Image]:
    """Return (64 pixels from 0 to 1, letter) for each line."""
    images = []
    for line in path.read_text(encoding="ascii").splitlines():
        name, pixels = line.split()
        images.append(([int(pixel) / 9 for pixel in pixels], int(name)))
    return images


def loss_and_hit(layers: list[Layer], image: Image) -> tuple[float, bool]:
    """Return the cross-entropy of one image in bits, at most `MAX_LOSS`, and whether its letter came out on top."""
    values, name = image
    for place, (weights, bias) in enumerate(layers):
        if place:
            values = [math.tanh(value) for value in values]
        values = [sum(map(mul, row, values)) + b for row, b in zip(weights, bias, strict=True)]
    top = max(values)
    # The scorer normalises, so a model cannot promise more than one whole probability.
    log_total = math.log(math.fsum(math.exp(value - top) for value in values))
    loss = (log_total - (values[name] - top)) / math.log(2)
    # Equal sums name no letter: a constant model must not look right about one of them.
    return min(MAX_LOSS, loss), values.count(top) == 1 and values[name] == top


def main() -> int:
    """Print the score; 1 with a sentence on stderr where the model is invalid."""
    try:
        layers = read_model(Path(os.environ.get("AR_OUT") or "out") / "model.json")
    except (OSError, ValueError) as problem:
        print(f"invalid: {problem}", file=sys.stderr)
        return 1
    # The referee's machine has images that nobody else has; elsewhere the public validation images stand in.
    folder = Path(os.environ.get("AR_HIDDEN") or "data/validation")
    alphabet = random.Random(f"alphabet {os.environ.get('AR_RUN_SEED') or '0'}").randrange(ALPHABETS)
    images = read_images(folder / f"{alphabet:02d}.txt")
    # Never all of them, so that the draw matters where there are few, too.
    count = min(SAMPLE, len(images) * 3 // 4)
    drawn = random.Random(f"sample {os.environ.get('AR_SEED') or '0'}").sample(images, count)
    losses, hits = zip(*(loss_and_hit(layers, image) for image in drawn), strict=True)
    print(json.dumps({"loss_bits": math.fsum(losses) / len(drawn), "accuracy": sum(hits) / len(drawn)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
