"""``ar-coordinator init``: make a data directory."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ar_coordinator import output
from ar_coordinator.options import json_option
from ar_core.errors import PoolError

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory

_NAME_LENGTH = 60


@click.command(short_help="Make a data directory for a new pool.")
@click.argument("directory", metavar="DIR")
@click.option("--name", default="auto-research pool", show_default=True, help="The pool's public name.")
@json_option
def init(directory: str, name: str, as_json: bool) -> None:
    """Make DIR ready for `ar-coordinator serve --data DIR`: folders, keys and the TLS certificate."""
    from ar_coordinator.data_directory import DataDirectory

    initialise(DataDirectory(Path(directory).absolute()), name)
    if as_json:
        output.data({"schema": "ar.pool/1", "data": str(Path(directory).absolute()), "pool": name})
    else:
        output.say(f"Made a pool in {directory}. Start it with\n  ar-coordinator serve --data {directory}")


def initialise(directory: "DataDirectory", name: str) -> None:
    """Make a data directory with its keys; raises ``PoolError`` when it cannot be one."""
    from ar_core.text import one_line

    if not name.strip() or one_line(name, _NAME_LENGTH) != name:
        raise PoolError("AR-A101", f"a pool's name is one line of at most {_NAME_LENGTH} characters")
    if directory.initialised:
        raise PoolError("AR-C607", f"{directory.root} is a pool already", hint="start it with `ar-coordinator serve`")
    directory.initialise(name, _make_keys)


def _make_keys(keys: Path) -> None:
    from ar_coordinator.certificate import make_certificate
    from ar_coordinator.pool_keys import make_pool_key
    from ar_coordinator.seeds import make_seed_key

    make_pool_key(keys)
    make_seed_key(keys)
    make_certificate(keys, datetime.now(UTC))
