"""``ar-coordinator serve``: a whole pool on this machine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ar_coordinator import output
from ar_coordinator.options import data_option, json_option, set_up_logging
from ar_core.errors import PoolError

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory
    from ar_coordinator.pool_info import PoolInfo


@click.command(short_help="Run a whole pool on this machine.")
@data_option
@click.option("--grpc", "grpc_address", default="0.0.0.0:7443", show_default=True, metavar="HOST:PORT")
@click.option("--web", "web_address", default="127.0.0.1:7480", show_default=True, metavar="HOST:PORT")
@click.option("--redis", "redis_url", default="", metavar="URL", help="Another Redis than the embedded one.")
@click.option("--relaxed-durability", is_flag=True, help="Accept a Redis that may lose the last second.")
@click.option("--verifiers", type=click.IntRange(0, 256), help="Verifier processes (default: cores - 1).")
@click.option("--name", default="auto-research pool", help="The name of a pool that is made now.")
@click.option("--web-tls", nargs=2, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="CERT KEY")
@click.option("--web-behind-proxy", is_flag=True, help="A proxy in front of the pages does TLS.")
@click.option("--web-url", default="", metavar="URL", help="The pages' address as others see it.")
@json_option
def serve(
    directory: "DataDirectory", grpc_address: str, web_address: str, redis_url: str, relaxed_durability: bool,
    verifiers: int | None, name: str, web_tls: tuple[Path, Path] | None, web_behind_proxy: bool, web_url: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Run Redis, the gRPC server, the pages, verifiers and the referee until Ctrl-C; an empty --data is made ready.

    \b
    Examples:
      ar-coordinator serve --data ./pool
      ar-coordinator serve --data ./pool --grpc 127.0.0.1:0 --web 127.0.0.1:0 --json
    """
    # Else gRPC writes lines of its own beside ours, of each connection that fails too; read when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from ar_coordinator.address import parse_address

    grpc_at, web_at = parse_address(grpc_address), parse_address(web_address)
    if not (web_at.is_local or web_tls or web_behind_proxy):
        raise PoolError("AR-C608", str(web_at))
    from ar_coordinator import serve as pool
    from ar_coordinator.commands.init import initialise
    from ar_coordinator.git_store import require_git
    from ar_sandbox.rooms import Sandbox

    if verifiers != 0:
        Sandbox.detect()
    require_git()
    if not directory.initialised:
        initialise(directory, name)
    set_up_logging()
    settings = pool.Settings(
        directory=directory,
        grpc=grpc_at,
        web=web_at,
        redis=redis_url,
        verifiers=max(1, (os.cpu_count() or 2) - 1) if verifiers is None else verifiers,
        relaxed_durability=relaxed_durability,
        web_tls=web_tls,
        web_url=web_url.rstrip("/"),
    )
    try:
        pool.run(settings, lambda info, _url: _ready(info, directory, as_json=as_json))
    except OSError as error:
        from ar_coordinator.data_directory import cannot_write

        raise cannot_write(directory.root, error) from None


def _ready(pool: "PoolInfo", directory: "DataDirectory", *, as_json: bool) -> None:
    from ar_coordinator.serve import ready_event

    if as_json:
        output.line(ready_event(pool))
        return
    where = f" --data {directory.root}"
    output.say(
        f"{pool.name} is ready.\n"
        f"  gRPC   {pool.grpc_address}\n"
        f"  pages  {pool.web_url}\n"
        f"To publish:  ar-coordinator tokens new --role publisher{where}\n"
        f"     there:  ar-pool login {pool.grpc_address} --token T\n"
        f"To donate:   ar-coordinator tokens new --uses 20{where}\n"
        f"     there:  ar-worker join {pool.grpc_address} --token T\n"
        "Ctrl-C ends the pool; nothing acknowledged is lost."
    )
