"""``ar-pool leaderboard``: verified contributions by contributor."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@click.argument("name", required=False)
@click.option("--by", type=click.Choice(("gain", "accepted", "recent")), help="Order of the rows.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many rows.")
@json_option
def leaderboard(name: str | None, by: str | None, limit: int, output: Output) -> int:
    """Show who contributed what, to one problem or to the whole pool.

    Only what the pool verified counts, with the gain that it was published with. Gains and shares are those of the
    problem's current revision, since units may differ. Without NAME there is no sum of gains.
    """
    from ar_client.identity import Home, home_directory
    from ar_client.pool import Order, open_pool
    from ar_client.wording import duration, gain
    from ar_core.documents import leaderboard_document

    with open_pool(Home(home_directory())) as pool:
        rows = pool.leaderboard(name or "", order=Order(by) if by else None, limit=limit)
        card = pool.problem(name) if name and not output.as_json else None
    if output.as_json:
        output.document(leaderboard_document(name, rows))
        return 0
    if not rows:
        output.say("Nobody has contributed yet.")
        return 0
    head = ["#", "CONTRIBUTOR", "ACCEPTED", "SHARE", "TRIED", "DONATED"]
    table = [
        [str(row.rank), row.contributor, f"{row.accepted:,}", f"{row.share:.1%}", f"{row.experiments:,}",
         duration(row.seconds)]
        for row in rows
    ]  # fmt: skip
    if card is not None:
        head.insert(3, f"GAIN {card.unit}".rstrip())
        for cells, row in zip(table, rows, strict=True):
            cells.insert(3, gain(row.gain, card))
    output.table(head, table, right=(0, *range(2, len(head))))
    if card is not None and card.revision > 1:
        output.say(f"Gain and share are by the scores of revision {card.revision}; the rest is of all revisions.")
    return 0
