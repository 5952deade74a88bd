"""The problems' histories in git and what Redis says of them: applying an accept, and making the two agree.

Not here: deciding. Where Redis and git disagree about ``main``, git wins.
"""

from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.evidence import Evidence, Score
from ar_coordinator.git_objects import PoolIdentity
from ar_coordinator.ledger import Ledger, LedgerEntry
from ar_coordinator.open_problem import open_problem
from ar_coordinator.repository import CommitRecord, ProblemRepository
from ar_coordinator.reversal import REVERTS, Reversal
from ar_coordinator.store import Store
from ar_coordinator.store.blobs import BlobMissingError
from ar_coordinator.store.problems import Record
from ar_core.acceptance import deviation
from ar_core.candidate import content_hash
from ar_core.documents import experiment_document
from ar_core.records import Experiment, PublishedScore

log = structlog.get_logger("referee")

_FLUSH = 1000


class Histories:
    """Every problem's repository, beside the store."""

    def __init__(self, store: Store, directory: DataDirectory, pool: PoolIdentity) -> None:
        self._store = store
        self._directory = directory
        self._pool = pool

    def repository(self, problem: str) -> ProblemRepository:
        """Return a problem's repository."""
        return ProblemRepository(self._path(problem), self._pool)

    def _path(self, problem: str) -> Path:
        return self._directory.repository(problem)

    def apply_accept(
        self, x: Experiment, evidence: Evidence, commit: str, parent: str, when: datetime, *, explanation: str,
        published: PublishedScore, sd: float | None, from_git: bool = False,
    ) -> None:  # fmt: skip
        """Write into Redis what a commit on ``main`` says; the commit is the truth, this follows it.

        What was verified is in the experiment's record already, see ``Verification``. ``sd`` is the spread of the
        published score's runs where it is known; ``from_git`` tells that the commit was found there, whatever became
        of the experiment since.
        """
        record = record_of_accept(self._number(x.id), x, evidence, commit, when, published.grade)
        interval = evidence.score.interval or (None, None)
        best: dict[str, object] = {
            "head": commit,
            "best": evidence.score.value,
            "best_low": interval[0],
            "best_high": interval[1],
            "best_n": evidence.score.n,
            "best_blob": x.blob,
            "best_experiment": x.id,
        }
        if sd is not None:
            best["best_sd"] = sd
        answer = self._store.experiments.accept(
            x,
            expected_head=parent,
            record=msgspec.json.encode(record).decode(),
            problem=best,
            whatever_it_is=from_git,
            reason=evidence.reason,
            explanation=explanation,
            published=published,
            commit=commit,
            parent=parent,
            updated=when,
        )
        if answer != "moved":
            log.warning("accept not applied", experiment=x.id, commit=commit, answer=answer)
        self._store.experiments.claims_first(
            x.problem, evidence.revision, content_hash(self._store.blobs.get(x.blob)), x.id
        )

    def apply_reversal(self, reversal: Reversal, commit: str, parent: str, when: datetime) -> None:
        """Write into Redis what a commit says that takes accepts back."""
        problems = self._store.problems
        restored = next((r for r in problems.records(reversal.problem) if r.commit == reversal.restored), None)
        experiment = restored.experiment if restored is not None else ""
        interval = reversal.score.interval or (None, None)
        record = Record(
            number=restored.number if restored is not None else 0,
            experiment=experiment,
            score=reversal.score.value,
            low=interval[0],
            high=interval[1],
            gain=None,
            n=reversal.score.n,
            evidence=reversal.evidence,
            exact=reversal.exact,
            contributor="",
            worker="",
            agent="audit",
            note=f"An audit took {len(reversal.reverts)} back",
            verifier=reversal.verifier,
            commit=commit,
            revision=reversal.revision,
            when=when,
            reverts=len(reversal.reverts),
        )
        content = self.repository(reversal.problem).read_file(commit, self._mutable(reversal.problem))
        how = "it did not hold"
        if reversal.unrepeatable:
            how = "it did not give the same score again"
            self._may_come_again(reversal)
        answer = self._store.audits.revert(
            reversal.problem,
            parent,
            reversal.reverts,
            record=msgspec.json.encode(record).decode(),
            explanation=f"Measured again on fresh pairs by an audit, {how}; see commit {commit[:12]}.",
            when=when,
            fields={
                "head": commit,
                "best": reversal.score.value,
                "best_low": interval[0],
                "best_high": interval[1],
                "best_n": reversal.score.n,
                "best_blob": self._store.blobs.put(content),
                "best_experiment": experiment,
                "best_sd": _deviation(reversal.score),
            },
        )
        if answer != "moved":
            log.warning("reversal not applied", problem=reversal.problem, commit=commit, answer=answer)

    def _may_come_again(self, reversal: Reversal) -> None:
        """Forget the files: none was found to be worse, and it may have been this pool's machines."""
        for name in reversal.reverts:
            x = self._store.experiments.get(name)
            if x is not None and x.blob:
                digest = content_hash(self._store.blobs.get(x.blob))
                self._store.experiments.forget_file(reversal.problem, reversal.revision, digest)

    def _mutable(self, problem: str) -> str:
        return open_problem(self._store, problem).problem.files.mutable

    def reconcile(self, problem: str) -> None:
        """Bring Redis up to what ``main`` says: accepts that were committed before a crash."""
        head = self._store.problems.field(problem, "head")
        repository = self.repository(problem)
        if not head or repository.head() in {None, head}:
            return
        for record in reversed(repository.log(since=head)):
            self._apply(problem, record)

    def _apply(self, problem: str, record: CommitRecord) -> None:
        if REVERTS in record.trailers:
            reversal = Reversal.from_trailers(record.trailers)
            self.apply_reversal(reversal, record.commit, record.parents[0], record.time)
            log.info("reversal applied from git", problem=problem, commit=record.commit)
            return
        if "Experiment" not in record.trailers:
            return  # a new revision, which its registration brings to an end
        evidence = Evidence.from_trailers(record.trailers)
        x = self._store.experiments.get(evidence.experiment)
        if x is None:
            log.error("a commit names an unknown experiment", problem=problem, commit=record.commit)
            return
        published = published_by(evidence)
        if x.verified is None:
            # All that is left is what was published: better than nothing, and from the pool's own runs too.
            self._store.experiments.note(
                x.id, verified=published.score, incumbent=published.incumbent, gain=published.gain,
                pairs=evidence.pairs, evidence=evidence.evidence, exact=evidence.evidence is None,
                verifier=evidence.verifier,
            )  # fmt: skip
        self.apply_accept(
            x, evidence, record.commit, record.parents[0], record.time, published=published,
            explanation="Verified; the coordinator was restarted while it was committed.",
            sd=_deviation(evidence.score), from_git=True,
        )  # fmt: skip
        log.info("accept applied from git", experiment=x.id, commit=record.commit)

    def flush_ledger(self, problem: str, when: datetime) -> int:
        """Write the settled experiments that git does not have yet into the ledger; return how many."""
        tail = self._store.experiments.ledger_tail(problem, _FLUSH)
        if not tail:
            return 0
        ledger = Ledger(self._path(problem), self._pool)
        entries: list[LedgerEntry] = []
        blobs: dict[str, bytes] = {}
        for number, experiment_id, state in tail:
            x = self._store.experiments.get(experiment_id)
            if x is None:
                continue
            document = {**experiment_document(x), "status": state, "blob": x.blob or None}
            entries.append(LedgerEntry(sequence=number, record=document))
            if x.pairs and x.blob:
                try:
                    blobs[x.blob] = self._store.blobs.get(x.blob)
                except BlobMissingError:
                    # The record is worth keeping without its bytes; they are named by hash in it.
                    log.error("the bytes of a candidate are gone", experiment=x.id, blob=x.blob)
        ledger.append(entries, blobs, when)
        self._store.experiments.trim_ledger_tail(problem, tail[-1][0])
        return len(entries)

    def _number(self, experiment_id: str) -> int:
        return int(self._store.experiments.field(experiment_id, "number") or 0)


