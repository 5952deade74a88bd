"""One event of ``ar-pool watch`` as a line or a document.

Not here: receiving it.
"""

from collections.abc import Mapping

from ar_client.records import Event
from ar_client.wording import gain, score, state
from ar_core.documents import experiment_document, problem_document
from ar_core.records import Experiment, ProblemCard
from ar_core.text import one_line

EVENT_SCHEMA = "ar.event/1"


def event_document(event: Event) -> dict[str, object]:
    """Return the event with the whole experiment or problem in it."""
    head: dict[str, object] = {"schema": EVENT_SCHEMA, "time": event.time.isoformat()}
    if isinstance(event.subject, Experiment):
        return head | {"event": "experiment", "experiment": experiment_document(event.subject)}
    return head | {"event": "problem", "problem": problem_document(event.subject)}


def event_line(event: Event, cards: Mapping[str, ProblemCard]) -> str:
    """Return the event in one line; ``cards`` knows the metrics of the problems by name."""
    when = f"{event.time:%H:%M:%S}"
    what = event.subject
    if isinstance(what, ProblemCard):
        reason = f" ({what.state_reason})" if what.state_reason else ""
        return one_line(f"{when}  {what.name}  {what.state.value}{reason}, best {score(what.best, what)}")
    parts = [when, what.problem, what.id, state(what)]
    card = cards.get(what.problem)
    if card is not None:
        parts.append(_numbers(what, card))
    parts += [what.contributor, what.note]
    return one_line("  ".join(part for part in parts if part), limit=400)


def _numbers(x: Experiment, card: ProblemCard) -> str:
    """Show the number that says most, and which it is."""
    if x.published is not None:
        return f"published {score(x.published.score, card)}  {gain(x.published.gain, card)}"
    if x.verified is not None:
        return f"verified {score(x.verified, card)}  {gain(x.gain, card) if x.gain is not None else ''}".rstrip()
    return "" if x.claimed is None else f"claims {score(x.claimed, card)}"
