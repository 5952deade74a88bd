"""Scores numbers.json by its sum, by hidden weights where they are there and with noise where that is declared."""

import hashlib
import json
import os
import random
import sys
import tomllib
from pathlib import Path

content = Path(os.environ["AR_MUTABLE"]).read_bytes()
try:
    numbers = json.loads(content)
except (ValueError, RecursionError):
    sys.exit("numbers.json is not JSON")
if type(numbers) is not list or not 1 <= len(numbers) <= 10:
    sys.exit("numbers.json is not a list of 1 to 10 numbers")
if any(type(number) not in {int, float} or not 0 <= number <= 10 for number in numbers):
    sys.exit("a number is outside 0 to 10")
hidden = os.environ.get("AR_HIDDEN")
weights = json.loads((Path(hidden) / "weights.json").read_text()) if hidden else [1.0]
total = sum(number * weights[n % len(weights)] for n, number in enumerate(numbers))
if tomllib.loads(Path("problem.toml").read_text())["acceptance"]["noise"] == "seed":
    own = hashlib.sha256(content + os.environ["AR_SEED"].encode()).digest()
    total += random.Random(own).gauss(0, 0.7)
print(json.dumps({"total": total, "unevenness": 1.5 + (max(numbers) - min(numbers)) * weights[0]}))
