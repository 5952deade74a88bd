"""Leaves a link to the scorer's files where its results are expected.

expect: refused
kinds: artifact
says: AR_OUT has a link
"""

import os

os.symlink("/problem/hidden/weights.json", os.path.join(os.environ["AR_OUT"], "answers.json.link"))
