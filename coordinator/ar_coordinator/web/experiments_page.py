"""Everything that was tried on a problem, newest first: the failures are the research.

Not here: the page of one experiment.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.web import queries
from ar_coordinator.web.site import Site
from ar_core.lifecycle import ExperimentState

_PAGE = 50


def routes(site: Site) -> list[Route]:
    """Return the route of the list."""

    def experiments(request: Request) -> Response:
        card = site.read.existing(request.path_params["name"])
        state, before = queries.status(request), queries.before(request)
        found, next_page = site.read.experiments(card.name, state, queries.limit(request, _PAGE), before)
        counts = site.read.counts(card.name)
        return site.page(
            request,
            "experiments.html",
            card=card,
            found=found,
            next_page=next_page,
            state=state,
            before=before,
            filters=[(other, counts[other]) for other in ExperimentState if counts[other] or other is state],
            total=sum(counts.values()),
        )

    return [Route("/p/{name}/experiments", experiments)]
