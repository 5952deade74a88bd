"""``ar-coordinator referee``: the single writer of git."""

from typing import TYPE_CHECKING

import click

from ar_coordinator.options import data_option, set_up_logging

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory


@click.command(short_help="Run the referee.")
@data_option
@click.option("--redis", "redis_url", default="", metavar="URL", help="The pool's Redis (default: the embedded one).")
@click.option("--parallel", type=click.IntRange(1, 1000), default=2, help="Experiments verified at a time.")
@click.option("--parent", type=int, hidden=True)
def referee(directory: "DataDirectory", redis_url: str, parallel: int, parent: int | None) -> None:
    """Decide and commit for the pool in --data until ended; `serve` starts it by itself."""
    from ar_coordinator.child_process import end_with_parent
    from ar_coordinator.git_store import require_git
    from ar_coordinator.main import ignore_interrupt
    from ar_coordinator.referee_process import serve_queue
    from ar_coordinator.running_store import open_running_store

    if parent is not None:
        end_with_parent(parent)
        ignore_interrupt()
    set_up_logging()
    require_git()
    store = open_running_store(directory, redis_url)
    serve_queue(store, directory, str(directory.read_version()["name"]), parallel)
