"""``ar-pool resume``: a paused problem goes on."""

import click

from ar_client.options import json_option, name_argument, reason_option
from ar_client.output import Output


@click.command()
@name_argument
@reason_option
@json_option
def resume(name: str, reason: str, output: Output) -> int:
    """Go on with a paused problem."""
    from ar_client.steering import change_state
    from ar_core.lifecycle import ProblemState

    return change_state(name, ProblemState.OPEN, reason, output)
