"""Scores numbers.json by its sum and noise that depends on the secret seed and on the candidate."""

import json
import os
import random
import sys

with open(os.environ["AR_MUTABLE"], "rb") as file:
    content = file.read()
numbers = json.loads(content)
if type(numbers) is not list or not 1 <= len(numbers) <= 10:
    sys.exit("numbers.json is not a list of 1 to 10 numbers")
if any(type(number) not in {int, float} or not 0 <= number <= 10 for number in numbers):
    sys.exit("a number is outside 0 to 10")
shared = random.Random(os.environ["AR_SEED"]).gauss(0, 0.7)
own = random.Random(content + os.environ["AR_SEED"].encode()).gauss(0, 0.7)
print("total:", sum(numbers) + shared + own)
