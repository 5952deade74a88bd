"""Writes fresh readings: `data/readings.json` for everybody, `hidden/readings.json` for the referee.

It is not part of an evaluation. Run it once before publishing in a pool of your own: the hidden readings that ship
with the gallery can be read by anyone who has the gallery. Without `--seed` the seed comes from the operating system
and is kept nowhere, so nobody can make the same hidden readings again.
"""

import argparse
import json
import math
import random
import secrets
from pathlib import Path

DAYS = 365
HOURS = 24


def readings(seed: str) -> list[list[int]]:
    """Return a year of hourly readings, one list for each day; the same seed gives the same."""
    rng = random.Random(seed)
    level = rng.uniform(400, 600)
    warmest = rng.uniform(0, DAYS)
    year = []
    for day in range(DAYS):
        level += rng.gauss(0, 8)
        season = 150 * math.cos(2 * math.pi * (day - warmest) / DAYS)
        hours = [level + season + 60 * math.sin(2 * math.pi * hour / HOURS) for hour in range(HOURS)]
        year.append([max(0, round(rng.gauss(hour, 15))) for hour in hours])
    return year


def main() -> None:
    """Write both years into the problem's folder."""
    parser = argparse.ArgumentParser(description="Write fresh visible and hidden readings.")
    parser.add_argument("--seed", default=None, help="any text; default: secret and not kept")
    parser.add_argument("--into", type=Path, default=Path(__file__).resolve().parent.parent, help="problem folder")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(16)
    for folder in ("data", "hidden"):
        target = options.into / folder / "readings.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(readings(f"{folder} {seed}")).replace("], [", "],\n[")
        target.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
