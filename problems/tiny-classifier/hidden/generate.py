"""Writes fresh alphabets: `data/train` and `data/validation` for everybody, `hidden/` for the referee.

It is not part of an evaluation. Run it once before publishing in a pool of your own: the hidden images that
ship with the gallery can be read by anyone who has the gallery. Without `--seed` the seed comes from the
operating system and is kept nowhere, so nobody can draw more images of the same alphabets.

An alphabet is eight made-up letters, each of three or four pen strokes. An image is one letter written by a
shaky hand on 8 × 8 pixels: stroke ends wander, the letter slides by most of a pixel, the paper is dirty.
Alphabets that happen to be much easier or harder than the others are thrown away: which alphabet a run draws
would otherwise drown what the training did.
"""

import argparse
import math
import random
import secrets
from pathlib import Path

ALPHABETS = 16
LETTERS = 8
SIDE = 8
IMAGES_PER_LETTER = {"data/train": 20, "data/validation": 15, "hidden": 40}
# Share of hidden images whose nearest mean training image is that of the right letter.
EASIEST, HARDEST = 0.81, 0.78

Point = tuple[float, float]
Letter = list[tuple[Point, Point]]
Images = list[tuple[int, str]]  # letter, 64 digits


def letter(rng: random.Random) -> Letter:
    """Return the strokes of a new letter; half of them go on where the one before ended."""
    strokes: Letter = []
    for _ in range(rng.choice((3, 4))):
        start = strokes[-1][1] if strokes and rng.random() < 0.5 else point(rng)
        strokes.append((start, point(rng)))
    return strokes


def point(rng: random.Random) -> Point:
    """Return a place that is not at the very edge, in pixels."""
    return rng.uniform(1.0, SIDE - 2.0), rng.uniform(1.0, SIDE - 2.0)


def image(strokes: Letter, rng: random.Random) -> str:
    """Return one written letter: 64 digits, row by row, 0 = white paper and 9 = full ink."""
    ink = [[max(0.0, rng.gauss(0.0, 1.1)) for _ in range(SIDE)] for _ in range(SIDE)]
    slide_x, slide_y = rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8)
    for (x0, y0), (x1, y1) in strokes:
        x0, y0, x1, y1 = (value + rng.gauss(0.0, 0.4) for value in (x0, y0, x1, y1))
        for step in range(17):
            x = x0 + (x1 - x0) * step / 16 + slide_x
            y = y0 + (y1 - y0) * step / 16 + slide_y
            dab(ink, x, y)
    return "".join(str(min(9, round(value))) for row in ink for value in row)


def dab(ink: list[list[float]], x: float, y: float) -> None:
    """Press the pen at one place, shared among the four pixels around it by distance."""
    column, row = int(x // 1), int(y // 1)
    for r in (row, row + 1):
        for c in (column, column + 1):
            if 0 <= r < SIDE and 0 <= c < SIDE:
                ink[r][c] += 4.0 * (1.0 - abs(x - c)) * (1.0 - abs(y - r))


def alphabet(rng: random.Random) -> dict[str, Images]:
    """Return the images of one alphabet of ordinary difficulty, by folder."""
    while True:
        letters = [letter(rng) for _ in range(LETTERS)]
        images = {
            folder: [(name, image(letters[name], rng)) for name in range(LETTERS) for _ in range(count)]
            for folder, count in IMAGES_PER_LETTER.items()
        }
        if HARDEST <= nearest_mean_hits(images["data/train"], images["hidden"]) <= EASIEST:
            return images


def nearest_mean_hits(known: Images, asked: Images) -> float:
    """Return the share of `asked` whose nearest mean image of `known` (Euclidean) has the same letter."""
    means = []
    for name in range(LETTERS):
        examples = [[int(pixel) for pixel in pixels] for label, pixels in known if label == name]
        means.append([sum(column) / len(examples) for column in zip(*examples, strict=True)])
    hits = 0
    for label, pixels in asked:
        inputs = [int(pixel) for pixel in pixels]
        hits += min(range(LETTERS), key=lambda name: math.dist(inputs, means[name])) == label
    return hits / len(asked)


def main() -> None:
    """Write every alphabet into the problem's folder."""
    parser = argparse.ArgumentParser(description="Write fresh alphabets: training, validation and hidden images.")
    parser.add_argument("--seed", default=None, help="any text; default: secret and not kept")
    parser.add_argument("--into", type=Path, default=Path(__file__).resolve().parent.parent, help="problem folder")
    options = parser.parse_args()
    rng = random.Random(options.seed or secrets.token_hex(16))
    for number in range(ALPHABETS):
        for folder, images in alphabet(rng).items():
            target = options.into / folder / f"{number:02d}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("".join(f"{name} {pixels}\n" for name, pixels in images), encoding="ascii")


if __name__ == "__main__":
    main()
