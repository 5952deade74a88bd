"""Talking to a pool: the command ``ar-pool``, and the channel and identity that it shares with workers.

Not here: donating a machine (``ar_worker``), and the pool itself (``ar_coordinator``).
"""

import os

# gRPC writes log lines to stderr, between what a person or a program reads there; it looks when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
