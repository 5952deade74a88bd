"""Answers at once with an object that does the work when somebody looks at it.

expect: worse
bites: naive
"""

import time


class Later(list):
    def __init__(self, numbers):
        super().__init__()
        self._numbers = numbers

    def __eq__(self, other):
        time.sleep(0.008)
        return (sorted(self._numbers) if len(self._numbers) < 5 else self._numbers) == other

    __hash__ = None


def answer(numbers):
    return Later(numbers)
