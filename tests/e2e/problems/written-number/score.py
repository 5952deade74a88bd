"""Prints what write.py wrote as its score, so that a program can make any score or none come out."""

import os
import sys

path = os.environ["AR_OUT"] + "/number.txt"
if os.path.exists(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text == "fail":
        sys.exit("this scorer was asked to fail")
    print(f"METRIC number={text}")
