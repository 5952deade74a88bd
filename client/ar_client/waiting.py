"""Waiting for the pool to make up its mind, over broken connections and restarts of the pool.

Not here: what was asked of it.
"""

import time
from collections.abc import Callable, Iterator

from ar_client.failure import PASSING, UNANSWERED
from ar_client.pool import Pool
from ar_core.errors import PoolError
from ar_core.lifecycle import SETTLED, ProblemState
from ar_core.records import Experiment, ProblemCard

PATIENCE_SECONDS = 24 * 3600.0
REGISTRATION_SECONDS = 3600.0
_RETRY_SECONDS = 60.0
_STREAM_SECONDS = 300.0


def delays(first: float = 0.2, longest: float = 15.0) -> Iterator[float]:
    """Yield how long to wait before each further try, in seconds: doubling, up to ``longest``."""
    delay = first
    while True:
        yield delay
        delay = min(longest, delay * 2)


def insist(call: Callable[[], Experiment], on_trouble: Callable[[PoolError], None]) -> Experiment:
    """Return what ``call`` answers, making it again for a minute while no connection can be made.

    Only for a call that may be made twice. Raises its last ``PoolError``.
    """
    deadline = time.monotonic() + _RETRY_SECONDS
    for delay in delays(longest=8.0):
        try:
            return call()
        except PoolError as error:
            if error.code not in UNANSWERED or time.monotonic() + delay > deadline:
                raise
            on_trouble(error)
        time.sleep(delay)
    raise AssertionError


def settled(pool: Pool, experiment: Experiment, on_change: Callable[[Experiment], None]) -> Experiment:
    """Return the experiment once it has its verdict; ``on_change`` hears of every state on the way.

    Raises ``PoolError`` AR-X402 after a day; it is recorded whatever happens here.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = delays()
    while experiment.state not in SETTLED:
        before = experiment
        try:
            for event in pool.watch(experiment=experiment.id, seconds=_STREAM_SECONDS):
                if isinstance(event.subject, Experiment) and event.subject.id == experiment.id:
                    experiment = event.subject
                    on_change(experiment)
                    if experiment.state in SETTLED:
                        return experiment
            experiment = pool.experiment(experiment.id)
        except PoolError as error:
            if error.code not in PASSING:
                raise
            time.sleep(error.retry_after or 0)
        if experiment.state is not before.state:
            pause = delays()
        if time.monotonic() > deadline:
            raise PoolError("AR-X402", experiment.id)
        if experiment.state not in SETTLED:
            time.sleep(next(pause))
    return experiment


def has_errors(card: ProblemCard) -> bool:
    """Tell whether the registration found something that refuses a revision."""
    return any(finding.severity == "error" for finding in card.findings)


def registered(pool: Pool, card: ProblemCard, on_wait: Callable[[ProblemCard, float], None]) -> ProblemCard:
    """Return the problem once this revision's registration is over.

    ``on_wait`` hears of the problem as it is meanwhile, and the seconds so far.

    A refused first revision is a refused problem. A refused further one leaves the problem as it was: then it
    still has the revision before, with the errors among its findings.
    """
    started = time.monotonic()
    pause = delays(longest=1.0)
    revision = card.revision
    while card.state is ProblemState.REGISTERING or (card.revision < revision and not has_errors(card)):
        elapsed = time.monotonic() - started
        if elapsed > REGISTRATION_SECONDS:
            hint = f"see `ar-pool show {card.name}`"
            raise PoolError("AR-A105", f"{card.name} is being registered still", hint=hint)
        on_wait(card, elapsed)
        time.sleep(next(pause))
        try:
            card = pool.problem(card.name)
        except PoolError as error:
            if error.code not in PASSING:
                raise
            time.sleep(error.retry_after or 0)
    return card
