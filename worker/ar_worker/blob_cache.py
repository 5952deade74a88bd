"""Blobs that were fetched before, by their SHA-256, on disk and bounded.

Not here: fetching them (``connection``). What is read is checked again: a cache can be damaged.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from ar_core.candidate import sha256

MAX_BYTES = 256 * 1024**2


class BlobCache:
    """A folder of blobs; those not used for longest go first. A cache that cannot be written is no trouble."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._size: int | None = None

    def get(self, name: str) -> bytes | None:
        """Return the blob with this SHA-256 if it is here."""
        path = self._folder / name
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data if sha256(data) == name else None

    def put(self, name: str, data: bytes) -> None:
        """Remember a blob."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".")
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).replace(self._folder / name)
            self._size = None if self._size is None else self._size + len(data)
            if self._size is None or self._size > self._max_bytes:
                self._shrink()

    def _shrink(self) -> None:
        found = [(path.stat(), path) for path in self._folder.iterdir()]
        size = sum(status.st_size for status, _ in found)
        for status, path in sorted(found, key=lambda pair: pair[0].st_mtime):
            if size <= self._max_bytes * 3 // 4:
                break
            path.unlink()
            size -= status.st_size
        self._size = size
