"""``ar-pool problems``: what there is to work on."""

import click

from ar_client.options import json_option
from ar_client.output import Output

PROBLEMS_SCHEMA = "ar.problems/1"


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those that are withdrawn or refused.")
@json_option
def problems(everything: bool, output: Output) -> int:
    """List the problems of the pool."""
    from ar_client.identity import Home, home_directory
    from ar_client.pool import open_pool
    from ar_client.wording import score
    from ar_core.documents import problem_document

    with open_pool(Home(home_directory())) as pool:
        cards = pool.problems(everything=everything)
    if output.as_json:
        found = [problem_document(card) for card in cards]
        output.document({"schema": PROBLEMS_SCHEMA, "problems": found})
        return 0
    if not cards:
        output.say("There are no problems yet. Publish one: ar-pool init DIR, then ar-pool publish DIR")
        return 0
    rows = [
        (card.name, card.state.value, score(card.baseline, card, unit=False), score(card.best, card),
         f"{card.accepted:,}", f"{card.experiments:,}", card.title + (" (low integrity)" if card.caveat else ""))
        for card in cards
    ]  # fmt: skip
    output.table(("NAME", "STATE", "BASELINE", "BEST", "ACCEPTED", "TRIED", "TITLE"), rows, right=(2, 3, 4, 5))
    return 0
