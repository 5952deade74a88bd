"""The web app: every route, and what is answered when there is none or something fails.

Not here: what a page shows (one module for each) and serving it (``uvicorn``).
"""

import logging
from collections.abc import Callable
from pathlib import Path

from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from ar_coordinator.git_http import git_routes
from ar_coordinator.git_store import RepositoryError
from ar_coordinator.pool_info import PoolInfo
from ar_coordinator.read_model import ReadModel
from ar_coordinator.web import (
    api,
    assets,
    chart,
    contributors_page,
    experiment_page,
    experiments_page,
    feed,
    operations,
    pool_page,
    problem_page,
)
from ar_coordinator.web.answers import SECURITY_HEADERS, SecurityHeaders, json_answer
from ar_coordinator.web.site import Site
from ar_core.errors import PoolError

_LOG = logging.getLogger(__name__)


def create_app(
    read: ReadModel,
    pool: PoolInfo,
    repository_path: Callable[[str], Path | None],
    allowed_signers: Callable[[], str],
) -> Starlette:
    """Return the app: pages, JSON API, charts, feeds, metrics and read-only git.

    ``repository_path`` maps a problem's name to its bare repository, ``allowed_signers`` gives the line that
    git verifies the pool's commits with.
    """
    site = Site(read, pool)
    pages = (pool_page, contributors_page, problem_page, chart, feed, experiments_page, experiment_page)
    failures = _Failures(site)
    handlers: dict[type[Exception] | int, ExceptionHandler] = {
        PoolError: failures.told,
        HTTPException: failures.refused,
        RedisError: failures.unavailable,
        RepositoryError: failures.unexpected,
        Exception: failures.unexpected,
    }
    return Starlette(
        routes=[
            *assets.routes(),
            *operations.routes(site, allowed_signers),
            *api.routes(site),
            *git_routes(repository_path),
            *(route for page in pages for route in page.routes(site)),
        ],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers=handlers,
    )


class _Failures:
    """Turns whatever goes wrong into a page, or a JSON document for those who asked for JSON."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def told(self, request: Request, error: Exception) -> Response:
        """Answer with a catalogue error."""
        known = error if isinstance(error, PoolError) else PoolError("AR-A100")
        return self._answer(request, known, known.message, known.kind.http)

    def refused(self, request: Request, error: Exception) -> Response:
        """Answer to an address that is not there, or a method that is not allowed."""
        if isinstance(error, HTTPException) and error.status_code == 405:
            reading = PoolError("AR-A101", "these pages are for reading", hint="propose with `ar-pool propose`")
            response = self._answer(request, reading, "These pages are for reading.", 405)
            response.headers["Allow"] = "GET, HEAD"
            return response
        lost = PoolError("AR-A101", "there is nothing at this address", hint="begin at the pool's front page, /")
        return self._answer(request, lost, "There is nothing at this address.", 404)

    def unavailable(self, request: Request, _error: Exception) -> Response:
        """Answer while Redis is away."""
        return self.told(request, PoolError("AR-C609", hint="try again in a moment"))

    def unexpected(self, request: Request, error: Exception) -> Response:
        """Answer with a sentence that gives nothing away; the log has the rest."""
        _LOG.error("a page failed", exc_info=error, extra={"path": request.url.path})
        response = self.told(request, PoolError("AR-A100"))
        # This answer may be made outside the middleware that adds them.
        response.headers.update(SECURITY_HEADERS)
        return response

    def _answer(self, request: Request, error: PoolError, heading: str, status: int) -> Response:
        if request.url.path.startswith(("/api/", "/healthz")):
            return json_answer(request, error.document(), status)
        return self._site.page(
            request, "failure.html", status, heading=heading, hint=_sentence(error.hint), code=error.code
        )


def _sentence(hint: str) -> str:
    """Return a hint as a sentence of its own."""
    return f"{hint[:1].upper()}{hint[1:]}." if hint else ""
