"""The files that pages refer to: one style sheet and one icon, served by us and no one else.

Not here: pictures that are made from data (``chart``).
"""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.web.answers import answer
from ar_core.candidate import sha256

_STATIC = files("ar_coordinator.web") / "static"
_FILES = {
    "style.css": ((_STATIC / "style.css").read_bytes(), "text/css; charset=utf-8"),
    "icon.svg": ((_STATIC / "icon.svg").read_bytes(), "image/svg+xml"),
}
# The address changes with the content, so that a browser never shows a page with the style of an older one.
STYLE_PATH = f"/static/style.css?v={sha256(_FILES['style.css'][0])[:12]}"


def routes() -> list[Route]:
    """Return the routes of the static files."""

    def make(name: str) -> Route:
        body, media_type = _FILES[name]

        def static_file(request: Request) -> Response:
            return answer(request, body, media_type, cache="public, max-age=3600")

        return Route(f"/static/{name}", static_file)

    return [make(name) for name in _FILES]
