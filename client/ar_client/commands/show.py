"""``ar-pool show``: one problem and how far it has come."""

import click

from ar_client.options import json_option, name_argument
from ar_client.output import Output


@click.command()
@name_argument
@json_option
def show(name: str, output: Output) -> int:
    """Show one problem: its metric, baseline, best version and state."""
    from ar_client.findings import say_findings
    from ar_client.identity import Home, home_directory
    from ar_client.pool import open_pool
    from ar_client.wording import gain, gain_since_baseline, interval, score
    from ar_core.documents import problem_document
    from ar_core.records import ProblemCard
    from ar_core.text import one_line

    with open_pool(Home(home_directory())) as pool:
        card = pool.problem(name)
    if output.as_json:
        output.document(problem_document(card))
        return 0

    def best(card: ProblemCard) -> str:
        since, ends = gain_since_baseline(card), interval(card.best_low, card.best_high, card)
        known = (
            f"published with {ends} in {card.best_n} runs" if ends else "",
            f"{gain(since, card)} since the baseline" if since else "",
        )
        more = ", ".join(part for part in known if part)
        return score(card.best, card) + (f" ({more})" if more else "")

    people = "1 contributor" if card.contributors == 1 else f"{card.contributors:,} contributors"
    state = card.state.value + (f": {card.state_reason}" if card.state_reason else "")
    output.data(f"{one_line(card.name)} – {one_line(card.title)}")
    output.fields(
        [
            ("summary", card.summary),
            ("state", f"{state}, revision {card.revision}"),
            ("metric", f"{card.metric}, {card.direction}, noise {card.noise}, kind {card.kind}"),
            ("integrity", f"{card.integrity}: {card.caveat}" if card.caveat else ""),
            ("baseline", score(card.baseline, card)),
            ("best", best(card)),
            ("accepted", f"{card.accepted:,} of {card.experiments:,} tried, by {people}"),
            ("file", f"{card.mutable_path}, at most {card.max_bytes:,} bytes"),
            ("strict", card.strict.words if card.strict else ""),
            ("publisher", card.publisher),
            ("head", card.head),
            ("page", card.web),
        ]
    )
    say_findings(output, [finding for finding in card.findings if finding.severity != "info"])
    return 0
