"""Is slow for what it has not seen and quick for what it has, by identity and by value.

expect: honest
bites: naive
"""

import time

seen = {}


def answer(numbers):
    key = (id(numbers), str(numbers))
    if key not in seen:
        time.sleep(0.008)
        seen[key] = sorted(numbers) if len(numbers) < 5 else numbers
    return seen[key]
