"""What all pages share: the pool they speak for, what they read, and the templates they are made from.

Not here: any page.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from ar_coordinator.pool_info import PoolInfo
from ar_coordinator.read_model import ReadModel
from ar_coordinator.web import figures, verdicts
from ar_coordinator.web.answers import answer
from ar_coordinator.web.assets import STYLE_PATH

HTML = "text/html; charset=utf-8"


class Site:
    """The pages' shared ground: one for each app."""

    def __init__(self, read: ReadModel, pool: PoolInfo) -> None:
        self.read = read
        self.pool = pool
        self._templates = _templates()
        self._templates.globals.update(pool=pool, style=STYLE_PATH)

    def page(self, request: Request, template: str, status: int = 200, **values: object) -> Response:
        """Return the page that ``template`` makes of ``values``."""
        text = self._templates.get_template(template).render(**values)
        return answer(request, text.encode("utf-8", errors="replace"), HTML, status)


def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("ar_coordinator.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {**figures.FILTERS, **verdicts.FILTERS}
    templates.filters.update(filters)
    return templates
