"""Read-only git over HTTP: clone and fetch of problem repositories, through ``git upload-pack``.

Not here: pushing, which is always refused, and the pages of the web app that these routes are part of.
"""

import asyncio
import contextlib
import os
import re
import signal
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ar_coordinator.git_store import git_environment, git_program
from ar_coordinator.repository import EXPORT_MARKER

MAX_REQUEST_BYTES = 4 * 1024 * 1024
WAIT_SECONDS = 15.0
WAITING_PER_PROCESS = 4

_NAME = re.compile(r"[a-z0-9-]{3,64}")
_CHUNK = 65536
_ADVERTISEMENT_TYPE = "application/x-git-upload-pack-advertisement"
_REQUEST_TYPE = "application/x-git-upload-pack-request"
_RESULT_TYPE = "application/x-git-upload-pack-result"
_NEVER_CACHED = {
    "Cache-Control": "no-cache, max-age=0, must-revalidate",
    "Expires": "Fri, 01 Jan 1980 00:00:00 GMT",
    "Pragma": "no-cache",
}
_READ_ONLY = "This repository is read-only: send improvements with ar-pool propose, not with git push."
_SMART_ONLY = "Only git's smart protocol is offered here: use git clone with git 1.6.6 or newer."


class _RefusedError(Exception):
    """An answer other than git's own: its HTTP status, and one sentence for the person at the other end."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.response = PlainTextResponse(sentence + "\n", status, headers={**_NEVER_CACHED, **(headers or {})})


def git_routes(repository_path: Callable[[str], Path | None], *, limit: int = 8, seconds: float = 120) -> list[Route]:
    """Return the routes below ``/git/`` that serve problem repositories read-only.

    ``repository_path`` maps a problem's name (already checked: ``[a-z0-9-]{3,64}``) to its bare repository, or
    ``None`` where there is none; a repository without git's ``git-daemon-export-ok`` file is never served. At
    most ``limit`` git processes run at a time and none, its client included, takes longer than ``seconds``.
    """
    service = _GitService(repository_path, limit, seconds)
    return [
        Route("/git/{name}.git/info/refs", service.advertise, methods=["GET"]),
        Route("/git/{name}.git/git-upload-pack", service.upload_pack, methods=["POST"]),
        Route("/git/{name}.git/git-receive-pack", service.refuse_push, methods=["GET", "POST"]),
        Route("/git/{name}.git/{rest:path}", service.refuse_dumb, methods=["GET"]),
    ]


class _GitService:
    def __init__(self, repository_path: Callable[[str], Path | None], limit: int, seconds: float) -> None:
        self._repository_path = repository_path
        self._seconds = seconds
        self._slots = asyncio.Semaphore(limit)
        self._waiting = 0
        self._may_wait = limit * WAITING_PER_PROCESS

    async def advertise(self, request: Request) -> Response:
        try:
            service = request.query_params.get("service", "")
            if service == "git-receive-pack":
                raise _RefusedError(403, _READ_ONLY)
            if service != "git-upload-pack":
                raise _RefusedError(403, _SMART_ONLY)
            path = self._path(request)
        except _RefusedError as refused:
            return refused.response
        version = _protocol(request)
        # Protocol 2 begins with git's own greeting; older ones expect the name of the service first.
        greeting = b"" if version == "version=2" else b"001e# service=git-upload-pack\n0000"
        return _GitResponse(self, path, ["--advertise-refs"], version, b"", greeting, _ADVERTISEMENT_TYPE)

    async def upload_pack(self, request: Request) -> Response:
        try:
            path = self._path(request)
            if request.headers.get("content-type") != _REQUEST_TYPE:
                raise _RefusedError(415, "This address speaks to git clone and git fetch only.")
            async with asyncio.timeout(self._seconds):
                body = await _body(request)
        except _RefusedError as refused:
            return refused.response
        except (TimeoutError, ClientDisconnect):
            return _RefusedError(408, "The request did not arrive in time; try again.").response
        return _GitResponse(self, path, [], _protocol(request), body, b"", _RESULT_TYPE)

    async def refuse_push(self, _request: Request) -> Response:
        return _RefusedError(403, _READ_ONLY).response

    async def refuse_dumb(self, _request: Request) -> Response:
        return _RefusedError(403, _SMART_ONLY).response

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the few places for a git process; refuses rather than wait for long."""
        busy = _RefusedError(503, "Many clones are running; try again in a moment.", {"Retry-After": "10"})
        if self._slots.locked() and self._waiting >= self._may_wait:
            raise busy
        self._waiting += 1
        try:
            async with asyncio.timeout(min(WAIT_SECONDS, self._seconds)):
                await self._slots.acquire()
        except TimeoutError:
            raise busy from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    def deadline(self) -> asyncio.Timeout:
        return asyncio.timeout(self._seconds)

    def _path(self, request: Request) -> Path:
        name = request.path_params["name"]
        path = self._repository_path(name) if _NAME.fullmatch(name) else None
        if path is None or not (path / EXPORT_MARKER).is_file():
            raise _RefusedError(404, "There is no such problem here; `ar-pool problems` shows those there are.")
        return path


