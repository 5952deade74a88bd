"""The page of one problem: how far it has come, by which steps, under which rules, and how to use it.

Not here: single experiments (``experiment_page``) and the list of all of them (``experiments_page``).
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.web.history import steps
from ar_coordinator.web.prose import prose
from ar_coordinator.web.site import Site
from ar_core.acceptance.betting import DEFAULT_ALPHA
from ar_core.errors import PoolError
from ar_core.manifest import ManifestError
from ar_core.problem import Problem

_RECENT, _LEADERS, _RECORDS = 12, 10, 200


def routes(site: Site) -> list[Route]:
    """Return the route of the page."""

    def problem(request: Request) -> Response:
        name = request.path_params["name"]
        card = site.read.existing(name)
        recent, _ = site.read.experiments(name, None, _RECENT)
        history = steps(site.read.records(name))
        return site.page(
            request,
            "problem.html",
            card=card,
            manifest=_manifest(site, name),
            program=prose(site.read.program(name)),
            steps=list(reversed(history))[:_RECORDS],
            records=len(history),
            recent=recent,
            rows=site.read.leaderboard(name, "gain", _LEADERS),
            alpha=DEFAULT_ALPHA,
            scrutiny=site.read.scrutiny(name),
        )

    return [Route("/p/{name}", problem)]


def _manifest(site: Site, name: str) -> Problem | None:
    try:
        return site.read.manifest(name)
    except (PoolError, ManifestError):
        return None
