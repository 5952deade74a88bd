"""Bench ``dispatch``, the ceiling: an echo stream and one Redis script for each message, and nothing else.

No TLS, no authentication, no persistence, no records: what this machine's gRPC, event loop and Redis allow at most.
The scripts of a turn of the event loop go to Redis together, on one connection. It ends when its standard input does.
"""

import asyncio
import hashlib
import sys
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import redis
from dispatch_load import ECHO

from ar_coordinator.embedded_redis import EmbeddedRedis

_SCRIPT = "return redis.call('INCR', 'echoed')"


class Scripts:
    """One connection to Redis; its replies are numbers, and come in the order of the calls."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        digest = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
        self._call = f"*3\r\n$7\r\nEVALSHA\r\n$40\r\n{digest}\r\n$1\r\n0\r\n".encode()
        self._written = 0
        self._waiting: deque[asyncio.Future[bytes]] = deque()

    def run(self) -> "asyncio.Future[bytes]":
        """Call the script with the others of this turn of the loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append(future)
        self._written += 1
        if self._written == 1:
            loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        self._writer.write(self._call * self._written)
        self._written = 0

    async def read(self) -> None:
        """Hand out replies."""
        while line := await self._reader.readline():
            self._waiting.popleft().set_result(line)


async def serve(socket: str) -> None:
    """Echo until standard input ends."""
    scripts = Scripts(*await asyncio.open_unix_connection(socket))
    reading = asyncio.create_task(scripts.read())

    async def echo(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            if not (await scripts.run()).startswith(b":"):
                raise RuntimeError("the script failed")
            yield request

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    service, method = ECHO.strip("/").split("/")
    handlers = {method: grpc.stream_stream_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(1)
    reading.cancel()


def main(folder: Path) -> None:
    """Start a server that keeps nothing, and echo."""
    embedded = EmbeddedRedis(folder)
    embedded.start()
    try:
        with redis.Redis(unix_socket_path=embedded.socket) as client:
            client.config_set("appendonly", "no")
            client.script_load(_SCRIPT)
        asyncio.run(serve(embedded.socket))
    finally:
        embedded.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
