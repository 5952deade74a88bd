"""Connections to the pool's Redis: one pool of blocking connections for text, one for bytes.

Not here: starting a server (``embedded_redis``).
"""

import time
from dataclasses import dataclass
from typing import Any

import redis

Client = Any
"""A ``redis.Redis``; its stubs type each reply as every form that any option can give it."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Two clients of one server: ``text`` decodes replies, ``raw`` keeps bytes (blobs and RQ)."""

    text: Client
    raw: Client

    def close(self) -> None:
        """Give the connections back."""
        self.text.close()
        self.raw.close()


def connect(url: str) -> Connection:
    """Return clients for ``url``; connections are made when they are needed."""

    def client(decode: bool) -> Client:
        # The blocking pool waits for a free connection where the ordinary one raises.
        pool = redis.BlockingConnectionPool.from_url(
            url, decode_responses=decode, max_connections=64, timeout=30, health_check_interval=30
        )
        return redis.Redis(connection_pool=pool)

    return Connection(client(True), client(False))


def now_ms() -> int:
    """Return the wall clock in milliseconds, the unit of every deadline in Redis."""
    return time.time_ns() // 1_000_000
