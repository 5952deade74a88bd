"""Prints what write.py wrote as its score, so that a program can make any score or none come out."""

import os
import sys
from pathlib import Path

path = Path(os.environ["AR_OUT"]) / "number.txt"
if path.exists():
    text = path.read_text("utf-8")
    if text == "fail":
        sys.exit("this scorer was asked to fail")
    print(f"METRIC number={text}")
