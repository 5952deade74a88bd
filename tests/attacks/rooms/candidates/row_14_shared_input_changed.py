"""Empties the list that it was asked about, so that nothing is the right answer.

expect: worse
bites: naive
"""


def answer(numbers):
    numbers.clear()
    return numbers
