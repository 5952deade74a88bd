"""Answers with one string of 30 MB.

expect: worse
"""


def answer(numbers):
    return "9" * 30_000_000
