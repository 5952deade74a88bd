"""Answers the same whatever it is asked.

expect: worse
"""


def answer(numbers):
    return [1, 2, 3]
