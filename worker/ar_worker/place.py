"""Where a donated machine keeps its things below ``AR_HOME``, and that only one worker uses them at a time.

Not here: what is in the files (``ar_client.identity``, ``report_store``, ``blob_cache``, ``account``,
``consents``).
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ar_client.identity import Home, home_directory
from ar_core.errors import PoolError

_LOCK_TRIES, _LOCK_PAUSE = 8, 0.05
_NOT_JOINED = "run `ar-worker join HOST:PORT --token T`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folders; a machine's identity is another than that of the person who uses ``ar-pool`` there."""

    home: Home
    cache: Path

    @property
    def folder(self) -> Path:
        """Where everything but the cache is."""
        return self.home.folder

    def reports(self, digest: str) -> Path:
        """Return the folder of unconfirmed reports to the pool with this certificate digest."""
        return self.folder / "reports" / digest[:16]

    def consents(self, digest: str) -> Path:
        """Return the file of what the owner agreed to at the pool with this certificate digest."""
        return self.folder / "consents" / f"{digest[:16]}.json"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only worker here; raises ``PoolError`` AR-A106 when there is another."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PoolError("AR-A106", f"{self._lock}: {error.strerror}") from None
        with os.fdopen(handle, "r+") as file:
            if not _locked(file):
                raise PoolError(
                    "AR-A106", f"another ar-worker runs with {self.folder}",
                    hint="stop it with `ar-worker stop`, or set AR_HOME to another folder",
                )  # fmt: skip
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid()}))
            file.flush()
            yield
            file.truncate(0)

    def running(self) -> int | None:
        """Return the number of the worker's process that runs here, ``None`` when none does."""
        try:
            with self._lock.open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(json.loads(file.read())["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None

    @property
    def _lock(self) -> Path:
        return self.folder / "lock"


def _locked(file: IO[str]) -> bool:
    """Lock a file, unless somebody holds it for longer than it takes to look who does."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE)
        else:
            return True
    return False


def find_place() -> Place:
    """Return this machine's place."""
    home = home_directory()
    return Place(home=Home(home / "worker"), cache=home / "cache")


def not_joined(error: PoolError) -> PoolError:
    """Return the error with the hint that fits a worker where nobody has joined yet."""
    if error.code in {"AR-I200", "AR-I201"}:
        return PoolError(error.code, error.detail, hint=_NOT_JOINED)
    return error
