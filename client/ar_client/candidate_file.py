"""Reading the file that somebody proposes, whatever it is: what is over the limit is only hashed.

Not here: judging it; the pool does, so that every proposal gets an answer on record.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ar_core.errors import PoolError

_BLOCK = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFile:
    """A file as it is proposed; ``content`` is ``None`` when it has more bytes than allowed."""

    content: bytes | None
    sha256: str
    size: int


def read_candidate(path: Path, max_bytes: int) -> CandidateFile:
    """Return the bytes, size and SHA-256 of a regular file; raises ``PoolError`` AR-A106 when it cannot be read."""
    digest, size, kept = hashlib.sha256(), 0, bytearray()
    try:
        if not path.is_file():
            raise PoolError("AR-A106", f"{path} is {'not a file' if path.exists() else 'not there'}")
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                if size <= max_bytes:
                    kept += block
    except OSError as error:
        raise PoolError("AR-A106", f"{path}: {error.strerror}") from None
    content = bytes(kept) if size <= max_bytes else None
    return CandidateFile(content=content, sha256=digest.hexdigest(), size=size)
