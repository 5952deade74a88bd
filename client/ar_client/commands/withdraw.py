"""``ar-pool withdraw``: a problem is closed for good."""

import click

from ar_client.options import json_option, name_argument, reason_option
from ar_client.output import Output


@click.command()
@name_argument
@reason_option
@json_option
def withdraw(name: str, reason: str, output: Output) -> int:
    """Close a problem for good; its results stay."""
    from ar_client.steering import change_state
    from ar_core.lifecycle import ProblemState

    return change_state(name, ProblemState.WITHDRAWN, reason, output)
