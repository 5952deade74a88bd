"""The sweeper: rings again for whatever waits longer than it should; every bell may have been lost.

Not here: doing the work. Ringing too often is harmless, since whoever comes looks at the records.
"""

from dataclasses import dataclass, field

from ar_coordinator.doorbell import Doorbell
from ar_coordinator.store import Store, keys
from ar_coordinator.store.connection import now_ms
from ar_coordinator.verification import LOOK_AGAIN_MS

INTERVAL_SECONDS = 1.0
_LOOK_AROUND_MS = 5_000


@dataclass
class Sweeper:
    """One sweep a second, by every replica; each bell is rung by whoever comes first."""

    store: Store
    doorbell: Doorbell
    _looked_around: int = field(default=0)

    def sweep(self) -> None:
        """Ring for batches without a live holder, verifications without progress, and whatever waits."""
        now = now_ms()
        self.store.leases.run(self.store.leases.expire(now))
        for batch in self.store.batches.due():
            self.doorbell.run_order(batch, self.store.batches.seconds(batch))
        for experiment_id in self.store.experiments.due(now):
            self.store.experiments.ring_again(experiment_id, now + LOOK_AGAIN_MS)
            self.doorbell.look_at_experiment(experiment_id)
        if now - self._looked_around >= _LOOK_AROUND_MS:
            self._looked_around = now
            self.store.verifiers.forget_silent()
            for name in self.store.problems.names():
                if self.store.problems.registering(name) is not None:
                    self.doorbell.look_at_problem(name)
            if self._something_waits() and self.doorbell.waiting_for_referee() == 0:
                self.doorbell.look_around()

    def _something_waits(self) -> bool:
        text = self.store.connection.text
        if text.zcard(keys.QUEUE) or text.scard(keys.REGISTRY_DIRTY) or text.scard(keys.AUDITS):
            return True
        return any(text.zcard(keys.ledger_tail(name)) for name in self.store.problems.names())
