"""Score points.json: the smallest distance between two of 12 points in the unit square.

A candidate is data: read strictly, never executed. Anything else than 12 pairs of numbers in [0, 1] ends with an
error, which makes the candidate invalid.
"""

import itertools
import json
import math
import os
import sys
from pathlib import Path

COUNT = 12


def read_points(text: str) -> list[tuple[float, float]]:
    """Return the points, or end with what is wrong with them."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        sys.exit("points.json is not JSON")
    if type(value) is not list or len(value) != COUNT:
        sys.exit(f"points.json is not a list of {COUNT} points")
    return [read_point(item) for item in value]


def read_point(item: object) -> tuple[float, float]:
    """Return one point; `type() is`, so that true is no number, and a range that NaN is never in."""
    if type(item) is not list or len(item) != 2 or not all(type(c) in {int, float} for c in item):
        sys.exit(f"{str(item)[:60]} is not a pair of numbers")
    if not all(0 <= c <= 1 for c in item):
        sys.exit(f"{str(item)[:60]} is outside the square")
    return float(item[0]), float(item[1])


points = read_points(Path(os.environ["AR_MUTABLE"]).read_text("utf-8"))
print(json.dumps({"distance": min(math.dist(a, b) for a, b in itertools.combinations(points, 2))}))
