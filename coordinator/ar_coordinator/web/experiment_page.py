"""The page of one experiment or record: what was tried, what the pool measured, and what changed in the file.

Not here: deciding whose bytes may be seen (``ReadModel.content``).
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.web import history, queries
from ar_coordinator.web.changes import Changes, compare
from ar_coordinator.web.history import Step
from ar_coordinator.web.site import Site
from ar_core.errors import PoolError
from ar_core.records import Experiment, ProblemCard
from ar_core.scan import scan


def routes(site: Site) -> list[Route]:
    """Return the routes of the page, by identifier and by the record's number."""

    def experiment(request: Request) -> Response:
        card = site.read.existing(request.path_params["name"])
        x = site.read.experiment(request.path_params["id"])
        if x is None or x.problem != card.name:
            raise _no_experiment(card)
        step = history.of_experiment(site.read.records(card.name), x.id)
        return _page(site, request, card, x, step)

    def record(request: Request) -> Response:
        card = site.read.existing(request.path_params["name"])
        number = queries.record_number(request.path_params["number"])
        step = None if number is None else history.find(site.read.records(card.name), number)
        if step is None:
            raise PoolError("AR-X403", hint=f"see the records at /p/{card.name}")
        if step.baseline:
            return site.page(request, "baseline.html", card=card, step=step)
        x = site.read.experiment(step.record.experiment)
        if x is None:
            raise _no_experiment(card)
        return _page(site, request, card, x, step)

    return [
        Route("/p/{name}/x/{id}", experiment),
        Route("/p/{name}/{number}", record),
    ]


def _page(site: Site, request: Request, card: ProblemCard, x: Experiment, step: Step | None) -> Response:
    content = site.read.content(x)
    parent = history.of_commit(site.read.records(card.name), x.parent)
    return site.page(
        request, "experiment.html", card=card, x=x, step=step, parent=parent, shown=content is not None,
        changes=None if content is None else _changes(site, x, content),
        hints=() if content is None else scan(content),
    )  # fmt: skip


def _changes(site: Site, x: Experiment, content: bytes) -> Changes:
    """Return what ``content`` changes in the version that it was built on; a new file where that is unknown."""
    try:
        before, _, _ = site.read.file_at(x.problem, x.parent) if x.parent else (b"", "", "")
    except PoolError:
        before = b""
    return compare(before, content)


def _no_experiment(card: ProblemCard) -> PoolError:
    return PoolError("AR-X400", hint=f"see the experiments at /p/{card.name}/experiments")
