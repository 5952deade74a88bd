"""``ar-worker stop``: give the machine back, from another terminal."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@click.option("--now", is_flag=True, help="Do not wait for the pool; its leases come free within a minute.")
@json_option
def stop(now: bool, output: Output) -> int:
    """Stop the worker of this AR_HOME; its rooms are killed and its leases go back.

    \b
    Examples:
      ar-worker stop
      ar-worker stop --now
    """
    import signal

    from ar_worker.place import find_place
    from ar_worker.stopping import end_worker

    place = find_place()
    ended = end_worker(place, signal.SIGKILL if now else signal.SIGTERM)
    if output.as_json:
        output.document({"schema": "ar.stop/1", "stopped": ended})
    else:
        output.say("stopped" if ended else "no worker was running")
    return 0
