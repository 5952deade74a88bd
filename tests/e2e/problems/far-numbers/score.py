"""Scores numbers.json by its squared distance from ten numbers; far from them nearly any search finds better ones."""

import json
import os
import sys
import time

WANTED = [-31.5, 62.25, 8.75, -77.0, 44.5, 90.0, -12.25, 27.0, -58.5, 70.75]

try:
    with open(os.environ["AR_MUTABLE"], encoding="utf-8") as file:
        numbers = json.load(file)
except (ValueError, RecursionError):
    sys.exit("numbers.json is not JSON")
if type(numbers) is not list or len(numbers) != len(WANTED):
    sys.exit("numbers.json is not a list of ten numbers")
if any(type(number) not in {int, float} or not -100 <= number <= 100 for number in numbers):
    sys.exit("a number is outside -100 to 100")
time.sleep(0.1)  # so that a volunteer leaves some of the processor to what its test looks at
print("distance:", sum((number - wanted) ** 2 for number, wanted in zip(numbers, WANTED, strict=True)))
