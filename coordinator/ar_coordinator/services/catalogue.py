"""The catalogue: everything there is to read, over gRPC.

Not here: how it is read (``read_model``), and the same for browsers (``web``).
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from ar_coordinator.events import Events
from ar_coordinator.read_model import ReadModel
from ar_coordinator.services.caller import caller, current
from ar_core.credit import Order
from ar_core.errors import PoolError
from ar_core.lifecycle import SETTLED
from ar_core.records import Experiment, Role
from ar_core.wire import (
    experiment_state_from_wire,
    experiment_to_wire,
    problem_to_wire,
    row_to_wire,
    time_to_wire,
)
from ar_proto.v1 import catalogue_pb2, catalogue_pb2_grpc

_ORDERS: dict[int, Order] = {
    catalogue_pb2.LEADERBOARD_ORDER_GAIN: "gain",
    catalogue_pb2.LEADERBOARD_ORDER_ACCEPTED: "accepted",
    catalogue_pb2.LEADERBOARD_ORDER_RECENT: "recent",
}
_LOOK_AGAIN_SECONDS = 5.0
_PAGE = re.compile(r"[0-9]{1,15}")


class Catalogue(catalogue_pb2_grpc.CatalogueServiceServicer):
    """`CatalogueService`."""

    def __init__(self, read: ReadModel, events: Events) -> None:
        self._read = read
        self._events = events

    def ListProblems(  # noqa: N802
        self, request: catalogue_pb2.ListProblemsRequest, context: Any
    ) -> catalogue_pb2.ListProblemsResponse:
        """List the problems by name."""
        cards = sorted(self._read.problems(all=request.all), key=lambda card: card.name)
        return catalogue_pb2.ListProblemsResponse(problems=[problem_to_wire(card) for card in cards])

    def GetProblem(  # noqa: N802
        self, request: catalogue_pb2.GetProblemRequest, context: Any
    ) -> catalogue_pb2.GetProblemResponse:
        """Return one problem."""
        card = self._read.existing(request.name)
        return catalogue_pb2.GetProblemResponse(
            problem=problem_to_wire(card), server_time=time_to_wire(datetime.now(UTC))
        )

    def ListExperiments(  # noqa: N802
        self, request: catalogue_pb2.ListExperimentsRequest, context: Any
    ) -> catalogue_pb2.ListExperimentsResponse:
        """Return a page of experiments, newest first."""
        self._read.existing(request.problem)
        if request.page_token and not _PAGE.fullmatch(request.page_token):
            raise PoolError("AR-A101", "the page token is not one of ours")
        found, following = self._read.experiments(
            request.problem,
            experiment_state_from_wire(request.state),
            limit=min(max(request.limit, 0) or 100, 1000),
            before=int(request.page_token) if request.page_token else None,
        )
        return catalogue_pb2.ListExperimentsResponse(
            experiments=[experiment_to_wire(self._shown(x)) for x in found],
            next_page_token="" if following is None else str(following),
        )

    def GetExperiment(  # noqa: N802
        self, request: catalogue_pb2.GetExperimentRequest, context: Any
    ) -> catalogue_pb2.GetExperimentResponse:
        """Return one experiment; its bytes are shown to nobody else before its verdict."""
        x = self._read.experiment(request.id)
        if x is None:
            raise PoolError("AR-X400", request.id[:40])
        response = catalogue_pb2.GetExperimentResponse(experiment=experiment_to_wire(self._shown(x)))
        if request.with_content:
            content = self._read.content(x)
            if content is not None:
                response.content = content
        return response

    def _shown(self, x: Experiment) -> Experiment:
        """Return an experiment as whoever calls may see it."""
        who = current.get()
        return self._read.for_operator(x) if who is not None and who.role is Role.OPERATOR else x

    def GetLeaderboard(  # noqa: N802
        self, request: catalogue_pb2.GetLeaderboardRequest, context: Any
    ) -> catalogue_pb2.GetLeaderboardResponse:
        """Return the rows of a problem or of the pool."""
        if request.problem:
            self._read.existing(request.problem)
        order: Order = _ORDERS.get(request.order, "gain" if request.problem else "accepted")
        rows = self._read.leaderboard(request.problem or None, order, min(max(request.limit, 0) or 50, 1000))
        return catalogue_pb2.GetLeaderboardResponse(rows=[row_to_wire(row) for row in rows])

    def GetFile(self, request: catalogue_pb2.GetFileRequest, context: Any) -> catalogue_pb2.GetFileResponse:  # noqa: N802
        """Return a file of ``main``."""
        content, path, commit = self._read.file_at(request.problem, request.commit, request.path)
        score = next((r.score for r in self._read.records(request.problem) if r.commit == commit), None)
        return catalogue_pb2.GetFileResponse(content=content, path=path, commit=commit, score=score)

    async def Watch(  # noqa: N802
        self, request: catalogue_pb2.WatchRequest, context: Any
    ) -> AsyncIterator[catalogue_pb2.WatchResponse]:
        """Stream what happens; for one experiment, first its present state, and until it is settled."""
        caller()
        if request.problem:
            await asyncio.to_thread(self._read.existing, request.problem)
        async with self._events.subscription() as queue:
            if request.experiment:
                async for response in self._watch_one(request.experiment, queue):
                    yield response
                return
            while True:
                event = await queue.get()
                if not request.problem or event.problem == request.problem:
                    described = await asyncio.to_thread(self._describe, event.kind, event.problem, event.id)
                    if described is not None:
                        yield described

    async def _watch_one(
        self, experiment_id: str, queue: "asyncio.Queue[Any]"
    ) -> AsyncIterator[catalogue_pb2.WatchResponse]:
        state = None
        while True:
            x = await asyncio.to_thread(self._read.experiment, experiment_id)
            if x is None:
                raise PoolError("AR-X400", experiment_id[:40])
            if x.state is not state:
                state = x.state
                yield catalogue_pb2.WatchResponse(experiment=experiment_to_wire(x), time=time_to_wire(x.updated))
            if x.state in SETTLED:
                return
            try:
                # An event of another experiment is no reason to look; silence is, in case one was missed.
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                    while (await queue.get()).id != experiment_id:
                        pass
            except TimeoutError:
                continue

    def _describe(self, kind: str, problem: str, experiment_id: str) -> catalogue_pb2.WatchResponse | None:
        now = time_to_wire(datetime.now(UTC))
        if kind == "experiment":
            x = self._read.experiment(experiment_id)
            return catalogue_pb2.WatchResponse(experiment=experiment_to_wire(x), time=now) if x else None
        card = self._read.problem(problem)
        return catalogue_pb2.WatchResponse(problem=problem_to_wire(card), time=now) if card else None
