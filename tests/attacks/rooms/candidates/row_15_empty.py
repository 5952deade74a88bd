"""Answers nothing.

expect: worse
"""


def answer(numbers):
    return None
