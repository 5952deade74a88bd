"""Which problems can be measured now: some verifier that is here has what they need.

Not here: which batch goes to which verifier (``batch_desk``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ar_coordinator.batch_desk import present_machines
from ar_coordinator.store import Store
from ar_coordinator.verifier_machine import VerifierMachine, needs_of_manifest, what_none_has
from ar_core.records import Experiment

_WAITS = "It waits: "


@dataclass(frozen=True, slots=True)
class Measurable:
    """What the verifiers that are here can do, at one moment."""

    store: Store
    machines: Mapping[str, VerifierMachine]

    @classmethod
    def now(cls, store: Store) -> "Measurable":
        """Look who is here."""
        return cls(store, present_machines(store))

    def missing(self, problem: str) -> str:
        """Return what a problem needs that no verifier here has; nothing while there is none at all."""
        manifest = self.store.problems.field(problem, "manifest")
        if not self.machines or not manifest:
            return ""
        return what_none_has(needs_of_manifest(manifest), self.machines.values())

    def tell(self, x: Experiment, missing: str) -> bool:
        """Let a queued experiment's record say why it waits, or no longer; tell whether that is news."""
        said = x.explanation.startswith(_WAITS)
        sentence = f"{_WAITS}no verifier that is here has {missing}." if missing else ""
        if (not missing and not said) or x.explanation == sentence:
            return False
        self.store.experiments.explain(x.id, sentence)
        return True
