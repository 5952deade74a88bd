"""What machines that watch the pool ask: is it well, what does it count, and with which key does it sign.

Not here: pages for people.
"""

from collections.abc import Callable, Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ar_coordinator.web.answers import answer, json_answer
from ar_coordinator.web.site import Site
from ar_core.lifecycle import ExperimentState, ProblemState

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def routes(site: Site, allowed_signers: Callable[[], str]) -> list[Route]:
    """Return the routes for operations; ``allowed_signers`` gives the line(s) that git verifies with."""

    def healthz(request: Request) -> Response:
        site.read.ready()
        return json_answer(request, {"schema": "ar.health/1", "ok": True})

    def metrics(request: Request) -> Response:
        text = "\n".join([*_metrics(site), ""])
        return answer(request, text.encode(), _METRICS_TYPE)

    def signers(request: Request) -> Response:
        text = allowed_signers().rstrip("\n") + "\n"
        return answer(request, text.encode(), "text/plain; charset=utf-8")

    return [
        Route("/healthz", healthz),
        Route("/metrics", metrics),
        Route("/allowed_signers", signers),
    ]


def _metrics(site: Site) -> Iterator[str]:
    """Write the Prometheus text format; problems' names need no escaping, they are ``[a-z0-9-]``."""
    cards = site.read.problems(all=True)
    pool = site.read.pool()
    yield from _family("ar_queue_length", "gauge", "Experiments that wait for verification.")
    yield f"ar_queue_length {pool.queued}"
    yield from _family("ar_verifying", "gauge", "Experiments that are verified now.")
    yield f"ar_verifying {pool.verifying}"
    yield from _family("ar_problems", "gauge", "Problems by state.")
    for problem_state in ProblemState:
        number = sum(card.state is problem_state for card in cards)
        yield f'ar_problems{{state="{problem_state}"}} {number}'
    yield from _family("ar_experiments", "gauge", "Experiments by problem and present state.")
    for card in cards:
        counts = site.read.counts(card.name)
        for state in ExperimentState:
            yield f'ar_experiments{{problem="{card.name}",state="{state}"}} {counts[state]}'
    yield from _family("ar_experiments_acknowledged_total", "counter", "Acknowledged evaluations by problem.")
    for card in cards:
        yield f'ar_experiments_acknowledged_total{{problem="{card.name}"}} {card.experiments}'
    yield from _family("ar_accepted_total", "counter", "Accepted improvements by problem.")
    for card in cards:
        yield f'ar_accepted_total{{problem="{card.name}"}} {card.accepted}'


def _family(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
