"""Audits: the best version measured again beside older ones, and taken back where it turns out to be worse.

Not here: having pairs measured (``measuring``) and the statistics (``judgement``). One accept in
200 at most may be a false one; here what it has done is found and undone. Every step is idempotent, as in
``verification``.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from ar_coordinator import judgement, release
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.evidence import CONTINUES, Score
from ar_coordinator.git_store import StaleHeadError
from ar_coordinator.histories import Histories
from ar_coordinator.judgement import Judgement
from ar_coordinator.measuring import Measured, Measuring, Series, fresh_pairs, more_pairs
from ar_coordinator.open_problem import OpenProblem, open_problem
from ar_coordinator.repository import CommitRecord
from ar_coordinator.reversal import REVERTS, Reversal
from ar_coordinator.store import Store
from ar_coordinator.store.audits import Audit
from ar_coordinator.store.connection import now_ms
from ar_coordinator.verification import RETRY_MS
from ar_coordinator.work_order import SideResult
from ar_core.acceptance import Verdict, Window
from ar_core.lifecycle import ProblemState, Reason
from ar_core.problem import Problem

log = structlog.get_logger("referee")

EVERY_ACCEPTS = 20
STEPS_BACK = 10
ALPHA = 1 / 20
"""Evidence of 20 that the best is worse than an older version takes it back."""
_MOST_FAILURES = 10
"""After so many failures of ours in one audit it is left to the next."""
_SUSPECT_PAIRS, _SUSPECT_MISSES = 8, 2
"""So often a best version that did not repeat is run again, and so often it has to fail in them: once may be ours."""
_NAME = "audit-"
_PHASE = "audit"
_FRESH = "audit-publish"
_PHASES = (_PHASE, _FRESH)
_FRESH_INDEX = 1_000_000
"""As the pairs of an accept's publication, those of a reversal's have seeds far from those that decided."""


@dataclass(frozen=True, slots=True)
class Auditing:
    """Begins audits, goes on with them, and commits what follows from them."""

    store: Store
    doorbell: Doorbell
    histories: Histories
    measuring: Measuring
    pool: str

    def is_bell(self, name: str) -> bool:
        """Tell whether a bell rings for an audit and not for an experiment."""
        return name.startswith(_NAME)

    def answer(self, name: str) -> None:
        """Answer such a bell."""
        self.look(name.removeprefix(_NAME))

    def begin_due(self) -> None:
        """Begin what is due: every so many accepts, or because the operator asked; go on with the others."""
        for name in self.store.problems.names():
            fields = self.store.problems.fields(name)
            if fields.get("state") != ProblemState.OPEN:
                continue
            since = int(fields.get("accepted", "0")) - int(fields.get("audited", "0"))
            broken = fields.get("unrepeatable", "") == fields.get("head")
            due = since >= EVERY_ACCEPTS or fields.get("audit_asked") == "1" or broken
            if due and self.store.audits.get(name) is None:
                self.begin(name)
        for name in self.store.audits.running():
            self.look(name)

    def begin(self, problem: str, *, doubted: bool = False) -> None:
        """Begin an audit of a problem's best version, unless there is nothing older to compare it with.

        ``doubted`` tells that the one before it was found worse than something older.
        """
        opened = open_problem(self.store, problem)
        versions = self._versions(problem)
        last = len(versions) - 1
        broken = self.store.problems.field(problem, "unrepeatable") == opened.head
        begun = {
            "audited": self.store.problems.field(problem, "accepted") or "0", "audit_asked": "0", "unrepeatable": "",
        }  # fmt: skip
        if last < 1 or versions[last].commit != opened.head:
            self.store.problems.update(problem, **begun)
            return
        targets = [last - 1] if broken else sorted({0, max(0, last - STEPS_BACK)})
        log.info("audit begins", problem=problem, commit=opened.head)
        audit = Audit(
            problem=problem, revision=opened.revision, head=opened.head, number=self._next(problem), probe=targets[0],
            targets=" ".join(map(str, targets[1:])), broken=broken, doubted=doubted,
            window_low=opened.window.low if opened.window else None,
            window_high=opened.window.high if opened.window else None,
        )  # fmt: skip
        # In one step: a kill between the two would forget that an audit is due.
        self.store.audits.put(audit, **begun)
        self.look(problem)

    def look(self, problem: str) -> None:
        """Do the next thing for a problem's audit, if it has one."""
        audit = self.store.audits.get(problem)
        if audit is None or audit.not_before > now_ms():
            return
        opened = open_problem(self.store, problem)
        if opened.revision != audit.revision:
            self.store.audits.end(problem)
            return
        if audit.window_low is not None and audit.window_high is not None:
            # Fixed before the first pair was seen; an accept meanwhile moves that of the problem.
            opened = replace(opened, window=Window(low=audit.window_low, high=audit.window_high))
        series = self._series(audit, opened)
        measured = self.measuring.look(series)
        if measured is None:
            return
        if measured.trouble:
            self._try_again(audit, series, measured)
            return
        if not measured.batches:
            self.measuring.order(series, 0, range(_SUSPECT_PAIRS if audit.broken else more_pairs(opened.problem, 0)))
            return
        if audit.broken:
            self._step_back(audit, opened, series, measured)
            return
        judged = judgement.judge(self._rules(audit, opened), opened.window, measured.pairs, alpha=ALPHA)
        match judged.decision.verdict:
            case Verdict.CONTINUE:
                n = len(measured.pairs)
                self.measuring.order(series, measured.batches, range(n, n + more_pairs(opened.problem, n)))
            case Verdict.PAUSE:
                self._forget(series)
                newest = len(self._versions(problem, audit.head)) - 2
                self._go_to(
                    replace(
                        audit, broken=True, targets="", low=None, high=None, probe=newest, number=self._next(problem)
                    )
                )
            case Verdict.ACCEPT:
                self._found_worse(audit, opened, series, judged, measured)
            case Verdict.REJECT:
                self._found_fine(audit, series, judged)

    def _try_again(self, audit: Audit, series: Series, measured: Measured) -> None:
        """A verifier failed, which says nothing: later and on other seeds, and not for ever."""
        self._forget(series)
        failures = audit.failures + 1
        log.warning("audit failed", problem=audit.problem, trouble=measured.trouble, failures=failures)
        if failures >= _MOST_FAILURES:
            self.store.audits.end(audit.problem)
            return
        later = now_ms() + RETRY_MS[min(failures, len(RETRY_MS)) - 1]
        self.store.audits.put(
            replace(audit, failures=failures, not_before=later, number=self._next(audit.problem))
        )  # fmt: skip

    def _step_back(self, audit: Audit, opened: OpenProblem, series: Series, measured: Measured) -> None:
        """The best version did not repeat: if it fails again, go back to the newest one before it that does."""
        best = _misses(opened, (pair.incumbent for pair in measured.pairs))
        older = _misses(opened, (pair.candidate for pair in measured.pairs))
        if opened.head != audit.head:
            self._forget(series)
            self.store.audits.end(audit.problem)
        elif not audit.doubted and best < _SUSPECT_MISSES:
            # Once may have been the machine; if it was not, the next comparison asks again.
            self._forget(series)
            log.info("audit not confirmed", problem=audit.problem, pairs=len(measured.pairs))
            self.store.audits.end(audit.problem)
        elif older == 0:
            self._revert(audit, opened, series, measured, pairs=len(measured.pairs), evidence=None)
        elif older < _SUSPECT_MISSES:
            once = replace(measured, trouble="one run was not like the others")
            self._try_again(replace(audit, doubted=True), series, once)
        elif audit.probe > 0:
            self._forget(series)
            self._go_to(replace(audit, probe=audit.probe - 1, doubted=True, number=self._next(audit.problem)))
        else:
            self._forget(series)
            self.store.problems.set_state(
                audit.problem, ProblemState.OPEN, ProblemState.PAUSED,
                state_reason="The published file itself does not repeat; nothing can be compared with it.",
            )  # fmt: skip
            self.store.audits.end(audit.problem)

    def _found_fine(self, audit: Audit, series: Series, judged: Judgement) -> None:
        """The version of this comparison is no better than the best."""
        audit = replace(audit, pairs=audit.pairs + judged.decision.n)
        self._forget(series)
        if audit.low == audit.probe:
            log.info("audit not confirmed", problem=audit.problem, pairs=audit.pairs)
            self.store.audits.end(audit.problem)
        elif audit.low is not None:
            # Halfway between one that is better and one that is not; the newest better one is looked for.
            self._narrow(replace(audit, high=audit.probe))
        elif audit.targets:
            first, _, rest = audit.targets.partition(" ")
            self._go_to(replace(audit, probe=int(first), targets=rest, number=self._next(audit.problem)))
        else:
            log.info("audit passed", problem=audit.problem, pairs=audit.pairs)
            self.store.problems.update(audit.problem, audit_passed=audit.head, audit_pairs=audit.pairs)
            self.store.audits.end(audit.problem)

    def _found_worse(
        self, audit: Audit, opened: OpenProblem, series: Series, judged: Judgement, measured: Measured
    ) -> None:
        high = audit.high if audit.high is not None else len(self._versions(audit.problem, audit.head)) - 1
        found = replace(
            audit, low=audit.probe, high=high, targets="", doubted=True, pairs=audit.pairs + judged.decision.n
        )
        if high - audit.probe > 1:
            self._forget(series)
            self._narrow(found)
            return
        if opened.head != audit.head:
            # What was built on it before it was doubted may be better again: the whole is looked at anew.
            self._forget(series)
            self.store.audits.end(audit.problem)
            self.begin(audit.problem, doubted=True)
            return
        decision = judged.decision
        if not opened.deterministic:
            fresh = self._measure_again(audit, series, fresh_pairs(opened.problem, decision.n))
            if fresh is None:
                return
            measured = replace(fresh, pairs=tuple(judgement.without_warm_up(opened.problem, fresh.pairs)))
        self._revert(
            found, opened, series, measured, pairs=decision.n, evidence=None if decision.exact else decision.evidence
        )

    def _measure_again(self, audit: Audit, series: Series, n: int) -> Measured | None:
        """Return pairs that did not decide, for the number that is published; ``None`` while there are none."""
        again = replace(series, phase=_FRESH)
        fresh = self.measuring.look(again)
        if fresh is None:
            return None
        if fresh.trouble:
            self._try_again(audit, series, fresh)
            return None
        if not fresh.batches:
            self.measuring.order(again, 0, range(_FRESH_INDEX, _FRESH_INDEX + n))
            return None
        return fresh

    def _forget(self, series: Series) -> None:
        self.measuring.forget(series.name, series.attempt, _PHASES)

    def _narrow(self, audit: Audit) -> None:
        low, high = audit.low or 0, audit.high or 0
        # Where nothing is between them, the better one is measured once more: its pairs are the evidence.
        probe = (low + high) // 2 if high - low > 1 else low
        self._go_to(replace(audit, probe=probe, number=self._next(audit.problem)))

    def _revert(
        self, audit: Audit, opened: OpenProblem, series: Series, measured: Measured, *, pairs: int,
        evidence: float | None,
    ) -> None:  # fmt: skip
        versions = self._versions(audit.problem, audit.head)
        restored, taken_back = versions[audit.probe], versions[audit.probe + 1 :]
        measured_again = judgement.publish(opened.problem, opened.window, measured.pairs)
        published = release.of_publication(opened.problem, opened.ladder, measured_again)
        reversal = Reversal(
            problem=audit.problem,
            revision=audit.revision,
            score=Score(
                value=published.score, unit=opened.problem.metric.unit, n=published.n, interval=published.interval
            ),
            baseline=Score.parse(versions[-1].trailers["Score"]).value if audit.broken else published.baseline,
            unrepeatable=audit.broken,
            pairs=pairs,
            evidence=None if evidence is None else release.enough(opened.ladder, evidence, ALPHA),
            verifier=measured.verifier,
            locked_digest=opened.locked_digest,
            restored=restored.commit,
            reverts=tuple(each.trailers["Experiment"] for each in reversed(taken_back)),
            seeds=self.measuring.disclosed(series, [pair.index for pair in measured.pairs]),
        )
        repository = self.histories.repository(audit.problem)
        path = opened.problem.files.mutable
        when = datetime.now(UTC)
        try:
            commit = repository.commit_accept(
                opened.head, path, repository.read_file(restored.commit, path),
                reversal.to_message(opened.problem.metric.decimals), self.pool, when,
            )  # fmt: skip
        except StaleHeadError:
            self.histories.reconcile(audit.problem)
            return
        self.histories.apply_reversal(reversal, commit, opened.head, when)
        self._forget(series)
        self.store.audits.end(audit.problem)
        accepted = self.store.problems.field(audit.problem, "accepted") or "0"
        self.store.problems.update(audit.problem, audited=accepted)
        log.warning("audit reverted", problem=audit.problem, experiments=list(reversal.reverts), commit=commit)
        self.doorbell.look_around()

    def _go_to(self, audit: Audit) -> None:
        self.store.audits.put(audit)
        self.look(audit.problem)

    def _next(self, problem: str) -> int:
        return self.store.problems.count_up(problem, "audits")

    def _series(self, audit: Audit, opened: OpenProblem) -> Series:
        """Return the comparison of this step: the older version in the candidate's place."""
        repository, path = self.histories.repository(audit.problem), opened.problem.files.mutable
        versions = self._versions(audit.problem, audit.head)
        older = self.store.blobs.put(repository.read_file(versions[audit.probe].commit, path))
        best = self.store.blobs.put(repository.read_file(audit.head, path))
        return Series(
            opened=opened, name=f"{_NAME}{audit.problem}", attempt=audit.number, phase=_PHASE,
            candidate=older, incumbent=best,
        )  # fmt: skip

    def _rules(self, audit: Audit, opened: OpenProblem) -> Problem:
        """Return the problem's rules for "better at all": an older version need not be better by ``min_gain``.

        Each accept for being shorter may have cost up to that much, and was promised it.
        """
        since = self._versions(audit.problem, audit.head)[audit.probe + 1 :]
        shorter = sum(each.trailers.get("Reason") == Reason.SIMPLER for each in since)
        acceptance = opened.problem.acceptance
        margin = replace(acceptance.min_gain, value=shorter * acceptance.min_gain.value)
        return replace(opened.problem, acceptance=replace(acceptance, min_gain=margin))

    def _versions(self, problem: str, head: str = "") -> list[CommitRecord]:
        """Return the versions of this revision that led to ``head`` (default: today's best), oldest first.

        What an audit took back is not among them.
        """
        found: list[CommitRecord] = []
        newest = ""
        for record in reversed(self.histories.repository(problem).log()):
            newest = record.commit
            if CONTINUES in record.trailers and found:
                pass  # other words beside the same version
            elif REVERTS in record.trailers:
                restored = record.trailers.get("Restores", "")
                kept = next((i for i, each in enumerate(found) if each.commit == restored), len(found) - 1)
                found = [*found[:kept], replace(found[kept], commit=record.commit)]
            elif "Experiment" in record.trailers:
                found.append(record)
            else:
                found = [record]
            if record.commit == head:
                break
        return [*found[:-1], replace(found[-1], commit=newest)] if found else found


def _misses(opened: OpenProblem, sides: Iterable[SideResult | None]) -> int:
    """Return how many runs of a version gave no score or, without noise, another one than most did."""
    scores = [None if side is None else side.score for side in sides]
    counts = Counter(score for score in scores if score is not None)
    same = max(counts.values(), default=0) if opened.deterministic else counts.total()
    return len(scores) - same
