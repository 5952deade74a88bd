"""Answers with an object that says it is equal to anything, and as long as anything.

expect: worse
bites: naive
"""


class Agreeable(list):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __len__(self):
        return 6

    __hash__ = None


def answer(numbers):
    return Agreeable()
