"""The folder that a pool lives in: its layout, its version, its lock, and what a crash left behind.

Not here: what the files mean to those who read them.
"""

import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ar_core.errors import PoolError

SCHEMA = 1
_VERSION_FILE = "pool.json"
_OURS = frozenset({"keys", "git", "blobs", "redis", "run", "environments", "lock", "lost+found"})
"""What an interrupted start may have left; the last is what a fresh file system brings along."""
_HALF_WRITTEN = f".{_VERSION_FILE}."


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A pool's data directory; every path below it comes from here."""

    root: Path

    @property
    def keys(self) -> Path:
        """Private keys, mode 0700: signing key, seed key, TLS key."""
        return self.root / "keys"

    @property
    def git(self) -> Path:
        """The problems' repositories."""
        return self.root / "git"

    @property
    def registry(self) -> Path:
        """The repository of identities and hidden files; never served."""
        return self.root / "registry.git"

    @property
    def blobs(self) -> Path:
        """Blobs too large for Redis."""
        return self.root / "blobs"

    @property
    def redis(self) -> Path:
        """The embedded server's folder: configuration, socket, append-only files."""
        return self.root / "redis"

    @property
    def environments(self) -> Path:
        """The packages that problems require, for verifiers; made again when it is gone."""
        return self.root / "environments"

    @property
    def run(self) -> Path:
        """What is true only while a pool runs."""
        return self.root / "run"

    @property
    def admin(self) -> Path:
        """Where and with which session the operator's commands reach the running pool."""
        return self.run / "admin.json"

    def repository(self, problem: str) -> Path:
        """Return the path of a problem's repository."""
        return self.git / f"{problem}.git"

    def read_version(self) -> dict[str, object]:
        """Return what `pool.json` says; raises ``PoolError`` when this is no pool's directory."""
        try:
            version = json.loads((self.root / _VERSION_FILE).read_text())
        except FileNotFoundError:
            raise PoolError("AR-C607", f"{self.root} was not made by `ar-coordinator init`") from None
        except OSError as error:
            raise cannot_read(self.root / _VERSION_FILE, error) from None
        except ValueError as error:
            raise PoolError("AR-C607", f"{self.root / _VERSION_FILE}: {error}") from None
        if not isinstance(version, dict) or version.get("schema") != SCHEMA:
            found = version.get("schema") if isinstance(version, dict) else version
            raise PoolError("AR-C601", f"found {found!r}, this program reads {SCHEMA}")
        return version

    @property
    def initialised(self) -> bool:
        """Tell whether a pool was made here, of whatever version; raises ``PoolError`` where nobody may look."""
        path = self.root / _VERSION_FILE
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise cannot_read(path, error) from None
        return True

    def initialise(self, name: str, make_keys: Callable[[Path], None]) -> None:
        """Make the folders, then the keys, and write the version last: a half-made directory is not a pool."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            leftovers = [p.name for p in self.root.iterdir()]
            foreign = sorted(name for name in leftovers if name not in _OURS and not name.startswith(_HALF_WRITTEN))
            if foreign:
                raise PoolError("AR-C607", f"{self.root} is not empty (it has {foreign[0]})")
            self.root.chmod(0o700)
            for folder in (self.keys, self.git, self.blobs, self.redis, self.run):
                folder.mkdir(mode=0o700, exist_ok=True)
            make_keys(self.keys)
            write_atomically(self.root / _VERSION_FILE, json.dumps({"schema": SCHEMA, "name": name}) + "\n")
        except OSError as error:
            raise cannot_write(self.root, error) from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for one pool; raises ``PoolError`` AR-C600 when another one has it."""
        try:
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise cannot_write(self.root, error) from None
        try:
            if not _locked_soon(descriptor):
                raise PoolError("AR-C600", str(self.root))
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def referee_lock(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Be the one writer of the repositories; waits while another process, ending perhaps, still is.

        ``on_wait`` is called once where there is another.
        Whoever holds it may remove what a killed git left behind: nobody else is using the repositories.
        """
        try:
            descriptor = os.open(self.run / "referee.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise cannot_write(self.run, error) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def is_locked(self) -> bool:
        """Tell whether a pool runs here now; raises ``PoolError`` where nobody may look."""
        try:
            descriptor = os.open(self.root / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise cannot_read(self.root / "lock", error) from None
        try:
            # Shared: two who ask at the same time are no pool to each other.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def _locked_soon(descriptor: int, tries: int = 20) -> bool:
    """Take a lock; whoever only asks whether a pool runs (``is_locked``) holds it for a moment."""
    for _ in range(tries):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


def write_atomically(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    """Replace ``path`` durably in one step: readers see the old content or the new, also after a crash."""
    data = text.encode() if isinstance(text, str) else text
    # Threads too may write the same file at the same time, each its own half of it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power failure, which syncing the file alone does not."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> PoolError:
    """Return the error for a folder that cannot be written, a full disk apart from the rest."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return PoolError("AR-C605", str(path))
    return PoolError("AR-C607", f"{path}: {error.strerror or error}")


def cannot_read(path: Path, error: OSError) -> PoolError:
    """Return the error for a file that cannot be read: mostly it is another user's."""
    hint = "run it as the user that the directory belongs to" if error.errno in {errno.EACCES, errno.EPERM} else ""
    return PoolError("AR-C607", f"{path}: {error.strerror or error}", hint=hint)
