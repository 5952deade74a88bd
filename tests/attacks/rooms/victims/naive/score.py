"""What nobody should write: imports the solution into the scorer's own process, beside its clock and its answers."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

LATE = 0.004

inputs = json.loads(Path("inputs.json").read_text())
work = Path("/tmp/work")
work.mkdir(exist_ok=True)
shutil.copyfile(os.environ["AR_MUTABLE"], work / "solution.py")
os.chdir(work)
sys.path.insert(0, "")
sys.path.insert(1, str(work))


def right(answer, expected):
    return answer == expected


def measure(numbers):
    import solution

    solution.answer(numbers)  # so that it is warm
    expected = sorted(numbers)
    begun = time.perf_counter()
    answer = solution.answer(numbers)
    late = time.perf_counter() - begun > LATE
    return 10 * bool(right(answer, expected)) - late


points = [measure(numbers) for numbers in inputs]
import statistics  # noqa: E402 - late, as people do

text = json.dumps({"points": round(statistics.mean(points) * len(points))})
try:
    os.write(5, text.encode() + b"\n")
except OSError:
    print(text)
