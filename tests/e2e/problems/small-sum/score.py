"""Scores numbers.json by its sum; on purpose it lets NaN through, which the pool has to notice."""

import json
import os
import sys

with open(os.environ["AR_MUTABLE"], encoding="utf-8") as file:
    text = file.read()
try:
    numbers = json.loads(text)
except (ValueError, RecursionError):
    sys.exit("numbers.json is not JSON")
if type(numbers) is not list or not 1 <= len(numbers) <= 10:
    sys.exit("numbers.json is not a list of 1 to 10 numbers")
if any(type(number) not in {int, float} or number < 0 or number > 10 for number in numbers):
    sys.exit("a number is outside 0 to 10")
print(json.dumps({"total": sum(numbers), "numbers": len(numbers)}))
