"""Having pairs measured: orders to the verifiers with the seeds of each pair, and what came back.

Not here: what the pairs say (``judgement``) and what follows from it (``verification``).
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from ar_coordinator.doorbell import Doorbell
from ar_coordinator.open_problem import OpenProblem
from ar_coordinator.seeds import constant_seeds, derive_seed
from ar_coordinator.store import Store
from ar_coordinator.verifier_machine import needs_of, needs_text
from ar_coordinator.work_order import PairOrder, PairResult, PairsOrder, PairsResult, decode_result, encode
from ar_core.acceptance import WARM_UP_PAIRS, next_batch, publication_pairs
from ar_core.problem import Noise, Problem

_EXACT_PAIRS = 2
FAILED = "failed_at"
"""Field of an experiment: the verifiers that had trouble of their own with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of batches: pairs of two files, measured for one purpose (``phase``) of one attempt."""

    opened: OpenProblem
    name: str
    """Of the experiment that is measured for."""
    attempt: int
    phase: str
    candidate: str
    incumbent: str

    def batch(self, number: int) -> str:
        """Return the name of its batch ``number``, from 0."""
        return _batch(self.name, self.attempt, self.phase, number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What there is of a series: no ``pairs`` and no ``batches`` before the first order."""

    batches: int
    pairs: tuple[PairResult, ...]
    verifier: str
    """Who measured: more than one name where batches went to several."""
    trouble: str
    """A failure of ours, which is no evidence."""
    failed: tuple[str, ...]
    """The verifiers that had it."""
    seconds: float
    grade: str = ""
    """Of the sandbox in which it was measured; the worst, where there were several."""


@dataclass(frozen=True, slots=True)
class Measuring:
    """Orders pairs and reads what was measured; the seed key never leaves the referee."""

    store: Store
    doorbell: Doorbell
    seed_key: bytes

    def order(self, series: Series, number: int, indices: Sequence[int]) -> None:
        """Order the batch ``number``; a batch that exists already stays as it is."""
        opened = series.opened
        order = PairsOrder(
            problem=opened.problem.name,
            revision=opened.revision,
            experiment=series.name,
            attempt=series.attempt,
            files=opened.files,
            candidate=series.candidate,
            incumbent=series.incumbent,
            pairs=[self._pair(series, index) for index in indices],
            deterministic=opened.deterministic,
        )
        seconds = 2 * len(indices) * (opened.problem.evaluation.seconds_at_most + 2) + 60
        batch = series.batch(number)
        self.store.batches.create(
            batch, encode(order), seconds, needs=needs_text(needs_of(opened.problem)), avoid=self._failed(series.name)
        )
        self.doorbell.run_order(batch, seconds)

    def look(self, series: Series) -> Measured | None:
        """Return what was measured so far, ``None`` while a batch is out."""
        names = self._batches(series.name, series.attempt, series.phase)
        texts = self.store.batches.results(names) if names else []
        decoded = [decode_result(text) for text in texts if text is not None]
        results = [result for result in decoded if isinstance(result, PairsResult)]
        if len(results) < len(names):
            return None
        return Measured(
            batches=len(names),
            pairs=tuple(pair for result in results for pair in result.pairs),
            verifier=names_of(result.verifier for result in results),
            failed=tuple(result.verifier for result in results if result.trouble),
            trouble=next((result.trouble for result in results if result.trouble), ""),
            seconds=sum(result.seconds for result in results),
            grade=max((result.grade for result in results), default=""),
        )

    def seen(self, name: str, attempt: int, phase: str) -> bool:
        """Tell whether any pair of a phase has come back."""
        names = self._batches(name, attempt, phase)
        decoded = [decode_result(text) for text in self.store.batches.results(names) if text] if names else []
        return any(isinstance(result, PairsResult) and result.pairs for result in decoded)

    def _failed(self, name: str) -> list[str]:
        """Return which verifiers failed at an experiment before this attempt."""
        return (self.store.experiments.field(name, FAILED) or "").split()

    def forget(self, name: str, attempt: int, phases: Sequence[str]) -> None:
        """Drop what was measured."""
        self.store.batches.forget([batch for phase in phases for batch in self._batches(name, attempt, phase)])

    def disclosed(self, series: Series, indices: Sequence[int]) -> tuple[str, ...]:
        """Return the seeds of an accept as ``RUN-SCORER``, one for each pair, so that anybody can run it again."""
        if series.opened.deterministic:
            return ()  # the score does not depend on them, and one constant for all candidates stays secret
        return tuple(f"{run}-{scorer}" for run, scorer in (self._seeds(series, index) for index in indices))

    def _pair(self, series: Series, index: int) -> PairOrder:
        run, scorer = self._seeds(series, index)
        return PairOrder(
            index=index,
            run_seed=run,
            scorer_seed=scorer,
            # Equal on both sides. Different from pair to pair, which is what repeating a deterministic run is for.
            hash_seed=secrets.randbelow(2**32) if series.opened.deterministic else run % 2**32,
            first="candidate" if secrets.randbits(1) else "incumbent",
        )

    def _seeds(self, series: Series, index: int) -> tuple[int, int]:
        name, revision = series.opened.problem.name, series.opened.revision
        if series.opened.deterministic:
            return constant_seeds(self.seed_key, name, revision)
        about = (name, revision, series.name, series.attempt, index)
        return derive_seed(self.seed_key, "run", *about), derive_seed(self.seed_key, "scorer", *about)

    def _batches(self, name: str, attempt: int, phase: str) -> list[str]:
        found: list[str] = []
        for number in count():
            batch = _batch(name, attempt, phase, number)
            if not self.store.batches.exists(batch):
                return found
            found.append(batch)
        return found


def names_of(verifiers: Iterable[str]) -> str:
    """Return the names of those that measured, each once, in their order."""
    return ", ".join(dict.fromkeys(name for name in verifiers if name))


def _batch(name: str, attempt: int, phase: str, number: int) -> str:
    return f"{name}.{attempt}.{phase}.{number}"


def more_pairs(problem: Problem, pairs: int) -> int:
    """Return how many pairs to measure after ``pairs`` undecided ones, at least one."""
    rules = problem.acceptance
    if rules.noise is Noise.NONE:
        return max(1, _EXACT_PAIRS - pairs)
    if rules.noise is Noise.SEED:
        return max(1, next_batch(pairs, rules.max_pairs))
    if pairs < WARM_UP_PAIRS:
        return WARM_UP_PAIRS - pairs + next_batch(0, rules.max_pairs)
    return max(1, next_batch(pairs - WARM_UP_PAIRS, rules.max_pairs))


def fresh_pairs(problem: Problem, decided: int) -> int:
    """Return how many pairs to measure for the score of an accept that ``decided`` pairs settled.

    Those that warm caches are not among the published ones: a batch of its own starts as cold as the first.
    """
    return publication_pairs(decided) + (WARM_UP_PAIRS if problem.acceptance.noise is Noise.TIMING else 0)
