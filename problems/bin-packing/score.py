"""Scores an online bin-packing heuristic, given as a table of numbers, by how many bins it wastes.

It is not a solver: the table decides every placement, and the packing is built and counted here.
"""

import json
import math
import os
import re
import sys

MAX_BYTES = 16_384
MAX_NUMBERS = 151
LARGEST_NUMBER = 1e9
# Decided before the text reaches a JSON parser: one flat list, nothing else. So nesting, strings, words such as
# NaN or true, and objects never get that far.
FLAT_LIST = re.compile(r"\s*\[[0-9eE+\-.,\s]*\]\s*", re.ASCII)


def read_priorities(path: str | os.PathLike[str]) -> list[float]:
    """Return the candidate's finite numbers; ValueError with one sentence if they break a rule of program.md."""
    with open(path, "rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"the file is longer than {MAX_BYTES} bytes: write shorter numbers")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("the file is not plain text: write a JSON list of numbers") from None
    if FLAT_LIST.fullmatch(text) is None:
        raise ValueError("the file is not one flat JSON list of plain numbers")
    try:
        numbers = json.loads(text)
    except ValueError:
        raise ValueError("the file is not valid JSON: check commas and numbers") from None
    if not 1 <= len(numbers) <= MAX_NUMBERS:
        raise ValueError(f"the list holds {len(numbers)} numbers: 1 to {MAX_NUMBERS} are allowed")
    for place, number in enumerate(numbers):
        if type(number) not in (int, float) or not abs(number) <= LARGEST_NUMBER:
            raise ValueError(f"number {place} is not between -{LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}")
    return [float(number) for number in numbers]


def bins_used(items: list[int], capacity: int, priorities: list[float]) -> int:
    """Return the bins that `items` take in the order given.

    Each item goes to the place where `priorities[free units left afterwards]` is highest: among the open bins in
    which it fits, the earliest opened first, and a new bin, which comes last and so loses every tie.
    """
    smallest = min(items)
    closed = 0
    free: list[int] = []
    for item in items:
        best, best_priority = -1, -math.inf
        for place, units in enumerate(free):
            if units >= item and priorities[units - item] > best_priority:
                best, best_priority = place, priorities[units - item]
        if best < 0 or priorities[capacity - item] > best_priority:
            best = len(free)
            free.append(capacity)
        free[best] -= item
        # A bin that can take nothing more only costs time to look at.
        if free[best] < smallest:
            del free[best]
            closed += 1
    return closed + len(free)


def main() -> int:
    """Print the score; 1 with a sentence on stderr where the candidate is invalid."""
    # The referee has other instances of the same kind, so that fitting the visible ones is no use.
    folder = os.environ.get("AR_HIDDEN") or "data"
    with open(f"{folder}/instances.json", encoding="utf-8") as file:
        task = json.load(file)
    capacity, instances = task["capacity"], task["instances"]
    try:
        priorities = read_priorities(os.environ.get("AR_MUTABLE") or "priority.json")
    except (OSError, ValueError) as problem:
        print(f"invalid: {problem}", file=sys.stderr)
        return 1
    priorities += [0.0] * (capacity + 1 - len(priorities))
    bins, bound, excess = 0, 0, []
    for items in instances:
        used = bins_used(items, capacity, priorities)
        least = -(-sum(items) // capacity)  # the L1 bound: no packing can have fewer bins
        bins, bound = bins + used, bound + least
        excess.append(100.0 * (used - least) / least)
    print(json.dumps({"excess_percent": math.fsum(excess) / len(excess), "bins": bins, "bound": bound}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
