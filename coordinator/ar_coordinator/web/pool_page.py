"""The front page: what the pool works on, who contributes, what happened last, and how to take part.

Not here: the pages of single problems.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.web.site import Site
from ar_coordinator.web.sparkline import sparkline

_LEADERS, _RECENT = 10, 8


def routes(site: Site) -> list[Route]:
    """Return the route of the front page."""

    def front(request: Request) -> Response:
        cards = site.read.problems()
        return site.page(
            request,
            "pool.html",
            summary=site.read.pool(),
            cards=[(card, sparkline(site.read.records(card.name))) for card in cards],
            by_name={card.name: card for card in cards},
            rows=site.read.leaderboard(None, "accepted", _LEADERS),
            recent=site.read.recent(_RECENT),
        )

    return [Route("/", front)]
