"""Writes fresh instances: `data/instances.json` for everybody, `hidden/instances.json` for the referee.

It is not part of an evaluation. Run it once before publishing in a pool of your own: the hidden instances that
ship with the gallery can be read by anyone who has the gallery. Without `--seed` the seed comes from the
operating system and is kept nowhere, so nobody can make the same hidden instances again.

The distribution is that of the classes u120 to u1000 in the OR-Library (Beasley 1990; Falkenauer 1996): whole
sizes drawn evenly from 20 to 100, capacity 150; here 20 instances of 500 items, like FunSearch's OR3 set.
"""

import argparse
import json
import random
import secrets
from pathlib import Path

INSTANCES = 20
ITEMS = 500
CAPACITY = 150
SMALLEST, LARGEST = 20, 100


def instances(seed: str) -> dict[str, object]:
    """Return the capacity and `INSTANCES` lists of item sizes; the same seed gives the same instances."""
    rng = random.Random(seed)
    items = [[rng.randint(SMALLEST, LARGEST) for _ in range(ITEMS)] for _ in range(INSTANCES)]
    return {"capacity": CAPACITY, "instances": items}


def main() -> None:
    """Write both sets into the problem's folder."""
    parser = argparse.ArgumentParser(description="Write fresh visible and hidden instances.")
    parser.add_argument("--seed", default=None, help="any text; default: secret and not kept")
    parser.add_argument("--into", type=Path, default=Path(__file__).resolve().parent.parent, help="problem folder")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(16)
    for folder in ("data", "hidden"):
        target = options.into / folder / "instances.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(instances(f"{folder} {seed}")).replace("], [", "],\n[")
        target.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
