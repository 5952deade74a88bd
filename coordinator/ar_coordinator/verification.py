"""The verification of one experiment: the next thing to do for it, until it is settled.

Not here: which experiments are verified when (``referee``), having pairs measured (``measuring``) and the statistics
(``judgement``). Every step is idempotent: it reads the records, and what it does is fenced by the attempt.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import redis
import structlog

from ar_coordinator import judgement, release, settlement
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.git_store import RepositoryError, StaleHeadError
from ar_coordinator.histories import Histories
from ar_coordinator.judgement import Judgement, Published
from ar_coordinator.measuring import FAILED, Measured, Measuring, Series, fresh_pairs, more_pairs
from ar_coordinator.open_problem import OpenProblem, open_problem
from ar_coordinator.rebasing import may_rebase, rebase
from ar_coordinator.store import Store
from ar_coordinator.store.connection import now_ms
from ar_coordinator.store.problems import comparable
from ar_core.acceptance import Verdict, strict_level
from ar_core.candidate import content_hash, sha256
from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.metric import improvement
from ar_core.problem import Noise
from ar_core.records import Experiment

log = structlog.get_logger("referee")

LOOK_AGAIN_MS = 10_000
RETRY_MS = (1_000, 5_000, 30_000, 120_000)
TRIALS, TRIALS_ACCEPTED = "trials", "trials_accepted"
"""Fields of a problem: verifications begun under its strict rule, and how many of them accepted."""
_LOOK_FIRST_MS = 5_000
_PUBLICATION_INDEX = 1_000_000
"""Pairs of the publication have seeds of their own, far from those of the comparison."""
_COMPARE, _PUBLISH = _PHASES = ("compare", "publish")
_NO_GAIN = frozenset({Reason.NO_IMPROVEMENT, Reason.INCONCLUSIVE})


@dataclass(frozen=True, slots=True)
class Verification:
    """Takes experiments from queued to settled."""

    store: Store
    doorbell: Doorbell
    histories: Histories
    measuring: Measuring

    def start(self, x: Experiment) -> bool:
        """Begin with a queued experiment of an open problem; ``False`` when it is not queued any more."""
        # A commit that Redis never heard of (git failed behind it) is today's best, whoever made it.
        self.histories.reconcile(x.problem)
        opened = open_problem(self.store, x.problem)
        attempt = self.store.experiments.start(
            x.id,
            now_ms() + LOOK_AGAIN_MS,
            revision=opened.revision,
            incumbent_commit=opened.head,
            incumbent_blob=opened.best_blob,
            alpha=self._level(x, opened),
            updated=datetime.now(UTC),
        )
        if not attempt:
            return False
        self._order_first(_series(x, opened, attempt, _COMPARE))
        return True

    def go_on(self, x: Experiment) -> None:
        """Do the next thing for an experiment that is being verified."""
        experiments = self.store.experiments
        experiments.ring_again(x.id, now_ms() + LOOK_AGAIN_MS)
        attempt = experiments.attempt(x.id)
        opened = open_problem(self.store, x.problem)
        if opened.head != (experiments.field(x.id, "incumbent_commit") or ""):
            self._again(x, attempt, "The best version changed meanwhile.", delay_ms=0)
            return
        if self.store.problems.field(x.problem, "state") != ProblemState.OPEN:
            self._again(x, attempt, "Its problem was closed meanwhile.", delay_ms=0, looked=True)
            return
        series = _series(x, opened, attempt, _COMPARE)
        measured = self.measuring.look(series)
        if measured is None:
            return
        if not measured.batches:
            self._order_first(series)
            return
        if measured.trouble:
            self.trouble(x, attempt, measured.trouble, measured.failed)
            return
        alpha = float(experiments.field(x.id, "alpha") or judgement.ALPHA)
        judged = judgement.judge(
            opened.problem, opened.window, measured.pairs, alpha=alpha, shorter=self._is_shorter(series)
        )
        match judged.decision.verdict:
            case Verdict.CONTINUE:
                n = len(measured.pairs)
                self.measuring.order(series, measured.batches, range(n, n + more_pairs(opened.problem, n)))
            case Verdict.REJECT:
                self._settle_without_gain(x, series, judged, measured)
            case Verdict.PAUSE:
                self._best_is_broken(x, opened, attempt, judged)
            case Verdict.ACCEPT:
                self._publish(x, series, judged, measured)

    def trouble(
        self, x: Experiment, attempt: int, trouble: str, failed: Sequence[str] = (), *, looked: bool = True
    ) -> None:  # fmt: skip
        """Put an experiment back because something of ours failed, and wait longer each time.

        The verifiers that ``failed`` leave it to others at first. ``looked`` as for ``_again``.
        """
        failures = self.store.experiments.count_up(x.id, "failures")
        log.warning("verification failed", experiment=x.id, problem=x.problem, trouble=trouble, failures=failures)
        delay = RETRY_MS[min(failures, len(RETRY_MS)) - 1]
        explanation = f"A verifier failed ({trouble}); it is tried again."
        self._again(x, attempt, explanation, delay_ms=delay, failed=failed, looked=looked)

    def recover(self, x: Experiment, trouble: str) -> None:
        """Put an experiment back that could not be gone on with, unless git has it as accepted already."""
        try:
            self.histories.reconcile(x.problem)
        except redis.RedisError:
            raise
        except Exception:
            log.exception("git and Redis could not be compared", problem=x.problem)
        now = self.store.experiments.get(x.id)
        if now is not None and now.state is ExperimentState.VERIFYING:
            self.trouble(x, self.store.experiments.attempt(x.id), trouble)

    def _order_first(self, series: Series) -> None:
        self.measuring.order(series, 0, range(more_pairs(series.opened.problem, 0)))

    def _level(self, x: Experiment, opened: OpenProblem) -> float:
        """Return the level of the verification that begins; the strict rule's shrinks with each one that began.

        Attempts after failures of ours share one level more, whatever their number: 1/2 + 1/6 + 1/12 + … = 1.
        """
        looks = int(self.store.experiments.field(x.id, "looks") or 0)
        level = judgement.ALPHA / (looks * (looks + 1)) if looks else judgement.ALPHA
        if not opened.problem.acceptance.strict:
            return level
        trial = self.store.problems.count_up(opened.problem.name, TRIALS)
        accepted = int(self.store.problems.field(opened.problem.name, TRIALS_ACCEPTED) or 0)
        return strict_level(level, trial, min(accepted, trial - 1))

    def _is_shorter(self, series: Series) -> bool:
        if not series.opened.problem.acceptance.simpler:
            return False
        return len(self.store.blobs.get(series.candidate)) < len(self.store.blobs.get(series.incumbent))

    # --- Accepting

    def _publish(self, x: Experiment, series: Series, judged: Judgement, measured: Measured) -> None:
        """Measure the published score on fresh pairs where there is noise, look at guards, and commit."""
        opened = series.opened
        broken = judgement.failed_guard(opened.problem, judged.rests_on, numbers=opened.ladder.step is None)
        if broken is not None:
            self._reject(x, series, judged, measured, Reason.GUARD_FAILED, broken)
            return
        again = measured
        if not opened.deterministic:
            publication = _series(x, opened, series.attempt, _PUBLISH)
            fresh = self.measuring.look(publication)
            if fresh is None:
                return
            if not fresh.batches:
                # From the pairs that decided, which the commit states, so that anyone can tell how many to expect.
                n = fresh_pairs(opened.problem, judged.decision.n)
                self.measuring.order(publication, 0, range(_PUBLICATION_INDEX, _PUBLICATION_INDEX + n))
                return
            if fresh.trouble:
                self.trouble(x, series.attempt, fresh.trouble, fresh.failed, looked=False)
                return
            again = replace(fresh, pairs=tuple(judgement.without_warm_up(opened.problem, fresh.pairs)))
        published = judgement.publish(opened.problem, opened.window, again.pairs)
        numbers = opened.ladder.step is None
        lost = judgement.not_again(opened.problem, judged, published, numbers=numbers) or (
            judgement.no_gain_on_average(opened.problem, opened.window, judged, again.pairs)
        )
        if lost is not None:
            # What is committed states its gain: a version that came out worse on fresh seeds is no record.
            self._reject(x, series, judged, measured, Reason.NOT_REPRODUCED, lost)
            return
        doubt = judgement.implausible(opened.problem, published, numbers=numbers)
        if doubt is not None and not self.store.experiments.field(x.id, "released"):
            self._hold(x, series, judged, measured, doubt)
            return
        audit = self.store.audits.get(x.problem)
        if audit is not None and audit.doubted:
            # The best is about to be taken back, or not: until that is known a step beyond it may be none. Looked at
            # again when the audit has ended.
            return
        self._commit(x, series, judged, measured, published, again)

    def _commit(
        self, x: Experiment, series: Series, judged: Judgement, measured: Measured, published: Published,
        again: Measured,
    ) -> None:  # fmt: skip
        """Commit an accept; ``published`` was measured in the pairs of ``again``."""
        opened = series.opened
        told = release.of_accept(opened.problem, opened.ladder, judged)
        published = release.of_publication(opened.problem, opened.ladder, published)
        evidence = settlement.evidence_of_accept(
            x, opened, judged, told, published, measured, again,
            rebased=bool(self.store.experiments.field(x.id, "rebased_from")),
            parent=self.store.problems.field(x.problem, "best_experiment") or None,
            seeds=self.measuring.disclosed(series, [pair.index for pair in again.pairs]),
        )  # fmt: skip
        when = datetime.now(UTC)
        message = evidence.to_message(x.note, decimals=opened.problem.metric.decimals)
        content = self.store.blobs.get(x.blob)
        repository = self.histories.repository(x.problem)
        # The commit states what is published. What was verified is written down before, so that no crash loses it.
        self.store.experiments.note(x.id, **settlement.record(told, judged, measured))
        try:
            commit = repository.commit_accept(
                opened.head, opened.problem.files.mutable, content, message, x.contributor, when
            )
        except StaleHeadError:
            self.histories.reconcile(x.problem)
            self._again(x, series.attempt, "The best version changed meanwhile.", delay_ms=0)
            return
        self.histories.apply_accept(
            x, evidence, commit, opened.head, when, explanation=told.explanation,
            published=settlement.published_score(published, again), sd=published.sd,
        )  # fmt: skip
        if opened.problem.acceptance.strict:
            # After the accept: one that a kill leaves uncounted makes the rule stricter, never more lenient.
            self.store.problems.count_up(x.problem, TRIALS_ACCEPTED)
        self._close(series, measured)
        log.info("accepted", experiment=x.id, problem=x.problem, score=published.score, commit=commit)
        self.doorbell.look_around()

    # --- Not accepting

    def _settle_without_gain(self, x: Experiment, series: Series, judged: Judgement, measured: Measured) -> None:
        """Reject, unless the candidate was built on an older version and its change can be made on today's best."""
        if series.opened.ladder.step is not None and judged.decision.reason in _NO_GAIN:
            # Else a file that breaks a guard on purpose could ask "better or not" without ever becoming the best.
            broken = judgement.failed_guard(series.opened.problem, judged.rests_on, numbers=False)
            if broken is not None:
                self._reject(x, series, judged, measured, Reason.GUARD_FAILED, broken)
                return
        stale = judged.decision.reason in _NO_GAIN and self._is_stale(x, series)
        if not (stale and self._beat_its_parent(x, series, judged) and self._rebase(x, series, measured)):
            self._reject(x, series, judged, measured)

    def _is_stale(self, x: Experiment, series: Series) -> bool:
        """Tell whether another version was the best when this one was built, and it was not rebased already."""
        stale = bool(x.parent) and x.parent != series.opened.head
        return stale and not self.store.experiments.field(x.id, "rebased_from")

    def _beat_its_parent(self, x: Experiment, series: Series, judged: Judgement) -> bool:
        """Guess whether a stale candidate was a gain where it was built, from what its parent was published with.

        A stored score is no evidence, which is not asked for here: only whether the change is worth another
        verification. It is moved by as much as the best came out otherwise this time than it was published.
        """
        opened, direction = series.opened, series.opened.problem.metric.direction
        records = self.store.problems.records(x.problem)
        published = {r.commit: r.score for r in comparable(records, opened.revision)}
        parent, best = published.get(x.parent), published.get(opened.head)
        if parent is None or best is None or judged.candidate is None or judged.incumbent is None:
            return False
        slack = opened.ladder.step or 0.0  # both published scores were rounded to it
        if opened.problem.acceptance.noise is Noise.TIMING:
            # Times of one moment differ from those of another by a factor.
            return improvement(direction, judged.candidate * best, parent * judged.incumbent) > 0
        return improvement(direction, judged.candidate - judged.incumbent, parent - best) + slack > 0

    def _rebase(self, x: Experiment, series: Series, measured: Measured) -> bool:
        """Queue the candidate's change on today's best instead, once and within the budget; tell whether it was."""
        runs = 2 * len(measured.pairs)
        if not self._may_rebase(x.problem, runs):
            return False
        opened = series.opened
        try:
            parent = self.histories.repository(x.problem).read_file(x.parent, opened.problem.files.mutable)
            candidate, best = self.store.blobs.get(x.blob), self.store.blobs.get(opened.best_blob)
            content = rebase(opened.problem, parent, candidate, best)
        except (RepositoryError, OSError, subprocess.SubprocessError) as error:
            log.warning("not rebased", experiment=x.id, problem=x.problem, error=type(error).__name__)
            return False
        if content is None:
            return False
        # From now on a file that was seen: others' stale changes may lead to the same one.
        if self.store.experiments.claims_first(x.problem, opened.revision, content_hash(content), x.id) != x.id:
            return False
        blob = sha256(content)
        self.store.blobs.put(content)
        moved = self.store.experiments.move(
            x.id, ExperimentState.VERIFYING, ExperimentState.QUEUED, attempt=series.attempt, blob=blob,
            rebased_from=x.blob, released=None, not_before=0, updated=datetime.now(UTC),
            explanation="No better than today's best as it was; its change is tried on today's best.",
        )  # fmt: skip
        # What it took so far went into the file as it was proposed.
        self._close(series, measured, rebased=False)
        log.info("rebased", experiment=x.id, problem=x.problem)
        return moved

    def _may_rebase(self, problem: str, runs: int) -> bool:
        """Tell whether as many runs again stay within the share of verification that rebasing may take."""
        spent = int(self.store.problems.field(problem, "runs") or 0)
        rebased = int(self.store.problems.field(problem, "runs_rebased") or 0)
        return may_rebase(runs, rebased=rebased, spent=spent)

    def _reject(
        self, x: Experiment, series: Series, judged: Judgement, measured: Measured,
        reason: Reason | None = None, explanation: str = "",
    ) -> None:  # fmt: skip
        told = release.of_others(series.opened.problem, series.opened.ladder, judged)
        word = reason or judged.decision.reason or Reason.NO_IMPROVEMENT
        self.store.experiments.move(
            x.id, ExperimentState.VERIFYING, ExperimentState.REJECTED, attempt=series.attempt, reason=word,
            explanation=explanation or told.explanation, **settlement.record(told, judged, measured),
        )  # fmt: skip
        self._close(series, measured)

    def _hold(self, x: Experiment, series: Series, judged: Judgement, measured: Measured, doubt: str) -> None:
        problem, ladder = series.opened.problem, series.opened.ladder
        told, kept = release.of_others(problem, ladder, judged), release.everything(problem, judged)
        self.store.experiments.move(
            x.id, ExperimentState.VERIFYING, ExperimentState.HELD, attempt=series.attempt,
            **{**settlement.record(told, judged, measured), "reason": Reason.IMPLAUSIBLE,
               # What the operator decides by, where nobody else is told.
               "kept": None if ladder.step is None else kept,
               "explanation": f"{doubt} A person decides: the pool's operator can release or refuse it."},
        )  # fmt: skip
        self._close(series, measured)

    def _best_is_broken(self, x: Experiment, opened: OpenProblem, attempt: int, judged: Judgement) -> None:
        """The best version gave nothing to compare with; nothing is held against the candidate, which waits.

        A version that somebody proposed is looked at by an audit, which can take it back: else whoever gets in a file
        that fails now and then could stop the problem. Where it is the published file, the problem is not what it
        says it is.
        """
        words = release.explanation(opened.ladder, judged.decision)
        records = self.store.problems.records(x.problem)
        if records and records[-1].experiment and records[-1] in comparable(records, opened.revision):
            self.store.problems.update(x.problem, unrepeatable=opened.head)
            explanation = f"{words} An audit looks at it first."
            self._again(x, attempt, explanation, delay_ms=_LOOK_FIRST_MS, looked=True)
            self.doorbell.look_around()
            return
        self.store.problems.set_state(x.problem, ProblemState.OPEN, ProblemState.PAUSED, state_reason=words)
        self._again(x, attempt, words, delay_ms=0, looked=True)

    def _again(
        self, x: Experiment, attempt: int, explanation: str, *, delay_ms: int, failed: Sequence[str] = (),
        looked: bool = False,
    ) -> None:  # fmt: skip
        """Put an experiment back: trouble of ours, or another best version to beat.

        ``looked`` tells that the question stays the same: where scores were seen, the next attempt is another look.
        """
        if looked and self.measuring.seen(x.id, attempt, _COMPARE):
            self.store.experiments.count_up(x.id, "looks")
        self.store.experiments.move(
            x.id, ExperimentState.VERIFYING, ExperimentState.QUEUED, attempt=attempt, explanation=explanation,
            not_before=now_ms() + delay_ms, updated=datetime.now(UTC), **{FAILED: " ".join(failed)},
        )  # fmt: skip
        self.measuring.forget(x.id, attempt, _PHASES)

    def _close(self, series: Series, measured: Measured, *, rebased: bool | None = None) -> None:
        """Count what a settled verification took, and drop what was measured."""
        if rebased is None:
            rebased = bool(self.store.experiments.field(series.name, "rebased_from"))
        problem, runs = series.opened.problem.name, 2 * len(measured.pairs)
        self.store.problems.count_up(problem, "runs", runs)
        if rebased:
            self.store.problems.count_up(problem, "runs_rebased", runs)
        self.measuring.forget(series.name, series.attempt, _PHASES)


def _series(x: Experiment, opened: OpenProblem, attempt: int, phase: str) -> Series:
    return Series(
        opened=opened, name=x.id, attempt=attempt, phase=phase, candidate=x.blob, incumbent=opened.best_blob
    )
