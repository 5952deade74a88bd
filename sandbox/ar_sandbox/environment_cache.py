"""The environments of this machine: each made once, shared by all problems that name the same packages.

Not here: making one (``environment_build``). An environment is a folder named by what is in it. It appears as a
whole (by renaming) or not at all, is never changed, and goes when others need the place and nobody uses it.
Everything is said with locks on files, which the kernel takes back from whoever dies: a shared one by each user of
an environment, an exclusive one by whoever makes or removes it.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ar_core.errors import PoolError
from ar_sandbox.environment_build import CANNOT, NOT_NOW, PACKAGES, GoingOn, bytes_below, machine_words
from ar_sandbox.requirements import Requirements, RequirementsError, parse_requirements

MAX_BYTES = 4 * 1024**3
"""All environments of a machine together; those not used for longest go first."""
_FORGET_SECONDS = 600.0
"""So long a failure that will come again is not tried again."""
_TICK = 0.1
_SIZE = "bytes"
_NAMES = "[0-9a-f]" * 64 + "/"
_MAKING, _GOING = ".making-", ".going-"

Build = Callable[[Requirements, Path, GoingOn, Callable[[], None] | None], None]


def default_folder() -> Path:
    """Return where environments are kept unless told otherwise: below ``$AR_HOME``, else the platform's caches."""
    chosen = os.environ.get("AR_HOME")
    if chosen:
        return Path(chosen).expanduser() / "environments"
    import platformdirs

    return platformdirs.user_cache_path("auto-research-pool") / "environments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment in use: it stays until ``close``. A context manager."""

    packages: Path
    lock: IO[bytes]

    def close(self) -> None:
        """Use it no more."""
        self.lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EnvironmentCache:
    """The environments below one folder; any number of processes and threads may use it at once."""

    def __init__(self, folder: Path, build: Build, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder, self._build, self._max_bytes = folder.absolute(), build, max_bytes
        self._failed: dict[str, tuple[float, PoolError]] = {}
        self._failed_lock = threading.Lock()

    def use(
        self, requirements: bytes, *, going_on: GoingOn = lambda: None, on_room: Callable[[], None] | None = None
    ) -> Environment:
        """Return the environment of a requirements file, made now if need be.

        ``going_on`` is called often meanwhile and may raise. Raises ``PoolError`` AR-S502 where it cannot be made on
        this machine, AR-S503 where that may pass.
        """
        try:
            wanted = parse_requirements(requirements)
        except RequirementsError as error:
            raise PoolError(CANNOT, f"environment.requirements, {error}", hint="correct that file") from None
        digest = wanted.digest(*machine_words())
        self._raise_again(digest)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            while True:
                found = self._found(digest, going_on)
                if found is not None:
                    return found
                self._make(digest, wanted, going_on, on_room)
        except PoolError as error:
            if error.code == CANNOT:
                with self._failed_lock:
                    self._failed[digest] = (time.monotonic() + _FORGET_SECONDS, error)
            raise
        except OSError as error:
            raise PoolError(NOT_NOW, f"the folder for packages: {error.strerror}") from None

    def _raise_again(self, digest: str) -> None:
        with self._failed_lock:
            until, error = self._failed.get(digest, (0.0, None))
        if error is not None and time.monotonic() < until:
            raise PoolError(error.code, error.detail, hint=error.hint)

    def _found(self, digest: str, going_on: GoingOn) -> Environment | None:
        lock = self._locked(digest, fcntl.LOCK_SH, going_on)
        packages = (self._folder / digest / PACKAGES).resolve()
        if packages.is_dir():
            os.utime(lock.fileno())  # what was used last goes last
            return Environment(packages=packages, lock=lock)
        lock.close()
        return None

    def _make(self, digest: str, wanted: Requirements, going_on: GoingOn, on_room: Callable[[], None] | None) -> None:
        with self._locked(digest, fcntl.LOCK_EX, going_on):
            if (self._folder / digest).is_dir():
                return
            self._clean(digest)
            making = Path(tempfile.mkdtemp(prefix=f"{_MAKING}{digest}-", dir=self._folder))
            try:
                self._build(wanted, making, going_on, on_room)
                (making / _SIZE).write_text(str(bytes_below(making)))
                os.sync()  # a folder with this name is whole, also after a loss of power
                making.rename(self._folder / digest)
            except BaseException:
                _remove(making)
                raise
        self._shrink(digest)

    def _shrink(self, newest: str) -> None:
        """Remove what was not used for longest until the rest is small enough; what is in use stays."""
        sizes = {path.name: _size(path) for path in self._folder.glob(_NAMES)}
        total = sum(sizes.values())
        for digest in sorted(sizes, key=self._last_use):
            if total <= self._max_bytes:
                break
            # What cannot be removed now, because another is at it, does not make the newest less useful.
            with contextlib.suppress(OSError):
                if digest != newest and self._remove_unused(digest):
                    total -= sizes[digest]
        for path in self._folder.glob(f"{_MAKING}*"):
            with contextlib.suppress(OSError):
                self._remove_unused(path.name.removeprefix(_MAKING).partition("-")[0])

    def _last_use(self, digest: str) -> float:
        try:
            return self._lock_path(digest).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _remove_unused(self, digest: str) -> bool:
        """Remove an environment, or what is left of making one, unless somebody has it; tell whether it is gone."""
        lock = _try_lock(self._lock_path(digest), fcntl.LOCK_EX)
        if lock is None:
            return False
        with lock:
            self._clean(digest)
            path = self._folder / digest
            if path.is_dir():
                going = self._folder / f"{_GOING}{digest}"
                path.rename(going)
                _remove(going)
            self._lock_path(digest).unlink(missing_ok=True)
        return True

    def _clean(self, digest: str) -> None:
        """Remove what somebody left who died in the middle; the caller has the exclusive lock."""
        for prefix in (_MAKING, _GOING):
            for path in self._folder.glob(f"{prefix}{digest}*"):
                _remove(path)

    def _lock_path(self, digest: str) -> Path:
        return self._folder / f"{digest}.lock"

    def _locked(self, digest: str, how: int, going_on: GoingOn) -> IO[bytes]:
        """Wait for a lock."""
        while True:
            lock = _try_lock(self._lock_path(digest), how)
            if lock is not None:
                return lock
            going_on()
            time.sleep(_TICK)


def _size(environment: Path) -> int:
    """Return what was counted when it was made, or count again; it may be removed meanwhile."""
    with contextlib.suppress(OSError):
        said = (environment / _SIZE).read_text(errors="replace")
        if said.isdecimal() and len(said) < 20:
            return int(said)
    return bytes_below(environment)


def _try_lock(path: Path, how: int) -> IO[bytes] | None:
    """Return an open file with a lock on it, ``None`` where another has one that excludes it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    file = os.fdopen(handle, "r+b")
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
        # Whoever removes an environment removes the file of its lock, too: a lock on that one excludes nobody.
        current = path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except (BlockingIOError, FileNotFoundError):
        current = False
    except BaseException:
        file.close()
        raise
    if not current:
        file.close()
        return None
    return file


def _remove(folder: Path) -> None:
    """Remove a folder whose folders may be closed for writing."""
    for place, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            Path(place).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