class _GitResponse(Response):
    """Streams one git process to the client and ends it when either side or the deadline does."""

    def __init__(
        self,
        service: _GitService,
        path: Path,
        options: list[str],
        version: str | None,
        body: bytes,
        greeting: bytes,
        media_type: str,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self.init_headers(_NEVER_CACHED)
        self._service = service
        self._command = [git_program(), "upload-pack", "--stateless-rpc", "--strict", *options, str(path)]
        self._environment = git_environment() | ({"GIT_PROTOCOL": version} if version else {})
        self._request = body
        self._asks = not options
        self._greeting = greeting
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._service.slot():
                await self._serve(receive, send)
        except _RefusedError as refused:
            await refused.response(scope, receive, send)

    async def _serve(self, receive: Receive, send: Send) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # A group of its own: upload-pack starts pack-objects, and both must end together.
            start_new_session=True,
        )
        tasks = [
            asyncio.create_task(self._stream(process, send)),
            asyncio.create_task(_disconnected(receive)),
        ]
        try:
            async with self._service.deadline():
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            if not self._started:
                raise _RefusedError(503, "This took too long; try again later.") from None
        finally:
            # The stream first: it must not take the end of a killed process for the end of the answer.
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await _end(process)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _stream(self, process: asyncio.subprocess.Process, send: Send) -> None:
        feeding = asyncio.create_task(_feed(process, self._request))
        try:
            assert process.stdout is not None  # noqa: S101  (for the type checker: PIPE was asked for)
            chunk = await process.stdout.read(_CHUNK)
            if not chunk and self._asks and await process.wait() >= 0:
                # It ended by itself, without a word to a client: to git this is no request.
                raise _RefusedError(400, "git cannot read this; if a clone fails too, tell the pool's operator.")
            if not chunk:
                raise _RefusedError(500, "git could not answer; try again, or tell the pool's operator.")
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            chunk = self._greeting + chunk
            while chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await process.stdout.read(_CHUNK)
            # An error of git's own is in the stream already. Killed from outside, what was sent is a torso:
            # without the last part the server cuts the connection, and no client takes it for an answer.
            if await process.wait() >= 0:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None  # noqa: S101  (for the type checker: PIPE was asked for)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(data)
            await process.stdin.drain()
    finally:
        process.stdin.close()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    # Not wait(): asyncio reports an end only after the pipes were read out, and nobody reads them any more.
    await process.communicate()


async def _body(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise _RefusedError(415, "A request may be plain or gzip.")
    inflater = None if encoding == "identity" else zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    received = bytearray()
    async for chunk in request.stream():
        room = MAX_REQUEST_BYTES + 1 - len(received)
        try:
            # Never more than there is room for, however little the compressed form takes.
            received += inflater.decompress(chunk, room) if inflater else chunk[:room]
        except zlib.error:
            raise _RefusedError(400, "The request is not valid gzip; try again.") from None
        if len(received) > MAX_REQUEST_BYTES:
            raise _RefusedError(413, f"A request may have {MAX_REQUEST_BYTES} bytes; clone afresh.")
    if inflater is not None and not inflater.eof:
        raise _RefusedError(400, "The request is not complete; try again.")
    return bytes(received)


def _protocol(request: Request) -> str | None:
    """Return what may go into git's environment: one of two constants, never the header's own text."""
    asked = request.headers.get("git-protocol", "").split(":")
    return next((version for version in ("version=2", "version=1") if version in asked), None)
