"""``ar-worker leave``: delete this machine's identity, here and at the pool."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@json_option
def leave(output: Output) -> int:
    """Delete this machine's identity here and at the pool. Your name in past commits stays: they are history."""
    from ar_worker.leaving import leave_pool
    from ar_worker.place import find_place

    login = leave_pool(find_place())
    if output.as_json:
        output.document({"schema": "ar.leave/1", "pool": login.pool, "contributor": login.contributor})
    else:
        output.say(f"left {login.pool}; the name {login.contributor} stays in its past commits")
    return 0
