"""``ar-coordinator demo``: a whole pool on this machine, for a minute."""

import tempfile
from pathlib import Path

import click

from ar_coordinator import output


@click.command(short_help="A whole pool on this machine, for a minute.")
@click.option("--for", "duration", default="60s", show_default=True, metavar="DURATION", help="Like 30s or 5m.")
@click.option("--keep", metavar="DIR", help="Keep the pool in this empty directory.")
def demo(duration: str, keep: str | None) -> None:
    """Start a pool, publish two problems, let two volunteers work on them, and show what they found.

    \b
    Examples:
      ar-coordinator demo
      ar-coordinator demo --for 5m --keep ./demo
    """
    from ar_coordinator.demo import Place, find_problems, run
    from ar_coordinator.git_store import require_git
    from ar_core.errors import PoolError
    from ar_core.quantities import parse_duration
    from ar_sandbox.rooms import Sandbox

    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise PoolError("AR-A101", f"--for: {error}", hint="write it like 30s or 5m") from None
    Sandbox.detect()
    require_git()
    problems = find_problems()
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="ar-demo-") as folder:
            run(Place(root=Path(folder), problems=problems), seconds)
        return
    root = Path(keep).absolute()
    if root.exists() and any(root.iterdir()):
        raise PoolError("AR-C607", f"{root} is not empty", hint="name a directory that is not there yet")
    root.mkdir(parents=True, exist_ok=True)
    run(Place(root=root, problems=problems), seconds)
    output.say(f"\nThe pool is kept. Start it again with\n  ar-coordinator serve --data {root / 'pool'}")
