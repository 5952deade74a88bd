"""The progress chart of a problem as a picture of its own, wide or narrow.

Not here: drawing (``ar_core.chart``).
"""

from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.store.problems import Record
from ar_coordinator.web import figures
from ar_coordinator.web.answers import PICTURE_POLICY, answer
from ar_coordinator.web.site import Site
from ar_core.chart import RecordPoint, TriedPoint, progress_svg
from ar_core.errors import PoolError
from ar_core.metric import Direction
from ar_core.records import ProblemCard

_WIDE, _NARROW = (960, 440), (400, 340)
_PAGE_VIEWS = frozenset({"wide", "narrow"})


def routes(site: Site) -> list[Route]:
    """Return the route of the picture.

    By itself it has the problem's headline as its heading; ``?view=wide`` and ``?view=narrow`` are for the page,
    which has that line already.
    """

    def progress(request: Request) -> Response:
        name = request.path_params["name"]
        card = site.read.existing(name)
        view = request.query_params.get("view", "")
        heading = f"{card.metric} of everything tried" if view in _PAGE_VIEWS else figures.headline(card)
        size = _NARROW if view == "narrow" else _WIDE
        points, records = tuple(site.read.points(name)), tuple(site.read.records(name))
        body = _draw(card, points, records, _best_known(site, name), heading, size)
        response = answer(request, body, "image/svg+xml")
        response.headers["Content-Security-Policy"] = PICTURE_POLICY
        return response

    return [Route("/p/{name}/progress.svg", progress)]


def _best_known(site: Site, name: str) -> float | None:
    try:
        best = site.read.manifest(name).metric.best_known
    except PoolError:
        return None
    return best.value if best else None


@lru_cache(maxsize=32)
def _draw(
    card: ProblemCard,
    points: tuple[tuple[int, float], ...],
    records: tuple[Record, ...],
    best_known: float | None,
    heading: str,
    size: tuple[int, int],
) -> bytes:
    """Return the picture; kept for the next reader, since most of them ask between two experiments."""
    width, height = size
    svg = progress_svg(
        [TriedPoint(index=index, value=value) for index, value in points],
        [_record_point(record) for record in records],
        direction=Direction(card.direction),
        unit=card.unit,
        decimals=card.decimals,
        best_known=best_known,
        title=heading,
        tried=card.experiments,
        revisions=[record.number for record in records[1:] if not record.experiment and not record.reverts],
        width=width,
        height=height,
    )
    return svg.encode("utf-8", errors="replace")


def _record_point(record: Record) -> RecordPoint:
    label = record.note if record.experiment else ("baseline" if record.revision == 1 else "new revision")
    return RecordPoint(
        index=record.number, value=record.score, low=record.low, high=record.high, label=figures.line(label, 60)
    )
