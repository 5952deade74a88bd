"""The pool's signing key and what is public of it.

Not here: signing commits (``repository``) and the TLS key (``certificate``).
"""

import secrets
from pathlib import Path

from ar_coordinator.data_directory import write_atomically
from ar_coordinator.git_objects import POOL_EMAIL, PoolIdentity
from ar_core.signing import KEY_BYTES, PrivateKey, allowed_signers_line, private_key_from_text, private_key_to_text


def ensure_pool_identity(keys: Path, name: str) -> PoolIdentity:
    """Return the pool's name and signing key, making the key the first time."""
    path = keys / "pool.key"
    if not path.exists():
        write_atomically(path, private_key_to_text(PrivateKey(raw=secrets.token_bytes(KEY_BYTES))))
    return PoolIdentity(name=name, key=private_key_from_text(path.read_text()))


def allowed_signers(pool: PoolIdentity) -> str:
    """Return the file that ``git verify-commit`` needs to know the pool's key."""
    return allowed_signers_line(pool.key.public, POOL_EMAIL)
