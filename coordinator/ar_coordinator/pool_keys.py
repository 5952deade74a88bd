"""The pool's signing key and what is public of it.

Not here: signing commits (``repository``) and the TLS key (``certificate``).
"""

import secrets
from pathlib import Path

from ar_coordinator.data_directory import write_atomically
from ar_coordinator.git_objects import POOL_EMAIL, PoolIdentity
from ar_coordinator.key_files import damaged, read_key
from ar_core.signing import KEY_BYTES, PrivateKey, allowed_signers_line, private_key_from_text, private_key_to_text

_FILE = "pool.key"
_LOSS = "it signs every commit of this pool, and by another key none of them so far could be checked"


def make_pool_key(keys: Path) -> None:
    """Make the key of a new pool, unless a start that was cut short made it already."""
    path = keys / _FILE
    if not path.exists():
        write_atomically(path, private_key_to_text(PrivateKey(raw=secrets.token_bytes(KEY_BYTES))))


def read_pool_identity(keys: Path, name: str) -> PoolIdentity:
    """Return the pool's name and signing key; raises ``PoolError`` AR-C607 where the key is gone or damaged."""
    path = keys / _FILE
    try:
        return PoolIdentity(name=name, key=private_key_from_text(read_key(path, _LOSS).decode("ascii")))
    except ValueError:
        raise damaged(path, "an ed25519 key", _LOSS) from None


def allowed_signers(pool: PoolIdentity) -> str:
    """Return the file that ``git verify-commit`` needs to know the pool's key."""
    return allowed_signers_line(pool.key.public, POOL_EMAIL)