def _deviation(score: Score) -> float | None:
    """Return the spread of the runs behind a score, as its interval tells it; ``None`` where it has none."""
    return None if score.interval is None else deviation(*score.interval, score.n)


def published_by(evidence: Evidence) -> PublishedScore:
    """Return what a commit says that its version is published with."""
    low, high = evidence.score.interval or (None, None)
    return PublishedScore(
        score=evidence.score.value, incumbent=evidence.baseline, gain=evidence.gain, pairs=evidence.score.n, low=low,
        high=high, verifier=evidence.verifier,
    )  # fmt: skip


def record_of_accept(
    number: int, x: Experiment, evidence: Evidence, commit: str, when: datetime, grade: str = ""
) -> Record:
    """Return the line of the record table for an accept, measured in rooms of ``grade``."""
    interval = evidence.score.interval or (None, None)
    return Record(
        number=number,
        experiment=x.id,
        score=evidence.score.value,
        low=interval[0],
        high=interval[1],
        gain=evidence.gain,
        n=evidence.score.n,
        evidence=evidence.evidence,
        exact=evidence.evidence is None,
        contributor=x.contributor,
        worker=x.worker,
        agent=x.agent,
        note=x.note,
        commit=commit,
        revision=evidence.revision,
        when=when,
        verifier=evidence.verifier,
        grade=grade,
        reason=evidence.reason,
    )
