"""The JSON twins of the pages, below ``/api/v1``.

Not here: the documents themselves (``ar_core.documents``), which the commands print too.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.web import queries
from ar_coordinator.web.answers import json_answer
from ar_coordinator.web.history import Step, steps
from ar_coordinator.web.site import Site
from ar_core.documents import experiment_document, leaderboard_document, problem_document
from ar_core.errors import PoolError

API = "/api/v1"


def routes(site: Site) -> list[Route]:
    """Return the routes of the API."""
    read = site.read

    def pool(request: Request) -> Response:
        return json_answer(request, _pool_document(site))

    def problems(request: Request) -> Response:
        cards = read.problems(all="all" in request.query_params)
        return json_answer(request, _list("ar.problems/1", [problem_document(card) for card in cards]))

    def problem(request: Request) -> Response:
        return json_answer(request, problem_document(read.existing(request.path_params["name"])))

    def experiments(request: Request) -> Response:
        found, next_page = read.experiments(
            request.path_params["name"], queries.status(request), queries.limit(request, 100), queries.before(request)
        )
        return json_answer(request, _list("ar.experiments/1", [experiment_document(x) for x in found], next_page))

    def records(request: Request) -> Response:
        found = steps(read.records(request.path_params["name"]))
        return json_answer(request, _list("ar.records/1", [_record_document(step) for step in found]))

    def leaderboard(request: Request) -> Response:
        name = request.path_params.get("name")
        order = queries.order(request, "gain" if name else "accepted")
        rows = read.leaderboard(name, order, queries.limit(request, 50))
        return json_answer(request, leaderboard_document(name, rows))

    def experiment(request: Request) -> Response:
        found = read.experiment(request.path_params["id"])
        if found is None:
            raise PoolError("AR-X400")
        return json_answer(request, experiment_document(found))

    return [
        Route(f"{API}/pool", pool),
        Route(f"{API}/leaderboard", leaderboard),
        Route(f"{API}/problems", problems),
        Route(f"{API}/problems/{{name}}", problem),
        Route(f"{API}/problems/{{name}}/experiments", experiments),
        Route(f"{API}/problems/{{name}}/records", records),
        Route(f"{API}/problems/{{name}}/leaderboard", leaderboard),
        Route(f"{API}/experiments/{{id}}", experiment),
    ]


def _list(schema: str, items: list[dict[str, object]], next_page: int | None = None) -> dict[str, object]:
    """Return a list as a document; ``next`` is the ``before`` of the next page, null at the end."""
    return {"schema": schema, "items": items, "next": next_page}


def _pool_document(site: Site) -> dict[str, object]:
    summary, pool = site.read.pool(), site.pool
    return {
        "schema": "ar.pool/1",
        "pool": pool.name,
        "grpc": pool.grpc_address,
        "web": pool.web,
        "certificate": pool.certificate_digest,
        "problems": summary.problems,
        "experiments": summary.experiments,
        "accepted": summary.accepted,
        "contributors": summary.contributors,
        "queued": summary.queued,
        "verifying": summary.verifying,
    }


def _record_document(step: Step) -> dict[str, object]:
    record = step.record
    has_interval = record.low is not None and record.high is not None
    return {
        "record": step.number,
        "experiment": record.experiment or None,
        "revision": record.revision,
        "score": record.score,
        "interval": [record.low, record.high] if has_interval else None,
        "n": record.n,
        "gain": record.gain,
        "evidence": "exact" if record.exact else record.evidence,
        "verifier": record.verifier or None,
        "grade": record.grade or None,
        "contributor": record.contributor or None,
        "worker": record.worker or None,
        "agent": record.agent or None,
        "note": record.note,
        "commit": record.commit or None,
        "time": record.when.isoformat(),
    }
