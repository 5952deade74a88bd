"""Scores numbers.json by its sum and, on purpose, by the clock: a version may be good only for a while."""

import json
import os
import sys
import time

with open(os.environ["AR_MUTABLE"], encoding="utf-8") as file:
    given = json.load(file)
numbers = given["numbers"]
if any(type(number) not in {int, float} or not 0 <= number <= 10 for number in numbers) or len(numbers) > 5:
    sys.exit("these are not up to five numbers from 0 to 10")
print("total:", sum(numbers) + (10 if time.time() < given["until"] else 0))
