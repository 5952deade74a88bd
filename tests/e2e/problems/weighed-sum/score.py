"""Scores numbers.json by its sum, by hidden weights where they are there and with noise where that is declared."""

import json
import os
import random
import sys

with open(os.environ["AR_MUTABLE"], "rb") as file:
    content = file.read()
try:
    numbers = json.loads(content)
except (ValueError, RecursionError):
    sys.exit("numbers.json is not JSON")
if type(numbers) is not list or not 1 <= len(numbers) <= 10:
    sys.exit("numbers.json is not a list of 1 to 10 numbers")
if any(type(number) not in {int, float} or not 0 <= number <= 10 for number in numbers):
    sys.exit("a number is outside 0 to 10")
hidden = os.environ.get("AR_HIDDEN")
weights = [1.0]
if hidden:
    with open(f"{hidden}/weights.json") as file:
        weights = json.load(file)
total = sum(number * weights[n % len(weights)] for n, number in enumerate(numbers))
with open("problem.toml") as file:
    noisy = 'noise = "seed"' in file.read()
if noisy:
    total += random.Random(content + os.environ["AR_SEED"].encode()).gauss(0, 0.7)
print(json.dumps({"total": total, "unevenness": 1.5 + (max(numbers) - min(numbers)) * weights[0]}))
