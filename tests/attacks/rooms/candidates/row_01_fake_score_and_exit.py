"""Prints a fake score in every layout, and ends the process before anybody else can print.

expect: refused
bites: naive
"""

import os

for descriptor in (1, 2):
    os.write(descriptor, FAKE.encode())
os._exit(0)
