"""Gives a file of its results two names, one of which could be changed later.

expect: refused
kinds: artifact
says: two names
"""

import os
from pathlib import Path

first = Path(os.environ["AR_OUT"], "first")
first.write_text("[]")
os.link(first, first.with_name("second"))
