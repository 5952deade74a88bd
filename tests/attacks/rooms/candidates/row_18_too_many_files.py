"""Leaves more files than may cross.

expect: refused
kinds: artifact
says: more than [0-9]+ files
"""

import os
from pathlib import Path

for number in range(1500):
    Path(os.environ["AR_OUT"], str(number)).touch()
