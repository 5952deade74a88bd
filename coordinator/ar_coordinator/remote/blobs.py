"""The bytes that a verifier's batches name, fetched from the pool and kept in memory, bounded.

Not here: the call. Nothing of it is written to this machine's disk: hidden files are among them.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from ar_coordinator.store.blobs import BlobMissingError
from ar_core.candidate import sha256

MAX_BYTES = 256 * 1024**2


class RemoteBlobs:
    """Blobs by their SHA-256; those not used for longest go first."""

    def __init__(self, fetch: Callable[[str], bytes], max_bytes: int = MAX_BYTES) -> None:
        self._fetch, self._max_bytes = fetch, max_bytes
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes:
        """Return the bytes named ``name``; raises ``BlobMissingError`` where the pool sends others."""
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
                return found
        data = self._fetch(name)
        if sha256(data) != name:
            raise BlobMissingError(f"{name}: the pool sent other bytes")
        with self._lock:
            if name not in self._kept:
                self._kept[name] = data
                self._size += len(data)
            while self._size > self._max_bytes and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._size -= len(oldest)
        return data
