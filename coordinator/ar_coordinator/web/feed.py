"""The records of a problem as an Atom feed (RFC 4287).

Not here: experiments that were not accepted.
"""

from collections.abc import Iterator
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.web import figures
from ar_coordinator.web.answers import answer
from ar_coordinator.web.history import Step, steps
from ar_coordinator.web.site import Site
from ar_core.records import ProblemCard

_ENTRIES = 50


def routes(site: Site) -> list[Route]:
    """Return the route of the feed."""

    def atom(request: Request) -> Response:
        card = site.read.existing(request.path_params["name"])
        newest = list(reversed(steps(site.read.records(card.name))))[:_ENTRIES]
        text = "\n".join(_feed(card, newest, site.pool.web))
        return answer(request, text.encode("utf-8", errors="replace"), "application/atom+xml; charset=utf-8")

    return [Route("/p/{name}/atom.xml", atom)]


def _feed(card: ProblemCard, newest: list[Step], web: str) -> Iterator[str]:
    page = f"{web}/p/{card.name}"
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield '<feed xmlns="http://www.w3.org/2005/Atom">'
    yield f"<title>{_text(card.title)}: accepted improvements</title>"
    yield f"<subtitle>{_text(figures.headline(card))}</subtitle>"
    yield f"<id>{_text(page)}</id>"
    yield f"<link rel={quoteattr('alternate')} href={quoteattr(page)}/>"
    yield f"<link rel={quoteattr('self')} href={quoteattr(page + '/atom.xml')}/>"
    yield _updated(newest[0].record.when if newest else card.published)
    for step in newest:
        yield from _entry(card, step, page)
    yield "</feed>"


def _entry(card: ProblemCard, step: Step, page: str) -> Iterator[str]:
    record = step.record
    score = figures.number(record.score, card.decimals)
    unit = f" {card.unit}" if card.unit else ""
    what = f"Baseline of revision {record.revision}" if step.baseline else (record.note or record.experiment)
    address = page if step.baseline else f"{page}/{step.number}"
    yield "<entry>"
    yield f"<title>{_text(f'{score}{unit}: {what}')}</title>"
    # The commit names the entry for good; numbers of records would do so only within one pool.
    yield f"<id>{_text(f'{page}#{record.commit or record.revision}')}</id>"
    yield f"<link href={quoteattr(address)}/>"
    yield _updated(record.when)
    yield f"<author><name>{_text(record.contributor or card.publisher or 'the pool')}</name></author>"
    yield f"<summary>{_text(_summary(card, step))}</summary>"
    yield "</entry>"


def _summary(card: ProblemCard, step: Step) -> str:
    if step.baseline:
        return "The published version, measured by the pool."
    record = step.record
    gain = figures.number(record.gain, card.decimals)
    unit = f" {card.unit}" if card.unit else ""
    return f"Published gain {gain}{unit}, {figures.record_evidence(record)}, by {record.agent}."


def _updated(when: datetime) -> str:
    return f"<updated>{figures.iso(when)}</updated>"


def _text(text: str) -> str:
    return escape(figures.line(text))
