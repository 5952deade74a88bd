"""``ar-pool watch``: what happens, as it happens."""

import time
from typing import NoReturn

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@click.argument("name", required=False)
@json_option
def watch(name: str | None, output: Output) -> int:
    """Follow what happens on one problem, or on all, until Ctrl-C."""
    try:
        _follow(name, output)
    except KeyboardInterrupt:
        return 0


def _follow(name: str | None, output: Output) -> NoReturn:
    from ar_client.failure import PASSING
    from ar_client.identity import Home, home_directory
    from ar_client.pool import open_pool
    from ar_client.waiting import delays
    from ar_client.watched import event_document, event_line
    from ar_core.errors import PoolError
    from ar_core.records import ProblemCard

    with open_pool(Home(home_directory())) as pool:
        known = pool.problems() if name is None else [pool.problem(name)]
        cards = {card.name: card for card in known}
        output.say(f"Watching {name or 'every problem'}; Ctrl-C ends it.")
        pause = delays()
        while True:
            try:
                for event in pool.watch(problem=name or ""):
                    pause = delays()
                    if isinstance(event.subject, ProblemCard):
                        cards[event.subject.name] = event.subject
                    if output.as_json:
                        output.document(event_document(event))
                    else:
                        output.data(event_line(event, cards))
            except PoolError as error:
                if error.code not in PASSING:
                    raise
                output.say(f"{error.message} Trying again.")
                time.sleep(error.retry_after or 0)
            time.sleep(next(pause))
