"""Ringing verifiers and the referee through RQ: identifiers only, as JSON, and an allow-list of functions.

Not here: the truth. A bell may ring twice or never; whoever comes looks at the records (``store``), and a sweeper
rings again. RQ's own default would unpickle what it finds in Redis; nothing here ever does.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import Any, ClassVar

from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from ar_coordinator.store import keys
from ar_coordinator.store.batches import Batches
from ar_coordinator.store.connection import Connection

VERIFY_QUEUE = "verify"
REFEREE_QUEUE = "referee"
RUN_ORDER = "run_order"
LOOK_AT_EXPERIMENT = "look_at_experiment"
LOOK_AT_PROBLEM = "look_at_problem"
LOOK_AROUND = "look_around"
REFEREE_SECONDS = 300
_SPARE_BELLS = 8
_BELLS_KEPT = 1000


class UnknownBellError(RuntimeError):
    """A job that names a function which is not on the list: not executed."""


class LeavingNow(BaseException):
    """Raised in the middle of a job by a signal; no ``Exception``, so that nothing takes it for trouble."""


class Doorbell:
    """Rings; the caller must have made its record durable before."""

    def __init__(self, connection: Connection) -> None:
        self._redis = connection.text
        self._verify = Queue(VERIFY_QUEUE, connection=connection.raw, serializer=JSONSerializer, job_class=ListedJob)
        self._referee = Queue(
            REFEREE_QUEUE, connection=connection.raw, serializer=JSONSerializer, job_class=ListedJob
        )

    def run_order(self, batch: str, seconds: float) -> None:
        """Ring the verifiers for a batch that may take ``seconds``: those beside Redis, and those elsewhere."""
        # One for each unfinished batch is enough, since any is good for any; without a verifier they would pile up.
        if self._verify.count <= self._redis.zcard(keys.BATCHES) + _SPARE_BELLS:
            self._ring(self._verify, RUN_ORDER, [batch], round(seconds))
        bell = {"kind": "batch", "problem": "", "id": batch}
        self._redis.xadd(keys.BELLS, bell, maxlen=_BELLS_KEPT, approximate=True)

    def run_orders(self, batches: Batches) -> None:
        """Ring the verifiers for every batch that nobody runs, in case whoever should have did not live to."""
        for batch in batches.unclaimed():
            self.run_order(batch, batches.seconds(batch))

    def look_at_experiment(self, experiment: str) -> None:
        """Ring the referee: something happened to this experiment."""
        self._ring(self._referee, LOOK_AT_EXPERIMENT, [experiment], REFEREE_SECONDS)

    def look_at_problem(self, problem: str) -> None:
        """Ring the referee: something happened to this problem."""
        self._ring(self._referee, LOOK_AT_PROBLEM, [problem], REFEREE_SECONDS)

    def look_around(self) -> None:
        """Ring the referee: queued experiments, the ledger or the registry wait."""
        self._ring(self._referee, LOOK_AROUND, [], REFEREE_SECONDS)

    def waiting_for_referee(self) -> int:
        """Return how many bells the referee has not answered yet."""
        return int(self._referee.count)

    def waiting_for_verifiers(self) -> int:
        """Return how many bells the verifiers have not answered yet."""
        return int(self._verify.count)

    @staticmethod
    def _ring(queue: Queue, function: str, arguments: list[str], seconds: int) -> None:
        queue.enqueue_call(
            function, args=arguments, timeout=max(60, seconds), result_ttl=0, failure_ttl=3600, description=function
        )


class ListedJob(Job):
    """A job whose function comes from the list of this process, whatever the queue says."""

    listed: ClassVar[Mapping[str, Callable[..., None]]] = {}

    @property
    def func(self) -> Callable[..., None]:
        """Return the listed function; raises ``UnknownBellError``."""
        name = str(self.func_name)
        if self.instance is not None or name not in self.listed:
            raise UnknownBellError(f"no function {name!r} is on the list")
        return self.listed[name]

    # RQ would import whatever function a job names to be told how it ended; ours never name one.

    @property
    def success_callback(self) -> None:
        """Return nothing to call."""
        return

    @property
    def failure_callback(self) -> None:
        """Return nothing to call."""
        return

    @property
    def stopped_callback(self) -> None:
        """Return nothing to call."""
        return

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:
        """Tell nobody: RQ would send a request to whatever address a job names."""


class Bellboy(SimpleWorker):
    """Answers one queue in this process's main thread, one bell at a time."""

    job_class = ListedJob
    log_job_description = False
    log_result_lifespan = False
    max_connection_wait_time = 2.0
    leaves_at_once = False
    _inside = False

    def go(self, function: Callable[..., None], *arguments: str) -> None:
        """Do what a bell asks for; only in here, and never amid what RQ notes about it, a signal interrupts."""
        self._inside = True
        try:
            if self.leaves_at_once and self._stop_requested:
                raise LeavingNow
            function(*arguments)
        finally:
            self._inside = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End on a signal: after the present job, or in the middle of it."""
        if self.leaves_at_once and self._inside:
            self._stop_requested = True
            raise LeavingNow
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call] # RQ leaves it untyped

    def set_shutdown_requested_date(self) -> None:
        """Tell nobody: RQ would call Redis from within a signal, perhaps in the middle of another such call."""

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log what a job failed with; leaving in the middle of one is no failure."""
        if exc_info[0] is not LeavingNow:
            super().handle_exception(job, *exc_info)


def answer(
    connection: Connection, queue: str, name: str, listed: Mapping[str, Callable[..., None]], *,
    leaves_at_once: bool = False,
) -> None:  # fmt: skip
    """Answer ``queue`` until a signal ends it or Redis stays away; returns then.

    With ``leaves_at_once`` a signal raises ``LeavingNow`` in the middle of a job: for work that is measured again
    anyway.
    """
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    worker: Any = Bellboy(
        [_queue(queue, connection)],
        name=name,
        connection=connection.raw,
        serializer=JSONSerializer,
        job_class=ListedJob,
    )
    worker.leaves_at_once = leaves_at_once
    ListedJob.listed = {function: partial(worker.go, act) for function, act in listed.items()}
    worker.work(logging_level="WARNING")


def _queue(name: str, connection: Connection) -> Queue:
    return Queue(name, connection=connection.raw, serializer=JSONSerializer, job_class=ListedJob)
