"""Problems whose repository is gone, or is older than what the pool knows: paused until somebody restored it.

Not here: restoring it. Nothing is lost meanwhile: what was proposed stays queued, and the ledger's tail in Redis.
"""

from dataclasses import dataclass

import structlog

from ar_coordinator.git_store import RepositoryError
from ar_coordinator.histories import Histories
from ar_coordinator.store import Store
from ar_core.lifecycle import ProblemState

log = structlog.get_logger("referee")

_GONE = "its repository is gone"


@dataclass(frozen=True, slots=True)
class LostHistory:
    """Looks for what a problem's history should be in; for the referee, the one writer of it."""

    store: Store
    histories: Histories

    def is_lost(self, problem: str) -> bool:
        """Tell whether a problem that was published has no repository."""
        return bool(self.store.problems.field(problem, "head")) and not self.histories.repository(problem).exists()

    def look(self, problem: str, *, closely: bool = False) -> bool:
        """Tell whether a problem's history can be used, and pause the problem where it cannot.

        ``closely`` looks for the best version in it, and logs about a problem that is paused already, too.
        """
        wrong = _GONE if self.is_lost(problem) else self._wrong_inside(problem) if closely else ""
        if not wrong:
            return True
        reason = f"The pool cannot go on: {wrong}. Once its operator restored git/{problem}.git, it can be resumed."
        paused = self.store.problems.field(problem, "state") == ProblemState.OPEN and self.store.problems.set_state(
            problem, ProblemState.OPEN, ProblemState.PAUSED, state_reason=reason
        )
        if paused or closely:
            path = str(self.histories.repository(problem).path)
            log.error("a problem's history cannot be used", problem=problem, path=path, why=wrong, paused=paused)
        return False

    def _wrong_inside(self, problem: str) -> str:
        head = self.store.problems.field(problem, "head")
        if not head:
            return ""
        try:
            (found,) = self.histories.repository(problem).store.read([head])
        except RepositoryError as error:
            return str(error)
        return "" if found is not None else f"its repository has no commit {head[:12]}, its best version"
