"""The referee: looks at an experiment and does the next thing; the only one who decides and who writes git.

Not here: measuring (``verifier``), the statistics (``judgement``), opening problems (``opening``). Every look is
idempotent: it reads the records, and what it does is fenced, so a bell may ring twice, and a referee that is killed
anywhere goes on where it was.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import redis
import structlog

from ar_coordinator import judgement
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.evidence import Evidence, Score
from ar_coordinator.git_store import StaleHeadError
from ar_coordinator.histories import Histories
from ar_coordinator.judgement import Judgement, Published
from ar_coordinator.seeds import constant_seeds, derive_seed
from ar_coordinator.store import Store
from ar_coordinator.store.connection import now_ms
from ar_coordinator.store.experiments import Waiting
from ar_coordinator.work_order import PairOrder, PairResult, PairsOrder, PairsResult, decode_result, encode
from ar_core.acceptance import Verdict, Window, derive_window, next_batch, publication_pairs
from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.manifest import read_manifest
from ar_core.metric import improvement
from ar_core.problem import MANIFEST_NAME, Noise, Problem
from ar_core.records import Experiment

log = structlog.get_logger("referee")

LOOK_AGAIN_MS = 10_000
_RETRY_MS = (1_000, 5_000, 30_000, 120_000)
_PUBLICATION_INDEX = 1_000_000
"""Pairs of the publication have seeds of their own, far from those of the comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProblem:
    """What a verification needs to know of the problem as it is now."""

    problem: Problem
    revision: int
    head: str
    best_blob: str
    files: dict[str, str]
    window: Window | None
    locked_digest: str
    evaluation: float


