"""Which batch a verifier gets: one that its machine can run, and not one that it has just failed at.

Not here: the record of a batch (``store.batches``), running it (``verifier``), and how a verifier reaches this desk:
beside Redis (``verifier_queue``) or through the coordinator (``services.verification``).
"""

import functools
from dataclasses import dataclass

import msgspec

from ar_coordinator.doorbell import Doorbell
from ar_coordinator.store import Store
from ar_coordinator.store.batches import Claim, Waiting
from ar_coordinator.store.connection import now_ms
from ar_coordinator.verifier_machine import Needs, VerifierMachine, lacks
from ar_coordinator.work_order import RegistrationOrder, decode_order

_RING_MS = 2_000
"""So soon a batch is rung for again that came to a verifier which leaves it to another."""


@dataclass(frozen=True, slots=True)
class BatchDesk:
    """Gives batches out and takes results in."""

    store: Store
    doorbell: Doorbell

    def arrive(self, name: str, machine: VerifierMachine) -> None:
        """Note that a verifier is there; what waited for such a machine is looked at again."""
        if self.store.verifiers.here(name, msgspec.json.encode(machine, order="sorted").decode()):
            self.doorbell.look_around()

    def take(self, name: str, machine: VerifierMachine, wanted: str = "") -> Claim | None:
        """Give a batch to a verifier, ``wanted`` if it can have that, else the one that waits longest."""
        waiting = sorted(self.store.batches.waiting(), key=lambda w: w.batch != wanted)
        others = present_machines(self.store) if waiting else {}
        others.pop(name, None)
        for batch in waiting:
            if not _may_take(batch, name, machine, others):
                self.store.batches.ring_soon(batch.batch, now_ms() + _RING_MS)
                continue
            claim = self.store.batches.claim(batch.batch, name)
            if claim is not None:
                return claim
        return None

    def finish(self, claim: Claim, results: str) -> bool:
        """Take a batch's results in and ring the referee; ``False`` when somebody else has the batch by now."""
        if not self.store.batches.finish(claim, results):
            return False
        order = decode_order(claim.spec)
        if isinstance(order, RegistrationOrder):
            self.doorbell.look_at_problem(order.problem)
        else:
            self.doorbell.look_at_experiment(order.experiment)
        return True

    def give_back(self, name: str, *, leaving: bool) -> None:
        """Free whatever a verifier holds, for others; ``leaving`` forgets it."""
        if leaving:
            self.store.verifiers.gone(name)
        for batch in self.store.batches.free(name):
            self.doorbell.run_order(batch, self.store.batches.seconds(batch))


def present_machines(store: Store) -> dict[str, VerifierMachine]:
    """Return what the machines of the verifiers that are there have, by name."""
    return {name: _machine(text) for name, text in store.verifiers.present().items()}


def _may_take(batch: Waiting, name: str, machine: VerifierMachine, others: dict[str, VerifierMachine]) -> bool:
    needs = _needs(batch.needs)
    able = {other for other, its in others.items() if not lacks(needs, its)}
    if lacks(needs, machine):
        return needs.refusable and not able
    avoided = name in batch.avoid and now_ms() < batch.avoid_until
    return not (avoided and able - batch.avoid)


@functools.lru_cache(maxsize=1024)
def _machine(text: str) -> VerifierMachine:
    return msgspec.json.decode(text, type=VerifierMachine)


@functools.lru_cache(maxsize=1024)
def _needs(text: str) -> Needs:
    return msgspec.json.decode(text, type=Needs) if text else Needs()
