"""A referee's desk over a real store and git, in this process, with what verifiers measured posted by hand.

Not here: attacks, which are in the tests.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.opening import take_in
from ar_coordinator.referee_process import RefereeDesk
from ar_coordinator.store import Store, keys
from ar_coordinator.work_order import (
    FindingResult,
    PairResult,
    PairsOrder,
    PairsResult,
    RegistrationOrder,
    RegistrationResult,
    SideResult,
    decode_order,
    encode,
)
from ar_core.candidate import content_hash, sha256
from ar_core.lifecycle import ExperimentState, ProblemState
from ar_core.records import Experiment, Identity

Files = dict[str, bytes]
Score = Callable[[bytes, int], float | None]
KEY = bytes(32)


@dataclass
class Court:
    """A referee's desk over a real store, and the measuring done by hand."""

    store: Store
    directory: DataDirectory
    desk: RefereeDesk
    publisher: Identity

    def publish(self, files: Files) -> str:
        """Take in a folder; its registration waits to be measured."""
        return take_in(self.store, Doorbell(self.store.connection), KEY, dict(files), self.publisher).name

    def opened(self, files: Files, sd: float = 0.0) -> str:
        """Take in a folder and open it."""
        name = self.publish(files)
        self.measure(sd=sd)
        self.desk.look_at_problem(name)
        assert self.store.problems.field(name, "state") == ProblemState.OPEN
        return name

    def propose(self, problem: str, content: bytes, who: str = "eve", parent: str = "") -> str:
        """Queue a candidate that was built on ``parent``."""
        now = datetime.now(UTC)
        x = Experiment(
            id=f"x-{secrets.token_hex(8)}", problem=problem, revision=1, state=ExperimentState.QUEUED,
            contributor=who, worker="m-1", agent="hand", note="", claimed=None, parent=parent, blob=sha256(content),
            created=now, updated=now,
        )  # fmt: skip
        added = self.store.experiments.add(
            x, content_hash=content_hash(content), once=keys.once(who, x.id), quota="", limit=0, content=content
        )
        assert added.answer == "added"
        return x.id

    def look(self, *experiments: str) -> None:
        """Ring the referee for experiments, or to look around."""
        for experiment in experiments:
            self.desk.look_at_experiment(experiment)
        self.desk.look_around()

    def state(self, experiment: str) -> ExperimentState:
        """Read where an experiment stands."""
        x = self.store.experiments.get(experiment)
        assert x is not None
        return x.state

    def waiting_batches(self) -> list[str]:
        """Read which batches nobody has measured yet."""
        return list(self.store.connection.text.zrange(keys.BATCHES, 0, -1))

    def measure(self, score: Score | None = None, *, sd: float = 0.0, trouble: str = "", refuse: str = "") -> None:
        """Measure everything that waits: the sum of the numbers unless ``score`` says otherwise."""
        for batch in self.waiting_batches():
            claim = self.store.batches.claim(batch, "by-hand")
            assert claim is not None
            order = decode_order(claim.spec)
            if isinstance(order, RegistrationOrder):
                value = total(self.store.blobs.get(order.files["numbers.json"]), 0)
                result: Any = RegistrationResult(
                    verifier="by-hand", ok=not refuse, baseline=value, mean=value, sd=sd, n=5,
                    interval=(value, value), seconds=0.1, secondary={}, trouble=trouble,
                    findings=[FindingResult(check="c", severity="error", message=refuse, fix="f")] if refuse else [],
                )  # fmt: skip
            else:
                result = self._pairs(order, score or total, trouble)
            assert self.store.batches.finish(claim, encode(result))

    def _pairs(self, order: PairsOrder, score: Score, trouble: str) -> PairsResult:
        sides = [self.store.blobs.get(order.candidate), self.store.blobs.get(order.incumbent)]

        def side(content: bytes, index: int) -> SideResult:
            value = score(content, index)
            outcome = "ok" if value is not None else "crash"
            return SideResult(outcome=outcome, score=value, secondary={}, feedback="", seconds=0.1)

        pairs = [
            PairResult(index=p.index, candidate=side(sides[0], p.index), incumbent=side(sides[1], p.index))
            for p in order.pairs
        ]
        return PairsResult(verifier="by-hand", pairs=() if trouble else pairs, seconds=0.1, trouble=trouble)

    def settle_all(self, *experiments: str, score: Score | None = None) -> None:
        """Measure and look until these are settled."""
        for _ in range(30):
            self.look(*experiments)
            self.measure(score)
        self.look(*experiments)

    def accept(self, problem: str, content: bytes, score: Score | None = None) -> str:
        """Queue a candidate that is built on today's best, and see it accepted."""
        x = self.propose(problem, content, parent=self.store.problems.field(problem, "head") or "")
        self.settle_all(x, score=score)
        assert self.state(x) is ExperimentState.ACCEPTED
        return x

    def audit(self, problem: str, score: Score | None = None) -> None:
        """Go on with a problem's audit until it has ended."""
        for _ in range(30):
            self.desk.look_around()
            self.measure(score)
            self.desk.look_at_experiment(f"audit-{problem}")
            if self.store.audits.get(problem) is None:
                return


def total(content: bytes, _index: int) -> float:
    """Score a file as its problem's scorer does: the sum of its numbers."""
    return float(sum(map(float, content.decode().strip(" []\n").split(","))))
