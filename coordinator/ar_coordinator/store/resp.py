"""Redis's protocol, RESP2, as far as scripts need it: writing a command, reading replies from what has arrived.

Not here: the connection. Specification: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from collections.abc import Iterable
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

_ERRORS: dict[str, type[RedisError]] = {
    "NOSCRIPT": NoScriptError, "LOADING": BusyLoadingError, "OOM": OutOfMemoryError, "READONLY": ReadOnlyError,
    "NOAUTH": AuthenticationError, "WRONGPASS": AuthenticationError,
}  # fmt: skip


def command(parts: Iterable[str | bytes | int]) -> bytes:
    """Return one command as it goes over the wire."""
    encoded = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    lines = [b"*%d" % len(encoded)]
    for part in encoded:
        lines += (b"$%d" % len(part), part)
    lines.append(b"")
    return b"\r\n".join(lines)


class Replies:
    """Takes in bytes as they come and gives whole replies: text, numbers, ``None``, lists, and errors as values."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> list[Any]:
        """Return the replies that are complete now, in their order."""
        self._data = self._data + data if self._data else data
        found: list[Any] = []
        at = 0
        while (read := _read(self._data, at)) is not None:
            value, at = read
            found.append(value)
        self._data = self._data[at:]
        return found


def _read(data: bytes, at: int) -> tuple[Any, int] | None:
    """Return the reply that begins at ``at`` and where the next one begins; ``None`` while it is not complete."""
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    kind, line, after = data[at : at + 1], data[at + 1 : end], end + 2
    if kind == b"$":
        size = int(line)
        if size < 0:
            return None, after
        return None if len(data) < after + size + 2 else (data[after : after + size].decode(), after + size + 2)
    if kind == b":":
        return int(line), after
    if kind == b"*":
        return _read_list(data, after, int(line))
    if kind == b"+":
        return line.decode(), after
    if kind == b"-":
        text = line.decode()
        return _ERRORS.get(text.partition(" ")[0], ResponseError)(text), after
    raise ResponseError(f"this is no Redis: it answered {line[:40]!r}")


def _read_list(data: bytes, at: int, size: int) -> tuple[Any, int] | None:
    if size < 0:
        return None, at
    found: list[Any] = []
    for _ in range(size):
        read = _read(data, at)
        if read is None:
            return None
        value, at = read
        found.append(value)
    return found, at
