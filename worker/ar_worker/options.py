"""The options of ``join`` and ``start``: what is donated, and until when.

Not here: what they mean (``donation``).
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--problems", default="any", metavar="a,b|any", help="Work on these problems only (default: any)."),
    click.option("--slots", type=int, help="Evaluations at a time (default: one for each core given)."),
    click.option("--cpus", metavar="N|50%", help="Cores to give at most (default: 50%)."),
    click.option("--memory", metavar="4GiB|50%", help="Memory to give at most (default: 50%)."),
    click.option("--agent", default="tuner", show_default=True, help="What proposes candidates."),
    click.option("--for", "seconds", metavar="2h", help="End after this long."),
    click.option("--max-experiments", type=int, metavar="N", help="End after so many experiments."),
    click.option("--exit-when-idle", "idle", metavar="10m", help="End when there was no work for this long."),
    click.option(
        "--accept",
        multiple=True,
        metavar="NAME@REVISION",
        help="Agree to a revision of a problem that asks for more than the one before.",
    ),
    click.option("--seed", type=int, metavar="N", help="Makes the agent's choices repeatable."),
)


def run_options(command: F) -> F:
    """Add the options of a run; they become the parameters of ``read_donation``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