@dataclass(frozen=True, slots=True)
class Referee:
    """The single writer of git; ``parallel`` is how many experiments are verified at a time."""

    store: Store
    doorbell: Doorbell
    histories: Histories
    seed_key: bytes
    parallel: int

    def look_at_experiment(self, experiment_id: str) -> None:
        """Do the next thing for one experiment, then start what waits."""
        x = self.store.experiments.get(experiment_id)
        if x is not None and x.state is ExperimentState.VERIFYING:
            try:
                self._go_on(x)
            except redis.RedisError:
                raise
            except Exception as error:
                # One experiment that cannot be gone on with must not keep its place, or the pool comes to a stand.
                log.exception("a look at an experiment failed", experiment=x.id)
                self._trouble(x, self.store.experiments.attempt(x.id), type(error).__name__)
        self.start_waiting()

    def start_waiting(self) -> None:
        """Start queued experiments while there are places: in turn among contributors, each in its own order."""
        free = self.parallel - len(self.store.experiments.verifying())
        if free <= 0 or self.store.draining():
            return
        for waiting in in_turn(self._waiting(now_ms()), self._at_work()):
            if free <= 0:
                return
            free -= self._try_to_start(waiting.id)

    def _waiting(self, now: int) -> list[Waiting]:
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
        return [w for w in queued if w.problem in ready and w.not_before <= now]

    def _revised(self, problem: str) -> bool:
        return self.store.problems.registering(problem) is not None

    def _at_work(self) -> Counter[str]:
        """Return how many experiments of each contributor are being verified."""
        running = self.store.experiments.get_many(self.store.experiments.verifying())
        return Counter(x.contributor for x in running)

    def _try_to_start(self, experiment_id: str) -> bool:
        try:
            return self._start(experiment_id)
        except redis.RedisError:
            raise
        except Exception:
            # A problem that cannot be read keeps its own experiments waiting, not everybody's.
            log.exception("a queued experiment does not start", experiment=experiment_id)
            self.store.experiments.wait_until(experiment_id, now_ms() + _RETRY_MS[-1])
            return False

    def _start(self, experiment_id: str) -> bool:
        x = self.store.experiments.get(experiment_id)
        if x is None or self.store.problems.field(x.problem, "state") != ProblemState.OPEN:
            return False
        opened = self._open(x.problem)
        attempt = self.store.experiments.start(
            x.id,
            now_ms() + LOOK_AGAIN_MS,
            revision=opened.revision,
            incumbent_commit=opened.head,
            incumbent_blob=opened.best_blob,
            updated=datetime.now(UTC),
        )
        if not attempt:
            return False
        self._order(x, opened, attempt, "compare", 0, self._first_pairs(opened.problem), opened.best_blob)
        return True

    def _go_on(self, x: Experiment) -> None:
        experiments = self.store.experiments
        experiments.ring_again(x.id, now_ms() + LOOK_AGAIN_MS)
        attempt = experiments.attempt(x.id)
        incumbent_commit = experiments.field(x.id, "incumbent_commit") or ""
        opened = self._open(x.problem)
        if opened.head != incumbent_commit:
            self._again(x, attempt, "The best version changed meanwhile.", delay_ms=0)
            return
        batches = self._batches(x.id, attempt, "compare")
        results = self._results(batches)
        if results is None:
            return
        if not batches:
            self._order(x, opened, attempt, "compare", 0, self._first_pairs(opened.problem), opened.best_blob)
            return
        trouble = next((r.trouble for r in results if r.trouble), "")
        if trouble:
            self._trouble(x, attempt, trouble)
            return
        pairs = [pair for result in results for pair in result.pairs]
        judged = judgement.judge(opened.problem, opened.window, pairs)
        verifier = results[-1].verifier
        match judged.decision.verdict:
            case Verdict.CONTINUE:
                n = next_batch(len(pairs), opened.problem.acceptance.max_pairs)
                orders = range(len(pairs), len(pairs) + n)
                self._order(x, opened, attempt, "compare", len(batches), orders, opened.best_blob)
            case Verdict.REJECT:
                self._reject(x, attempt, judged, verifier)
            case Verdict.PAUSE:
                self._pause(x, attempt, judged)
            case Verdict.ACCEPT:
                self._publish(x, opened, attempt, judged, pairs, verifier)

    def _publish(
        self, x: Experiment, opened: OpenProblem, attempt: int, judged: Judgement, pairs: Sequence[PairResult],
        verifier: str,
    ) -> None:  # fmt: skip
        """Measure the published score on fresh pairs where there is noise, look at guards, and commit."""
        broken = judgement.failed_guard(opened.problem, pairs)
        if broken is not None:
            self._reject(x, attempt, judged, verifier, Reason.GUARD_FAILED, broken)
            return
        fresh: Sequence[PairResult] = pairs
        first = 0
        if opened.problem.acceptance.noise is not Noise.NONE:
            batches = self._batches(x.id, attempt, "publish")
            first = _PUBLICATION_INDEX
            if not batches:
                # From the pairs that decided, which the commit states, so that anyone can tell how many to expect.
                indices = range(first, first + publication_pairs(judged.decision.n))
                self._order(x, opened, attempt, "publish", 0, indices, opened.best_blob)
                return
            results = self._results(batches)
            if results is None:
                return
            if results[0].trouble:
                self._trouble(x, attempt, results[0].trouble)
                return
            fresh = results[0].pairs
        published = judgement.publish(opened.problem, opened.window, fresh)
        if published.gain <= 0:
            # What is committed states its gain: a version that came out worse on fresh seeds is no record.
            self._reject(x, attempt, judged, verifier, Reason.NOT_REPRODUCED, _not_again(published))
            return
        doubt = judgement.implausible(opened.problem, published)
        if doubt is not None and not self.store.experiments.field(x.id, "released"):
            self._hold(x, attempt, judged, published, verifier, doubt)
            return
        seeds = self._disclosed(opened, x, attempt, [p.index for p in fresh])
        self._commit(x, opened, attempt, judged, published, verifier, seeds)

    def _commit(
        self, x: Experiment, opened: OpenProblem, attempt: int, judged: Judgement, published: Published,
        verifier: str, seeds: tuple[str, ...],
    ) -> None:  # fmt: skip
        decision = judged.decision
        evidence = Evidence(
            experiment=x.id,
            problem=x.problem,
            revision=opened.revision,
            contributor=x.contributor,
            worker=x.worker,
            agent=x.agent,
            score=Score(
                value=published.score,
                unit=opened.problem.metric.unit,
                n=published.n,
                interval=published.interval,
            ),
            baseline=published.baseline,
            claimed=x.claimed,
            gain=published.gain,
            pairs=decision.n,
            evidence=None if decision.exact else decision.evidence,
            verifier=verifier,
            locked_digest=opened.locked_digest,
            parent_experiment=self._experiment_of_best(x.problem),
            seeds=seeds,
        )
        when = datetime.now(UTC)
        message = evidence.to_message(x.note, decimals=opened.problem.metric.decimals)
        content = self.store.blobs.get(x.blob)
        repository = self.histories.repository(x.problem)
        try:
            commit = repository.commit_accept(
                opened.head, opened.problem.files.mutable, content, message, x.contributor, when
            )
        except StaleHeadError:
            self.histories.reconcile(x.problem)
            self._again(x, attempt, "The best version changed meanwhile.", delay_ms=0)
            return
        self.histories.apply_accept(x, evidence, commit, opened.head, when, explanation=decision.explanation,
                                    published=published, feedback=judged.feedback,
                                    gain_interval=decision.interval)  # fmt: skip
        self._forget(x.id, attempt)
        log.info("accepted", experiment=x.id, problem=x.problem, score=published.score, commit=commit)
        self.doorbell.look_around()

    def _reject(
        self, x: Experiment, attempt: int, judged: Judgement, verifier: str,
        reason: Reason | None = None, explanation: str = "",
    ) -> None:  # fmt: skip
        changes = self._measured(x, judged, verifier)
        self.store.experiments.move(
            x.id, ExperimentState.VERIFYING, ExperimentState.REJECTED, attempt=attempt,
            **{**changes, "reason": reason or judged.decision.reason or Reason.NO_IMPROVEMENT,
               "explanation": explanation or judged.decision.explanation},
        )  # fmt: skip
        self._forget(x.id, attempt)

    def _hold(
        self, x: Experiment, attempt: int, judged: Judgement, published: Published, verifier: str, doubt: str
    ) -> None:
        changes = self._measured(x, judged, verifier)
        changes |= {"verified": published.score, "incumbent": published.baseline, "gain": published.gain}
        self.store.experiments.move(
            x.id, ExperimentState.VERIFYING, ExperimentState.HELD, attempt=attempt,
            **{**changes, "reason": Reason.IMPLAUSIBLE,
               "explanation": f"{doubt} A person decides: the pool's operator can release or refuse it."},
        )  # fmt: skip
        self._forget(x.id, attempt)

    def _pause(self, x: Experiment, attempt: int, judged: Judgement) -> None:
        """The problem is not what it says it is: nothing is held against the candidate, which waits."""
        self.store.problems.set_state(
            x.problem, ProblemState.OPEN, ProblemState.PAUSED, state_reason=judged.decision.explanation
        )
        self._again(x, attempt, judged.decision.explanation, delay_ms=0)

    def _trouble(self, x: Experiment, attempt: int, trouble: str) -> None:
        failures = self.store.experiments.count_up(x.id, "failures")
        log.warning("verification failed", experiment=x.id, problem=x.problem, trouble=trouble, failures=failures)
        delay = _RETRY_MS[min(failures, len(_RETRY_MS)) - 1]
        self._again(x, attempt, f"A verifier failed ({trouble}); it is tried again.", delay_ms=delay)

    def _again(self, x: Experiment, attempt: int, explanation: str, *, delay_ms: int) -> None:
        """Put an experiment back: trouble of ours, or another best version to beat."""
        self.store.experiments.move(
            x.id, ExperimentState.VERIFYING, ExperimentState.QUEUED, attempt=attempt, explanation=explanation,
            not_before=now_ms() + delay_ms, updated=datetime.now(UTC),
        )  # fmt: skip
        self._forget(x.id, attempt)

    def _measured(self, x: Experiment, judged: Judgement, verifier: str) -> dict[str, object]:
        decision = judged.decision
        gain = decision.mean_gain
        if gain is None and judged.candidate is not None and judged.incumbent is not None:
            direction = self._open(x.problem).problem.metric.direction
            gain = improvement(direction, judged.candidate, judged.incumbent)
        low, high = decision.interval or (None, None)
        return {
            "verified": judged.candidate,
            "incumbent": judged.incumbent,
            "gain": gain,
            "gain_low": low,
            "gain_high": high,
            "pairs": decision.n,
            "evidence": None if decision.exact else decision.evidence,
            "exact": decision.exact,
            "verifier": verifier,
            "feedback": judged.feedback,
            "updated": datetime.now(UTC),
        }

    def _order(
        self, x: Experiment, opened: OpenProblem, attempt: int, phase: str, number: int, indices: Sequence[int],
        incumbent: str,
    ) -> None:  # fmt: skip
        batch = _batch_id(x.id, attempt, phase, number)
        deterministic = opened.problem.acceptance.noise is Noise.NONE
        pairs = [self._pair(opened, x, attempt, index, deterministic=deterministic) for index in indices]
        order = PairsOrder(
            problem=x.problem,
            revision=opened.revision,
            experiment=x.id,
            attempt=attempt,
            files=opened.files,
            candidate=x.blob,
            incumbent=incumbent,
            pairs=pairs,
            deterministic=deterministic,
        )
        seconds = 2 * len(pairs) * (opened.problem.evaluation.seconds_at_most + 2) + 60
        self.store.batches.create(batch, encode(order), seconds)
        self.doorbell.run_order(batch, seconds)

    def _pair(
        self, opened: OpenProblem, x: Experiment, attempt: int, index: int, *, deterministic: bool
    ) -> PairOrder:
        run, scorer = self._seeds(opened, x, attempt, index)
        return PairOrder(
            index=index,
            run_seed=run,
            scorer_seed=scorer,
            # Equal on both sides. Different from pair to pair, which is what repeating a deterministic run is for.
            hash_seed=secrets.randbelow(2**32) if deterministic else run % 2**32,
            first="candidate" if secrets.randbits(1) else "incumbent",
        )

    def _seeds(self, opened: OpenProblem, x: Experiment, attempt: int, index: int) -> tuple[int, int]:
        name, revision = x.problem, opened.revision
        if opened.problem.acceptance.noise is Noise.NONE:
            return constant_seeds(self.seed_key, name, revision)
        run = derive_seed(self.seed_key, "run", name, revision, x.id, attempt, index)
        return run, derive_seed(self.seed_key, "scorer", name, revision, x.id, attempt, index)

    def _disclosed(self, opened: OpenProblem, x: Experiment, attempt: int, indices: Sequence[int]) -> tuple[str, ...]:
        """Return the seeds of an accept as ``RUN-SCORER``, one for each pair, so that anybody can run it again."""
        if opened.problem.acceptance.noise is Noise.NONE:
            return ()  # the score does not depend on them, and one constant for all candidates stays secret
        pairs = (self._seeds(opened, x, attempt, index) for index in indices)
        return tuple(f"{run}-{scorer}" for run, scorer in pairs)

    def _open(self, name: str) -> OpenProblem:
        return open_problem(self.store, name)

    def _first_pairs(self, problem: Problem) -> Sequence[int]:
        return range(2 if problem.acceptance.noise is Noise.NONE else next_batch(0, problem.acceptance.max_pairs))

    def _experiment_of_best(self, problem: str) -> str | None:
        return self.store.problems.field(problem, "best_experiment") or None

    def _batches(self, experiment_id: str, attempt: int, phase: str) -> list[str]:
        found: list[str] = []
        for number in count():
            batch = _batch_id(experiment_id, attempt, phase, number)
            if not self.store.batches.exists(batch):
                return found
            found.append(batch)
        return found

    def _results(self, batches: Sequence[str]) -> list[PairsResult] | None:
        """Return the results of all batches, ``None`` while one is missing."""
        texts = self.store.batches.results(batches) if batches else []
        results = [decode_result(text) for text in texts if text is not None]
        if len(results) < len(batches):
            return None
        return [result for result in results if isinstance(result, PairsResult)]

    def _forget(self, experiment_id: str, attempt: int) -> None:
        names = [b for phase in ("compare", "publish") for b in self._batches(experiment_id, attempt, phase)]
        self.store.batches.forget(names)


