"""Content-addressed bytes: in Redis up to 256 KiB, in files of the data directory beyond; verified by name.

Not here: who may read a blob.
"""

import re
from pathlib import Path

from ar_coordinator.data_directory import cannot_write, write_atomically
from ar_coordinator.store import keys
from ar_coordinator.store.connection import Connection
from ar_core.candidate import sha256

IN_REDIS_BYTES = 256 * 1024
_NAME = re.compile(r"[0-9a-f]{64}")


class BlobMissingError(LookupError):
    """A blob that should be there is not, or its bytes do not have the hash that names them."""


class Blobs:
    """The pool's blobs."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self._redis = connection.raw
        self._folder = folder

    def put(self, data: bytes) -> str:
        """Store ``data`` durably and return its SHA-256; storing the same bytes again changes nothing."""
        name = sha256(data)
        if len(data) <= IN_REDIS_BYTES:
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.setnx(keys.blob(name), data)
            pipeline.delete(keys.blob_of(name))
            pipeline.execute()
            return name
        path = self._path(name)
        if not path.exists():
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomically(path, data)
            except OSError as error:
                raise cannot_write(self._folder, error) from None
        return name

    def get(self, name: str) -> bytes:
        """Return the bytes named ``name``; raises ``BlobMissingError``."""
        if not _NAME.fullmatch(name):
            raise BlobMissingError(name)
        found = self._redis.get(keys.blob(name))
        if isinstance(found, bytes):
            data = found
        else:
            try:
                data = self._path(name).read_bytes()
            except OSError:
                raise BlobMissingError(name) from None
        if sha256(data) != name:
            raise BlobMissingError(f"{name}: the bytes do not have this hash")
        return data

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name
