"""``ar-worker finish``: let the worker complete what it has begun, then stop."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@json_option
def finish(output: Output) -> int:
    """Let the worker complete the evaluations that run, report them, wait shortly for verdicts, and stop."""
    import signal

    from ar_worker.place import find_place
    from ar_worker.stopping import tell_worker

    told = tell_worker(find_place(), signal.SIGUSR1)
    if output.as_json:
        output.document({"schema": "ar.stop/1", "finishing": told})
    else:
        output.say("the worker completes what it has begun, then stops" if told else "no worker was running")
    return 0
