"""Secret seeds of a verification, drawn after the candidate is fixed: HMAC-SHA256 under the pool's key.

Not here: handing them to a room. Source of the construction: RFC 2104.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from ar_coordinator.data_directory import write_atomically
from ar_coordinator.key_files import damaged, read_key

_FILE = "seed.key"
_BYTES = 32
_LOSS = "all seeds of this pool come from it, and from another one no published score could be measured again"


def make_seed_key(keys: Path) -> None:
    """Make the key of a new pool, unless a start that was cut short made it already."""
    path = keys / _FILE
    if not path.exists():
        write_atomically(path, secrets.token_bytes(_BYTES))


def read_seed_key(keys: Path) -> bytes:
    """Return the pool's seed key of 32 bytes; raises ``PoolError`` AR-C607 where it is gone or damaged."""
    path = keys / _FILE
    key = read_key(path, _LOSS)
    if len(key) != _BYTES:
        raise damaged(path, f"a key of {_BYTES} bytes", _LOSS)
    return key


def derive_seed(
    key: bytes,
    label: str,
    problem: str,
    revision: int,
    experiment: str = "",
    attempt: int = 0,
    index: int = 0,
) -> int:
    """Return a seed of 63 bits for one label (``scorer`` or ``run``) of one pair.

    For problems without noise, experiment, attempt and index stay at their defaults: one constant a revision.
    """
    parts = (label, problem, str(revision), experiment, str(attempt), str(index))
    message = b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
    return int.from_bytes(hmac.new(key, message, hashlib.sha256).digest()[:8], "big") >> 1


def constant_seeds(key: bytes, problem: str, revision: int) -> tuple[int, int]:
    """Return the (run, scorer) seeds of a problem without noise: one constant a revision."""
    return derive_seed(key, "run", problem, revision), derive_seed(key, "scorer", problem, revision)