def open_problem(store: Store, name: str) -> OpenProblem:
    """Read what a verification needs of a problem that has a best version."""
    fields = store.problems.fields(name)
    files = dict(item.split(" ", 1)[::-1] for item in fields["files"].splitlines())
    problem = read_manifest(store.blobs.get(files[MANIFEST_NAME]))
    window = None
    if problem.acceptance.noise is not Noise.NONE:
        window = derive_window(
            mean=float(fields["best"]),
            sd=float(fields.get("best_sd", "0")),
            min_gain=problem.acceptance.min_gain,
            explicit=problem.acceptance.window,
            low=problem.metric.low,
            high=problem.metric.high,
        )
    return OpenProblem(
        problem=problem,
        revision=int(fields["revision"]),
        head=fields["head"],
        best_blob=fields["best_blob"],
        files=files,
        window=window,
        locked_digest=fields["locked_digest"],
        evaluation=float(fields.get("evaluation", "0")),
    )


def in_turn(waiting: Iterable[Waiting], at_work: Counter[str]) -> list[Waiting]:
    """Order what waits so that nobody's many go before another's few.

    ``waiting`` is in the order of arrival, which stays the order of each contributor's own; ``at_work`` counts
    the places that each holds already.
    """
    places = Counter(at_work)
    turns: list[tuple[int, int, Waiting]] = []
    for arrival, item in enumerate(waiting):
        turns.append((places[item.contributor], arrival, item))
        places[item.contributor] += 1
    return [item for _, _, item in sorted(turns, key=lambda turn: turn[:2])]


def _not_again(published: Published) -> str:
    return (
        f"The gain did not come back: on {published.n} fresh pairs it scored {published.score:g}, "
        f"and the current best {published.baseline:g}."
    )


def _batch_id(experiment: str, attempt: int, phase: str, number: int) -> str:
    return f"{experiment}.{attempt}.{phase}.{number}"
