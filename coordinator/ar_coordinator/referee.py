"""The referee: says which experiments are verified when, and has the next thing done for each of them.

Not here: what that next thing is (``verification``), measuring (``verifier``), opening problems (``opening``). Every
look is idempotent, so a bell may ring twice, and a referee that is killed anywhere goes on where it was.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
import structlog

from ar_coordinator.auditing import Auditing
from ar_coordinator.measurable import Measurable
from ar_coordinator.store import Store
from ar_coordinator.store.connection import now_ms
from ar_coordinator.store.experiments import Waiting
from ar_coordinator.verification import RETRY_MS, Verification
from ar_core.lifecycle import ExperimentState, ProblemState, Reason

log = structlog.get_logger("referee")

OLDEST_SHARE = 1 / 8
"""How often claims start in the order in which they came, so that none waits for ever."""
_PLACES = 2
"""For each verifier: one experiment is measured while another is judged."""


@dataclass(frozen=True, slots=True)
class Referee:
    """The single writer of git; ``parallel`` is how many experiments are verified at a time, at least."""

    store: Store
    verification: Verification
    auditing: Auditing
    parallel: int

    def look_at_experiment(self, experiment_id: str) -> None:
        """Do the next thing for one experiment, or for an audit, then start what waits."""
        if self.auditing.is_bell(experiment_id):
            self._audit(experiment_id)
            return
        x = self.store.experiments.get(experiment_id)
        if x is not None and x.state is ExperimentState.VERIFYING:
            try:
                self.verification.go_on(x)
            except redis.RedisError:
                raise
            except Exception as error:
                # One experiment that cannot be gone on with must not keep its place, or the pool comes to a stand.
                log.exception("a look at an experiment failed", experiment=x.id)
                self.verification.recover(x, type(error).__name__)
        self.start_waiting()

    def _audit(self, bell: str) -> None:
        try:
            self.auditing.answer(bell)
        except redis.RedisError:
            raise
        except Exception:
            log.exception("a look at an audit failed", bell=bell)

    def start_waiting(self) -> None:
        """Start queued experiments while there are places: in turn among contributors, of claims the newest first."""
        measurable = Measurable.now(self.store)
        doubted = self._doubted()
        at_work = self._at_work(measurable, doubted)
        free = max(self.parallel, _PLACES * len(measurable.machines)) - at_work.total()
        if free <= 0 or self.store.draining():
            return
        newest_first = random.random() >= OLDEST_SHARE  # noqa: S311 - a choice, no secret
        for waiting in in_turn(self._waiting(now_ms(), doubted), at_work, newest_first=newest_first):
            if free <= 0:
                return
            free -= self._try_to_start(waiting.id, measurable)

    def _doubted(self) -> set[str]:
        """Return the problems whose best an audit doubts: nothing is accepted there until it has ended."""
        audits = (self.store.audits.get(name) for name in self.store.audits.running())
        return {audit.problem for audit in audits if audit is not None and audit.doubted}

    def _waiting(self, now: int, doubted: set[str]) -> list[Waiting]:
        """Return what may start now; what waits for a withdrawn problem is withdrawn."""
        queued = self.store.experiments.waiting()
        states = {name: self.store.problems.field(name, "state") for name in {w.problem for w in queued}}
        for waiting in queued:
            if states[waiting.problem] == ProblemState.WITHDRAWN:
                self.store.experiments.move(
                    waiting.id, ExperimentState.QUEUED, ExperimentState.WITHDRAWN, reason=Reason.WITHDRAWN,
                    explanation="Its problem was withdrawn before it was verified.", updated=datetime.now(UTC),
                )  # fmt: skip
        # A further revision that is being measured will be the version to beat: what starts now would start again.
        ready = {name for name, state in states.items() if state == ProblemState.OPEN and not self._revised(name)}
        ready -= doubted
        return [w for w in queued if w.problem in ready and w.not_before <= now]

    def _revised(self, problem: str) -> bool:
        return self.store.problems.registering(problem) is not None

    def _at_work(self, measurable: Measurable, doubted: set[str]) -> Counter[str]:
        """Return how many experiments of each contributor are being verified, but for those that only wait.

        For a verifier that there is not, or for an audit.
        """
        running = self.store.experiments.get_many(self.store.experiments.verifying())
        return Counter(
            x.contributor for x in running if x.problem not in doubted and not measurable.missing(x.problem)
        )

    def _try_to_start(self, experiment_id: str, measurable: Measurable) -> bool:
        try:
            x = self.store.experiments.get(experiment_id)
            if x is None or self.store.problems.field(x.problem, "state") != ProblemState.OPEN:
                return False
            missing = measurable.missing(x.problem)
            if measurable.tell(x, missing) and missing:
                log.warning("no verifier for an experiment", experiment=x.id, problem=x.problem, missing=missing)
            return not missing and self.verification.start(x)
        except redis.RedisError:
            raise
        except Exception:
            # A problem that cannot be read keeps its own experiments waiting, not everybody's.
            log.exception("a queued experiment does not start", experiment=experiment_id)
            self.store.experiments.wait_until(experiment_id, now_ms() + RETRY_MS[-1])
            return False


def in_turn(waiting: Sequence[Waiting], at_work: Counter[str], *, newest_first: bool = True) -> list[Waiting]:
    """Order what waits so that nobody's many go before another's few.

    ``waiting`` is in the order of arrival; ``at_work`` counts the places that each contributor holds already. What
    people proposed stays in that order and goes before claims. Of claims the newest go first, unless told otherwise:
    where more are found than can be verified, a claim that waited was built on what is no longer the best.
    """
    proposed = [item for item in waiting if not item.claim]
    claims = [item for item in waiting if item.claim]
    places = Counter(at_work)
    turns: list[tuple[int, Waiting]] = []
    for item in [*proposed, *(reversed(claims) if newest_first else claims)]:
        turns.append((places[item.contributor], item))
        places[item.contributor] += 1
    return [item for _, item in sorted(turns, key=lambda turn: turn[0])]
