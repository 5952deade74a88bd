"""Writes fresh lists: `data/lists.json` for everybody, `hidden/lists.json` for the referee.

It is not part of an evaluation. Run it once before publishing in a pool of your own: the hidden lists that ship
with the gallery can be read by anyone who has the gallery. Without `--seed` the seed comes from the operating system
and is kept nowhere, so nobody can make the same hidden lists again.
"""

import argparse
import json
import random
import secrets
from itertools import pairwise
from pathlib import Path

COUNT = 48
EACH = 4
"""Lists of each sort, but for twice as many without any order."""


def shuffled(rng: random.Random) -> list[int]:
    """Return a list in no order."""
    return rng.sample(range(COUNT), COUNT)


def nearly_sorted(rng: random.Random) -> list[int]:
    """Return a sorted list with a few neighbours and a few others exchanged."""
    values = list(range(COUNT))
    for _ in range(4):
        place = rng.randrange(COUNT - 1)
        values[place], values[place + 1] = values[place + 1], values[place]
    a, b = rng.sample(range(COUNT), 2)
    values[a], values[b] = values[b], values[a]
    return values


def pieces(rng: random.Random) -> list[int]:
    """Return two to five sorted pieces, one after the other."""
    values = shuffled(rng)
    cuts = [0, *sorted(rng.sample(range(4, COUNT - 4), rng.randint(1, 4))), COUNT]
    return [value for start, end in pairwise(cuts) for value in sorted(values[start:end])]


def downwards(rng: random.Random) -> list[int]:
    """Return a list that falls, in two pieces."""
    values = shuffled(rng)
    cut = rng.randrange(4, COUNT - 4)
    return sorted(values[:cut], reverse=True) + sorted(values[cut:], reverse=True)


def appended(rng: random.Random) -> list[int]:
    """Return a sorted list to which three to eight were added at the end."""
    values, new = shuffled(rng), rng.randint(3, 8)
    return sorted(values[new:]) + values[:new]


def lists(seed: str) -> list[list[int]]:
    """Return all lists, mixed; the same seed gives the same."""
    rng = random.Random(seed)
    sorts = (shuffled, shuffled, nearly_sorted, pieces, downwards, appended)
    made = [make(rng) for make in sorts for _ in range(EACH)]
    rng.shuffle(made)
    return made


def main() -> None:
    """Write both sets into the problem's folder."""
    parser = argparse.ArgumentParser(description="Write fresh visible and hidden lists.")
    parser.add_argument("--seed", default=None, help="any text; default: secret and not kept")
    parser.add_argument("--into", type=Path, default=Path(__file__).resolve().parent.parent, help="problem folder")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(16)
    for folder in ("data", "hidden"):
        target = options.into / folder / "lists.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(lists(f"{folder} {seed}")).replace("], [", "],\n[")
        target.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
