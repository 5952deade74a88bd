"""Trains a small network on one made-up alphabet and writes its weights; AR_RUN_SEED says which alphabet.

This is the one file that may change: the rules are in program.md.
"""

import json
import math
import os
import random
from operator import mul
from pathlib import Path

LEARNING_RATE = 0.002  # tune: 1e-4..1 log
EPOCHS = 12  # tune: 1..60 int
SPREAD = 0.1  # tune: 1e-3..1 log
LETTERS, PIXELS = 8, 64

run_seed = os.environ.get("AR_RUN_SEED") or "0"
alphabet = random.Random(f"alphabet {run_seed}").randrange(16)
rng = random.Random(run_seed)

images = []
for line in Path(f"data/train/{alphabet:02d}.txt").read_text().splitlines():
    label, pixels = line.split()
    images.append(([int(pixel) / 9 for pixel in pixels], int(label)))

weights = [[rng.gauss(0.0, SPREAD) for _ in range(PIXELS)] for _ in range(LETTERS)]
bias = [0.0] * LETTERS

for _ in range(EPOCHS):
    for inputs, name in images:
        sums = [sum(map(mul, row, inputs)) + b for row, b in zip(weights, bias, strict=True)]
        top = max(sums)
        powers = [math.exp(value - top) for value in sums]
        total = sum(powers)
        for letter in range(LETTERS):
            error = powers[letter] / total - (letter == name)
            step = error * LEARNING_RATE
            row = weights[letter]
            weights[letter] = [weight - step * value for weight, value in zip(row, inputs, strict=True)]
            bias[letter] -= step

model = {"layers": [{"weights": weights, "bias": bias}]}
out = Path(os.environ.get("AR_OUT") or "out")
out.mkdir(parents=True, exist_ok=True)
(out / "model.json").write_text(json.dumps(model))
