"""Everybody who contributed, ranked by verified results only.

Not here: the page of one person.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.web import queries
from ar_coordinator.web.site import Site

_ROWS = 500


def routes(site: Site) -> list[Route]:
    """Return the route of the table."""

    def contributors(request: Request) -> Response:
        order = queries.order(request, "accepted")
        rows = site.read.leaderboard(None, order, _ROWS)
        return site.page(request, "contributors.html", rows=rows, order=order)

    return [Route("/contributors", contributors)]
