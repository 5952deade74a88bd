"""Score model.json: the root mean squared error of a polynomial on points that the candidate did not see.

A model is data: read strictly, never unpickled or executed. Anything else than 1 to 40 finite numbers ends with an
error, which makes the candidate invalid.
"""

import csv
import json
import math
import os
import sys
from pathlib import Path

MOST = 40
LARGEST = 1e6


def read_model(path: Path) -> list[float]:
    """Return the coefficients, the constant first, or end with what is wrong with them."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        sys.exit("train.py wrote no model.json")
    except (ValueError, RecursionError):
        sys.exit("model.json is not JSON")
    if type(value) is not list or not 1 <= len(value) <= MOST:
        sys.exit(f"model.json is not a list of 1 to {MOST} numbers")
    for number in value:
        # `type() is`, so that true is no number; a range, so that NaN is none either.
        if type(number) not in {int, float} or not -LARGEST <= number <= LARGEST:
            sys.exit("model.json has something else than a number between -1e6 and 1e6")
    return [float(number) for number in value]


def predict(model: list[float], x: float) -> float:
    """Return the polynomial's value."""
    result = 0.0
    for coefficient in reversed(model):
        result = result * x + coefficient
    return result


model = read_model(Path(os.environ["AR_OUT"]) / "model.json")
hidden = os.environ.get("AR_HIDDEN")
with (Path(hidden) / "test.csv" if hidden else Path("data/validation.csv")).open() as file:
    points = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]
error = math.sqrt(sum((predict(model, x) - y) ** 2 for x, y in points) / len(points))
print(json.dumps({"rmse": error, "coefficients": len(model)}))
