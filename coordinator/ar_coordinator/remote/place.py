"""Where a verifier on another machine keeps its identity, and that only one process uses it at a time.

Not here: what is in the files (``ar_client.identity``), and the pool's files, which are never on this machine's disk.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from ar_client.identity import Home, home_directory
from ar_core.errors import PoolError


def find_home() -> Home:
    """Return the folder of this machine's verifier: another identity than those of people and workers here."""
    return Home(home_directory() / "verifier")


@contextlib.contextmanager
def alone(home: Home) -> Iterator[None]:
    """Be the only verifier with this identity; raises ``PoolError`` AR-A106 when there is another."""
    path = home.folder / "lock"
    try:
        home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PoolError("AR-A106", f"{path}: {error.strerror}", hint="make it writable, or set AR_HOME") from None
    with os.fdopen(handle, "r+"):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PoolError(
                "AR-A106", f"another verifier runs with {home.folder}",
                hint="set AR_HOME to another folder for a second one on this machine, with a token of its own",
            ) from None  # fmt: skip
        yield
