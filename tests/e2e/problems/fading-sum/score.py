"""Scores numbers.json by its sum and, on purpose, by the clock: a version may be good only for a while."""

import json
import os
import sys
import time
from pathlib import Path

given = json.loads(Path(os.environ["AR_MUTABLE"]).read_text("utf-8"))
numbers = given["numbers"]
if any(type(number) not in {int, float} or not 0 <= number <= 10 for number in numbers) or len(numbers) > 5:
    sys.exit("these are not up to five numbers from 0 to 10")
print("total:", sum(numbers) + (10 if time.time() < given["until"] else 0))
