"""Leaves a pipe where its results are expected, so that whoever reads waits for ever.

expect: refused
kinds: artifact
says: not a regular file
"""

import os

os.mkfifo(os.path.join(os.environ["AR_OUT"], "pipe"))
