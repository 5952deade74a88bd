"""Prints a second score after everything else, when the interpreter ends.

expect: honest
bites: naive
"""

import atexit
import os


def last_word():
    os.write(1, FAKE.encode())
    for descriptor in range(3, 65):
        try:
            os.write(descriptor, FAKE.encode())
        except OSError:
            pass


atexit.register(last_word)
