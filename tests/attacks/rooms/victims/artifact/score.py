"""Counts the answers that are right, by its own copy of the inputs: never runs or imports the solution."""

import json
import os
import sys
from pathlib import Path

LARGEST = 1 << 20


def answers() -> list[object]:
    path = Path(os.environ["AR_OUT"], "answers.json")
    try:
        if path.stat().st_size > LARGEST:
            sys.exit("invalid: too large")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        sys.exit(f"invalid: no answers ({type(error).__name__})")
    if type(found) is not list:
        sys.exit("invalid: not a list of answers")
    return found


def right(answer: object, numbers: list[int]) -> bool:
    if type(answer) is not list or any(type(one) is not int for one in answer):
        return False
    return answer == sorted(numbers)


inputs = json.loads(Path("inputs.json").read_text())
found = answers()
points = 10 * sum(right(answer, numbers) for answer, numbers in zip(found, inputs, strict=False))
print(json.dumps({"points": points, "answers": len(found)}))
