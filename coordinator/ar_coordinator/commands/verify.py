"""``ar-coordinator verify``: one verifier process."""

from typing import TYPE_CHECKING

import click

from ar_coordinator.options import data_option, set_up_logging

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory


@click.command(short_help="Run a verifier.")
@data_option
@click.option("--redis", "redis_url", default="", metavar="URL", help="The pool's Redis (default: the embedded one).")
@click.option("--name", default="", help="What evidence calls this verifier.")
@click.option("--parent", type=int, hidden=True)
def verify(directory: "DataDirectory", redis_url: str, name: str, parent: int | None) -> None:
    """Measure pairs for the pool in --data until ended; `serve` starts these by itself."""
    from ar_coordinator.child_process import end_with_parent
    from ar_coordinator.embedded_redis import EmbeddedRedis
    from ar_coordinator.main import ignore_interrupt
    from ar_coordinator.store import open_store
    from ar_coordinator.verifier import serve_queue

    if parent is not None:
        end_with_parent(parent)
        ignore_interrupt()
    set_up_logging()
    store = open_store(redis_url or EmbeddedRedis(directory.redis).url, directory.blobs)
    serve_queue(store, name or "verifier", directory.environments)
