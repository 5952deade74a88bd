"""``ar-coordinator verify``: one verifier process."""

from typing import TYPE_CHECKING

import click

from ar_coordinator.options import data_option, set_up_logging
from ar_core.errors import PoolError

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory


@click.command(short_help="Run a verifier.")
@data_option
@click.option("--redis", "redis_url", default="", metavar="URL", help="The pool's Redis (default: the embedded one).")
@click.option("--coordinator", default="", metavar="HOST:PORT", help="A pool on another machine, instead of --data.")
@click.option("--token", default="", help="A verifier's token, for the first time.")
@click.option("--name", default="", help="What evidence calls this verifier; elsewhere, its public name.")
@click.option("--parent", type=int, hidden=True)
def verify(
    directory: "DataDirectory", redis_url: str, coordinator: str, token: str, name: str, parent: int | None
) -> None:
    """Measure pairs for a pool until ended; `serve` starts these by itself on its own machine.

    \b
    Examples:
      ar-coordinator verify --coordinator pool.example.org:7443 --token ARJ1-…
      ar-coordinator verify --coordinator pool.example.org:7443
      ar-coordinator verify --data ./pool
    """
    from ar_coordinator.child_process import end_with_parent
    from ar_coordinator.main import ignore_interrupt
    from ar_coordinator.services.enrolment import is_name
    from ar_core.text import one_line

    if parent is not None:
        end_with_parent(parent)
        ignore_interrupt()
    # It goes into evidence, commits and the names of queues.
    if name and not is_name(name):
        raise PoolError("AR-I210", repr(one_line(name, 60)))
    set_up_logging()
    if coordinator:
        from ar_coordinator.remote.loop import serve_elsewhere

        serve_elsewhere(coordinator, token, name=name, redis_url=redis_url)
        return
    if token:
        raise PoolError("AR-A101", "--token goes with --coordinator")
    import secrets

    from ar_coordinator.running_store import open_running_store
    from ar_coordinator.verifier_queue import serve_queue

    store = open_running_store(directory, redis_url)
    serve_queue(store, name or f"verifier-{secrets.token_hex(3)}", directory.environments)
