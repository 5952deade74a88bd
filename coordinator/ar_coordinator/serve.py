"""A whole pool on one machine: Redis, the gRPC server, the pages, the verifiers and the referee.

Not here: what each of them does. ``run`` returns when a signal asked for the end and everything has ended.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import structlog
import uvicorn
from redis.exceptions import RedisError

from ar_coordinator.address import Address, cannot_listen
from ar_coordinator.admin_session import end_admin_session, make_admin_session
from ar_coordinator.certificate import Certificate, read_certificate
from ar_coordinator.child_process import Child
from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.embedded_redis import EmbeddedRedis, check_durability
from ar_coordinator.events import Events
from ar_coordinator.git_objects import PoolIdentity
from ar_coordinator.grpc_server import make_server
from ar_coordinator.pool_info import PoolInfo
from ar_coordinator.pool_keys import allowed_signers, read_pool_identity
from ar_coordinator.read_model import ReadModel
from ar_coordinator.repository import ProblemRepository
from ar_coordinator.running_store import answering_redis
from ar_coordinator.seeds import read_seed_key
from ar_coordinator.store import Store, keys, open_store
from ar_coordinator.sweeper import INTERVAL_SECONDS, Sweeper
from ar_coordinator.web import create_app
from ar_core.errors import PoolError

log = structlog.get_logger("serve")

_GRACE_SECONDS = 2.0
_LATEST_SECONDS = 8.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What ``serve`` is told; ``redis`` empty means the embedded one."""

    directory: DataDirectory
    grpc: Address
    web: Address
    redis: str
    verifiers: int
    relaxed_durability: bool
    web_tls: tuple[Path, Path] | None
    web_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """What the pool is known by."""

    identity: PoolIdentity
    seed_key: bytes
    certificate: Certificate


Ready = Callable[[PoolInfo, str], None]
"""Called once with the pool and the URL of its Redis when everything answers."""


def run(settings: Settings, ready: Ready) -> None:
    """Serve until SIGTERM or SIGINT; raises ``PoolError`` for what keeps it from starting."""
    directory = settings.directory
    version = directory.read_version()
    held = _Keys(
        identity=read_pool_identity(directory.keys, str(version["name"])),
        seed_key=read_seed_key(directory.keys),
        certificate=read_certificate(directory.keys),
    )
    with directory.lock(), _redis(settings) as (url, embedded):
        _check_redis(url, settings, foreign=embedded is None)
        asyncio.run(_serve(settings, held, url, embedded, ready))


@contextlib.contextmanager
def _redis(settings: Settings) -> Iterator[tuple[str, EmbeddedRedis | None]]:
    """Give the URL of the pool's Redis; the embedded one is started and ended here."""
    if settings.redis:
        yield settings.redis, None
        return
    embedded = EmbeddedRedis(settings.directory.redis)
    embedded.end_survivor()
    try:
        embedded.start()
        yield embedded.url, embedded
    finally:
        embedded.stop()


def _check_redis(url: str, settings: Settings, *, foreign: bool) -> None:
    with answering_redis(url) as client:
        if foreign:
            check_durability(client, settings.relaxed_durability)


async def _serve(settings: Settings, held: _Keys, url: str, embedded: EmbeddedRedis | None, ready: Ready) -> None:
    directory = settings.directory
    stop = _asked_to_stop(directory)
    identity, name, digest = held.identity, held.identity.name, held.certificate.digest
    store = open_store(url, directory.blobs)
    doorbell = Doorbell(store.connection)
    web_socket = _listen(settings.web)
    web_url = settings.web_url or _url(settings, web_socket)
    read = ReadModel(store, lambda problem: ProblemRepository(directory.repository(problem), identity), web_url)
    events, bells = Events(url), Events(url, keys.BELLS)
    server, port = make_server(
        settings.grpc, held.certificate, store=store, doorbell=doorbell, read=read, events=events, bells=bells,
        name=name, web_url=web_url, seed_key=held.seed_key, disk=directory.root,
    )  # fmt: skip
    pool = PoolInfo(
        name=name, grpc_address=str(Address(settings.grpc.shown_host, port)), web_url=web_url,
        certificate_digest=digest,
    )  # fmt: skip
    app = create_app(read, pool, _served(directory, read), lambda: allowed_signers(identity))
    try:
        await events.start()
        await bells.start()
        await server.start()
        async with (
            _pages(app, web_socket, settings.web_tls),
            _children(settings, url, foreign=embedded is None),
            _background(_sweep(store, doorbell), _keep_redis(embedded)),
        ):
            make_admin_session(
                directory, store, str(Address(settings.grpc.reachable_here, port)), shown=pool.grpc_address
            )
            ready(pool, url)
            await stop.wait()
            log.info("stopping")
            await server.stop(_GRACE_SECONDS)
    finally:
        with contextlib.suppress(RedisError):  # then it ends with its life
            end_admin_session(directory, store)
        await server.stop(0)
        await events.stop()
        await bells.stop()
        store.connection.close()


