"""``ar-pool pause``: one problem rests."""

import click

from ar_client.options import json_option, name_argument, reason_option
from ar_client.output import Output


@click.command()
@name_argument
@reason_option
@json_option
def pause(name: str, reason: str, output: Output) -> int:
    """Stop giving out work on a problem; what is being verified goes on."""
    from ar_client.steering import change_state
    from ar_core.lifecycle import ProblemState

    return change_state(name, ProblemState.PAUSED, reason, output)
