"""``ar-pool log``: what was tried, and what became of it."""

import click

from ar_client.options import json_option, name_argument
from ar_client.output import Output

_STATES = ("accepted", "rejected", "recorded", "held", "queued", "verifying", "reverted", "withdrawn")
_SHOWN = 30


@click.command()
@name_argument
@click.option("--status", type=click.Choice(_STATES), help="Only experiments in this state.")
@click.option("--limit", type=click.IntRange(min=1), help=f"At most so many (default: {_SHOWN}; with --json all).")
@json_option
def log(name: str, status: str | None, limit: int | None, output: Output) -> int:
    """List what was tried on a problem, newest first.

    CLAIMED is what a contributor says. VERIFIED and its GAIN are from the pairs that decided, PUBLISHED is what an
    accepted version scored on fresh pairs after that.

    \b
    Examples:
      ar-pool log circle-packing-26 --status accepted
      ar-pool log circle-packing-26 --json | jq -r .note
    """
    from ar_client.identity import Home, home_directory
    from ar_client.pool import open_pool
    from ar_client.wording import gain, score, state
    from ar_core.documents import experiment_document
    from ar_core.lifecycle import ExperimentState

    wanted = ExperimentState(status) if status else None
    with open_pool(Home(home_directory())) as pool:
        if output.as_json:
            for x in pool.experiments(name, state=wanted, limit=limit):
                output.document(experiment_document(x))
            return 0
        card = pool.problem(name)
        found = list(pool.experiments(name, state=wanted, limit=limit or _SHOWN))
    if not found:
        output.say("Nothing was tried yet." if wanted is None else f"Nothing is {wanted.value}.")
        return 0
    rows = [
        (f"{x.created:%Y-%m-%d %H:%M}", x.id, state(x), score(x.claimed, card, unit=False),
         score(x.verified, card, unit=False), gain(x.gain, card),
         score(x.published.score if x.published else None, card, unit=False), x.contributor, x.note)
        for x in found
    ]  # fmt: skip
    head = ("WHEN (UTC)", "ID", "STATUS", "CLAIMED", "VERIFIED", "GAIN", "PUBLISHED", "BY", "NOTE")
    output.table(head, rows, right=(3, 4, 5, 6))
    if limit is None and len(found) == _SHOWN:
        output.say(f"These are the last {_SHOWN}; --limit N shows more.")
    return 0