@asynccontextmanager
async def _pages(app: Any, listening: socket.socket, tls: tuple[Path, Path] | None) -> AsyncIterator[None]:
    """Serve the web app on a socket that listens already."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=str(tls[0]) if tls else None,
        ssl_keyfile=str(tls[1]) if tls else None,
        limit_concurrency=500,
    )
    server = _Pages(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="web")
    try:
        yield
    finally:
        server.should_exit = True
        await task


class _Pages(uvicorn.Server):
    """A web server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: ``serve`` ends everything together."""
        yield


@asynccontextmanager
async def _children(settings: Settings, url: str, *, foreign: bool) -> AsyncIterator[None]:
    program = [sys.executable, "-m", "ar_coordinator"]
    where = ["--data", str(settings.directory.root)]
    if foreign:
        where += ["--redis", url]
    parallel = str(2 * max(1, settings.verifiers))
    children = [Child("referee", [*program, "referee", *where, "--parallel", parallel])]
    children += [
        Child(f"verifier-{i}", [*program, "verify", *where, "--name", f"local-{i}"])
        for i in range(settings.verifiers)
    ]
    for child in children:
        child.start()
    try:
        yield
    finally:
        await asyncio.gather(*(child.stop() for child in children))


@asynccontextmanager
async def _background(*coroutines: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _sweep(store: Store, doorbell: Doorbell) -> None:
    sweeper = Sweeper(store, doorbell)
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        try:
            await asyncio.to_thread(sweeper.sweep)
        except Exception as error:  # the next sweep tries again; nothing is lost meanwhile
            log.warning("sweep failed", error=str(error))


async def _keep_redis(embedded: EmbeddedRedis | None) -> None:
    """Start the embedded server again when it ended; what it acknowledged is in its append-only file."""
    while embedded is not None:
        await asyncio.sleep(0.1)
        if embedded.ended():
            log.warning("redis ended, starting it again")
            try:
                # Launched from this thread, which it is to end with; reading back what it knows may take a while.
                embedded.launch()
                await asyncio.to_thread(embedded.wait_until_ready)
            except (PoolError, OSError) as error:  # no memory, no process or no space to be had now; later perhaps
                log.error("redis does not start", error=str(error))
                await asyncio.sleep(1)


def _asked_to_stop(directory: DataDirectory) -> asyncio.Event:
    """Return what SIGTERM and SIGINT set; with either the time for an orderly end begins to run."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    asked, ask = os.pipe()
    threading.Thread(target=_leave_at_the_latest, args=(asked, directory), name="end", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
        # Beside the loop, which may wait for a Redis that does not answer, at the start or at the end.
        signal.signal(number, lambda _number, _frame: os.write(ask, b"."))
    return stop


def _leave_at_the_latest(asked: int, directory: DataDirectory) -> None:
    """End everything by force when the orderly end takes too long; what was acknowledged is on disk already."""
    os.read(asked, 1)
    time.sleep(_LATEST_SECONDS)
    log.error("the orderly end takes too long")
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    directory.admin.unlink(missing_ok=True)
    os._exit(0)


def _served(directory: DataDirectory, read: ReadModel) -> Callable[[str], Path | None]:
    def path(name: str) -> Path | None:
        found = directory.repository(name)
        return found if read.problem(name) is not None and found.exists() else None

    return path


def _listen(address: Address) -> socket.socket:
    """Return a socket that listens on an address; raises ``PoolError`` AR-C602 or AR-C611."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        raise cannot_listen(address, "pages", error) from None
    listening.setblocking(False)
    return listening


def _url(settings: Settings, listening: socket.socket) -> str:
    scheme = "https" if settings.web_tls else "http"
    host = settings.web.shown_host
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def ready_event(pool: PoolInfo) -> str:
    """Return the line that ``serve --json`` prints first."""
    return json.dumps(
        {"schema": "ar.event/1", "event": "ready", "grpc": pool.grpc_address, "web": pool.web_url,
         "pool": pool.name, "pid": os.getpid()}
    )  # fmt: skip
