"""Opening a problem: from an uploaded folder through its registration to the first commit of a revision.

Not here: measuring the baseline (``ar_sandbox.registration``, run by a verifier) and judging proposals (``referee``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
import structlog

from ar_coordinator.doorbell import Doorbell
from ar_coordinator.evidence import Publication, Score
from ar_coordinator.git_paths import PathRefusedError, check_paths
from ar_coordinator.git_store import StaleHeadError
from ar_coordinator.histories import Histories
from ar_coordinator.lost_history import LostHistory
from ar_coordinator.registry import Registry
from ar_coordinator.revisions import Change, change_of
from ar_coordinator.seeds import derive_seed
from ar_coordinator.store import Store
from ar_coordinator.store.connection import now_ms
from ar_coordinator.store.problems import Record
from ar_coordinator.verifier_machine import needs_of, needs_text
from ar_coordinator.work_order import RegistrationOrder, RegistrationResult, decode_result, encode
from ar_core.acceptance import Ladder, step_of
from ar_core.candidate import content_hash, sha256
from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState, ProblemState
from ar_core.manifest import ManifestError, check_files, read_manifest
from ar_core.problem import MANIFEST_NAME, Noise, Problem, digest_files
from ar_core.records import Finding, Identity, ProblemCard, Role

log = structlog.get_logger("referee")

RUNS = 5
_TRIES = 5
_WORDS = ("title", "summary", "manifest", "program", "publisher", "published")
"""What changes of a problem with a revision that changes no score."""
_CHECK = "revision"
"""The finding that tells of one."""
_BEFORE_RUNNING = frozenset({"manifest", "files", "environment", "infrastructure"})
"""What is found without the mutable file."""


def check_bundle(files: Mapping[str, bytes]) -> Problem:
    """Return the problem that an uploaded folder describes; raises ``PoolError`` with the first finding."""
    manifest = files.get(MANIFEST_NAME)
    if manifest is None:
        raise PoolError("AR-P302", f"it has no {MANIFEST_NAME}")
    try:
        problem = read_manifest(manifest)
    except ManifestError as error:
        first = error.findings[0]
        more = f" (and {len(error.findings) - 1} more)" if len(error.findings) > 1 else ""
        raise PoolError("AR-P301", f"{first.where}: {first.message}{more}", hint=first.fix) from None
    findings = check_files(problem, files)
    if findings:
        raise PoolError("AR-P301", f"{findings[0].where}: {findings[0].message}", hint=findings[0].fix)
    try:
        # Asked now, not when the files are measured and git refuses them: nothing could come of that.
        check_paths(files)
    except PathRefusedError as error:
        raise PoolError("AR-P301", str(error), hint="rename the file") from None
    return problem


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """A folder that was published: the revision it becomes, or that it is already."""

    name: str
    revision: int
    unchanged: bool = False


def take_in(store: Store, doorbell: Doorbell, key: bytes, files: dict[str, bytes], publisher: Identity) -> TakenIn:
    """Store an uploaded folder durably as the next revision and start its registration.

    A later revision keeps the best version so far as its mutable file: it becomes the new baseline. One that changes
    nothing which scores depend on is not measured, and a folder that changes nothing at all is no revision. Raises
    ``PoolError`` when the folder is no problem, or the name belongs to somebody else.
    """
    problem = check_bundle(files)
    before = store.problems.fields(problem.name)
    # Asked before anything is stored too: else whoever may not publish could fill the disk in trying.
    _refuse_reservation(problem.name, _why_not(before, publisher))
    change = _change(before, problem, {path: sha256(data) for path, data in files.items()})
    if change is Change.NOTHING:
        return TakenIn(name=problem.name, revision=int(before["revision"]), unchanged=True)
    own = sha256(files[problem.files.mutable])
    best = _best_so_far(store, problem)
    if best is not None:
        files[problem.files.mutable] = store.blobs.get(best)
    blobs = {path: store.blobs.put(data) for path, data in files.items()}
    word, revision = store.problems.reserve(
        _card(problem, files, publisher),
        publisher_id=publisher.id,
        now=now_ms(),
        take_over=publisher.role is Role.OPERATOR,
        extra={
            "files": "\n".join(f"{blob} {path}" for path, blob in blobs.items()),
            "manifest": files[MANIFEST_NAME].decode(),
            "program": files[problem.files.program].decode(errors="replace"),
            "own": own,
            "findings": before.get("findings", "[]") if change is Change.WORDS else "[]",
        },
    )
    _refuse_reservation(problem.name, word)
    if change is Change.WORDS:
        doorbell.look_at_problem(problem.name)
    else:
        order_registration(store, doorbell, key, problem, revision, blobs)
    return TakenIn(name=problem.name, revision=revision)


def _change(before: Mapping[str, str], problem: Problem, files: Mapping[str, str]) -> Change:
    """Return what a folder, given as path to blob, changes of the problem that is there; a first one, its scores."""
    if before.get("state") not in {ProblemState.OPEN, ProblemState.PAUSED} or not before.get("head"):
        return Change.SCORES
    return change_of(read_manifest(before["manifest"].encode()), _listed(before["files"]), problem, files)


def _listed(text: str) -> dict[str, str]:
    """Read the lines ``BLOB PATH`` of a problem's files into path to blob."""
    return dict(line.split(" ", 1)[::-1] for line in text.splitlines())


def _why_not(before: Mapping[str, str], publisher: Identity) -> str:
    """Return why a name cannot be reserved, as far as that can be told without reserving it."""
    if not before.get("state"):
        return ""
    if before.get("publisher_id") != publisher.id and publisher.role is not Role.OPERATOR:
        return "foreign"
    if before["state"] == ProblemState.WITHDRAWN:
        return "withdrawn"
    return "registering" if before.get("registering") else ""


def _refuse_reservation(name: str, word: str) -> None:
    if word == "foreign":
        raise PoolError("AR-P303", f"{name} belongs to another publisher", hint="publish under another name")
    if word == "withdrawn":
        raise PoolError("AR-P304", name)
    if word == "registering":
        raise PoolError("AR-P307", name)


def _best_so_far(store: Store, problem: Problem) -> str | None:
    """Return the blob that a further revision begins with, ``None`` where it brings its own mutable file."""
    fields = store.problems.fields(problem.name)
    blob = fields.get("best_blob")
    if not blob or fields.get("mutable_path") != problem.files.mutable:
        return None
    return blob if len(store.blobs.get(blob)) <= problem.files.max_bytes else None


def order_registration(
    store: Store, doorbell: Doorbell, key: bytes, problem: Problem, revision: int, blobs: Mapping[str, str]
) -> None:
    """Ask a verifier to measure a revision; asking twice is the same as once."""
    seeds = registration_seeds(key, problem, revision)
    batch = registration_batch(problem.name, revision, blobs)
    order = RegistrationOrder(problem=problem.name, revision=revision, files=dict(blobs), runs=RUNS, seeds=seeds)
    seconds = 300 + 2 * RUNS * (problem.evaluation.seconds_at_most + 2)
    store.batches.create(batch, encode(order), seconds, needs=needs_text(needs_of(problem, refusable=True)))
    doorbell.run_order(batch, seconds)


def registration_seeds(key: bytes, problem: Problem, revision: int) -> list[tuple[int, int]]:
    """Return the (run, scorer) seeds of a registration's evaluations; the first are those of the baseline's runs.

    They differ for every problem: one that calls itself free of noise must not depend on them.
    """
    return [
        (derive_seed(key, "run", problem.name, revision, "register", 0, i),
         derive_seed(key, "scorer", problem.name, revision, "register", 0, i))
        for i in range(RUNS + 64)
    ]  # fmt: skip


def registration_batch(name: str, revision: int, blobs: Mapping[str, str]) -> str:
    """Return the batch that registers these files as a revision: what others came to says nothing about them."""
    whole = "\n".join(f"{blob} {path}" for path, blob in sorted(blobs.items()))
    return f"register.{name}.{revision}.{sha256(whole.encode())[:16]}"


@dataclass(frozen=True, slots=True)
class Opener:
    """Brings registrations to their end; part of the referee, the single writer of git."""

    store: Store
    doorbell: Doorbell
    histories: Histories
    registry: Registry
    seed_key: bytes

    def look_at_problem(self, name: str) -> None:
        """Finish a registration whose result is there; ask for it again when its order was lost."""
        registering = self.store.problems.registering(name)
        if registering is None:
            return
        if LostHistory(self.store, self.histories).is_lost(name):
            return  # a revision goes on top of what there was, and waits for it
        revision, fields = registering
        files = _listed(fields["files"])
        problem = read_manifest(fields["manifest"].encode())
        before = self.store.problems.fields(name)
        if _change(before, problem, files) is not Change.SCORES:
            self._continue(problem, revision, fields, files)
            return
        batch = registration_batch(name, revision, files)
        text = self.store.batches.results([batch])[0]
        if text is None:
            if not self.store.batches.exists(batch):
                order_registration(self.store, self.doorbell, self.seed_key, problem, revision, files)
            return
        result = decode_result(text)
        if not isinstance(result, RegistrationResult):
            raise TypeError(f"{batch} has the results of another kind of order")
        findings = tuple(
            Finding(check=f.check, severity=f.severity, message=f.message, fix=f.fix) for f in result.findings
        )
        if result.trouble:
            failures = self.store.problems.count_trouble(name)
            log.warning("registration failed", problem=name, trouble=result.trouble, failures=failures)
            if failures < _TRIES:
                # The sweeper's next look finds no batch and orders it again: soon, but never in a tight circle.
                self.store.batches.forget([batch])
                return
            self._refuse(name, revision, (*findings, _not_measured(result.trouble)))
        elif not result.ok or result.baseline is None:
            kept = files[problem.files.mutable] != fields.get("own", files[problem.files.mutable])
            self._refuse(name, revision, _of_the_best(findings, problem) if kept else findings)
        elif (best := _best_so_far(self.store, problem)) not in {None, files[problem.files.mutable]}:
            self._measure_again(problem, revision, {**files, problem.files.mutable: str(best)})
        else:
            self._open(problem, revision, fields, files, result, findings)
        self.store.batches.forget([batch])
        self.doorbell.look_around()

    def _continue(self, problem: Problem, revision: int, fields: Mapping[str, str], files: Mapping[str, str]) -> None:
        """Take in a revision whose scores are those of the one before: other words beside the best version so far."""
        name, mutable = problem.name, problem.files.mutable
        if self.store.experiments.in_state(name, ExperimentState.VERIFYING) or self.store.audits.get(name):
            # What is being compared stays the question; nothing new starts meanwhile, and the sweeper looks again.
            return
        # A commit that Redis never heard of is today's best.
        self.histories.reconcile(name)
        before = self.store.problems.fields(name)
        # The baseline of these scores stays the file that the revision was measured with, and the best one the best.
        files = {**files, mutable: _listed(before["files"])[mutable]}
        contents = {path: self.store.blobs.get(blob) for path, blob in files.items()}
        public = {**problem.public_files(contents), mutable: self.store.blobs.get(before["best_blob"])}
        bounds = (before.get("best_low"), before.get("best_high"))
        interval = (float(bounds[0]), float(bounds[1])) if bounds[0] and bounds[1] else None
        digest = digest_files(problem.locked_files(contents))
        publication = Publication(
            problem=name, revision=revision, locked_digest=digest, integrity=problem.evaluation.kind.integrity,
            score=Score(
                value=float(before["best"]), unit=problem.metric.unit, n=int(before["best_n"]), interval=interval
            ),
            step=float(before["step"]) if before.get("step") else None, continues=int(before["revision"]),
        )  # fmt: skip
        when = datetime.now(UTC)
        head = self._commit(problem, revision, public, publication, fields.get("publisher", ""), when)
        self._keep_hidden(problem, revision, contents, when)
        self.store.problems.carry_tried(name, int(before["revision"]), revision)
        found = msgspec.json.decode(fields["findings"], type=tuple[Finding, ...])
        told = [f for f in found if f.severity != "error" and f.check != _CHECK]
        note = f"nothing that scores depend on changed since revision {before['revision']}: its scores go on"
        self.store.problems.end_registration(
            name, None, revision=revision, head=head, locked_digest=digest,
            files="\n".join(f"{blob} {path}" for path, blob in files.items()),
            findings=(Finding(check=_CHECK, severity="info", message=note, fix=""), *told),
            **{key: fields[key] for key in _WORDS},
        )  # fmt: skip
        log.info("problem continued", problem=name, revision=revision)
        self.doorbell.look_around()

    def _measure_again(self, problem: Problem, revision: int, files: Mapping[str, str]) -> None:
        """A better version was accepted meanwhile: a revision never takes an accepted improvement back."""
        text = "\n".join(f"{blob} {path}" for path, blob in files.items())
        self.store.problems.change_registering(problem.name, files=text)
        order_registration(self.store, self.doorbell, self.seed_key, problem, revision, files)

    def _refuse(self, name: str, revision: int, findings: tuple[Finding, ...]) -> None:
        first = next((f.message for f in findings if f.severity == "error"), "the registration refused it")
        state = ProblemState.REFUSED if revision == 1 else None
        reason = first if revision == 1 else f"Revision {revision} was refused: {first}"
        self.store.problems.end_registration(name, state, state_reason=reason, findings=findings)
        log.info("problem refused", problem=name, revision=revision, why=first)

    def _open(
        self, problem: Problem, revision: int, fields: Mapping[str, str], files: Mapping[str, str],
        result: RegistrationResult, findings: tuple[Finding, ...],
    ) -> None:  # fmt: skip
        contents = {path: self.store.blobs.get(blob) for path, blob in files.items()}
        digest = digest_files(problem.locked_files(contents))
        deterministic = problem.acceptance.noise is Noise.NONE
        mean = _number(result.baseline if deterministic or result.mean is None else result.mean)
        step = step_of(
            hidden=bool(problem.hidden_files(contents)), noise=problem.acceptance.noise,
            min_gain=problem.acceptance.min_gain, baseline=mean,
        )  # fmt: skip
        ladder = Ladder(step=step, low=problem.metric.low, high=problem.metric.high)
        # The interval is that of a mean; so few times have none of their median.
        interval = result.interval if problem.acceptance.noise is Noise.SEED else None
        score = Score(
            value=ladder.score(mean), unit=problem.metric.unit, n=result.n, interval=ladder.score_interval(interval)
        )
        seeds = [] if deterministic else registration_seeds(self.seed_key, problem, revision)[: result.n]
        publication = Publication(
            problem=problem.name, revision=revision, score=score, locked_digest=digest,
            seeds=tuple(f"{run}-{scorer}" for run, scorer in seeds), integrity=problem.evaluation.kind.integrity,
            step=step,
        )  # fmt: skip
        when = datetime.now(UTC)
        head = self._commit(problem, revision, contents, publication, fields.get("publisher", ""), when)
        self._keep_hidden(problem, revision, contents, when)
        mutable = problem.files.mutable
        low, high = score.interval or (None, None)
        record = Record(
            number=int(self.store.problems.field(problem.name, "experiments") or 0), experiment="", score=score.value,
            low=low, high=high, gain=None, n=result.n, evidence=None, exact=deterministic,
            contributor=fields.get("publisher", ""), worker="", agent="", commit=head, revision=revision, when=when,
            note="Published" if revision == 1 else f"Revision {revision}",
            verifier=result.verifier, grade=result.grade,
        )  # fmt: skip
        if not any(r.commit == head for r in self.store.problems.records(problem.name)):
            self.store.problems.add_record(problem.name, record)
        self.store.experiments.claims_first(
            problem.name, revision, content_hash(contents[mutable]), "the published file"
        )
        own = {key: value for key, value in fields.items() if key not in {"files", "troubles", "own"}}
        state = ProblemState.OPEN if revision == 1 else None
        self.store.problems.end_registration(
            problem.name, state,
            **{**own, "files": fields["files"], "revision": revision, "state_reason": "", "baseline": score.value,
               "best": score.value, "best_low": low, "best_high": high, "best_n": result.n, "best_sd": result.sd,
               "best_blob": files[mutable], "best_experiment": "", "head": head, "locked_digest": digest,
               "step": step, "findings": findings, "evaluation": result.seconds,
               "has_hidden": bool(problem.hidden_files(contents))},
        )  # fmt: skip
        log.info("problem open", problem=problem.name, revision=revision, baseline=score.value)

    def _commit(
        self, problem: Problem, revision: int, contents: Mapping[str, bytes], publication: Publication,
        publisher: str, when: datetime,
    ) -> str:  # fmt: skip
        """Write the commit of a revision unless a referee that was killed since wrote it already."""
        repository = self.histories.repository(problem.name)
        head = repository.head()
        if head is not None:
            latest = repository.log(limit=1)[0]
            if "Experiment" not in latest.trailers and latest.trailers.get("Revision") == str(revision):
                return head
        public = problem.public_files(contents)
        note = f"{problem.title}" if revision == 1 else f"Revision {revision}: {problem.title}"
        message = publication.to_message(note, decimals=problem.metric.decimals)
        author = publisher or "publisher"
        if head is None:
            return repository.create(public, message, author, when)
        try:
            return repository.publish_revision(head, public, message, author, when)
        except StaleHeadError:
            return self._commit(problem, revision, contents, publication, publisher, when)

    def _keep_hidden(self, problem: Problem, revision: int, contents: Mapping[str, bytes], when: datetime) -> None:
        """Keep what is never published in the registry, so that it survives the loss of Redis."""
        hidden = problem.hidden_files(contents)
        if hidden:
            changes = {f"problems/{problem.name}/{revision}/{path}": data for path, data in hidden.items()}
            self.registry.write(changes, f"Hidden files of {problem.name}, revision {revision}", when)


def _card(problem: Problem, files: Mapping[str, bytes], publisher: Identity) -> ProblemCard:
    return ProblemCard(
        name=problem.name,
        title=problem.title,
        summary=problem.summary,
        revision=1,
        state=ProblemState.REGISTERING,
        kind=problem.evaluation.kind.value,
        metric=problem.metric.name,
        direction=problem.metric.direction.value,
        unit=problem.metric.unit,
        decimals=problem.metric.decimals,
        noise=problem.acceptance.noise.value,
        publisher=publisher.contributor,
        mutable_path=problem.files.mutable,
        max_bytes=problem.files.max_bytes,
        locked_digest=digest_files(problem.locked_files(files)),
        published=datetime.now(UTC),
    )


def _of_the_best(findings: tuple[Finding, ...], problem: Problem) -> tuple[Finding, ...]:
    """Say of what refused a further revision that it was measured with the pool's best file, not the folder's own."""
    path, name = problem.files.mutable, problem.name
    fix = (
        f"a further revision begins with the best file so far: put it into the folder "
        f"(`ar-pool best {name} -o {path}`), and correct the others until `ar-pool check DIR` passes; to begin with "
        f"the folder's own file instead, give it another path (files.mutable), or publish under another name"
    )
    return tuple(
        replace(f, message=f"with the pool's best file so far as {path}: {f.message}", fix=fix)
        if f.severity == "error" and f.check not in _BEFORE_RUNNING else f
        for f in findings
    )  # fmt: skip


def _not_measured(trouble: str) -> Finding:
    return Finding(
        check="infrastructure", severity="error", message=f"The pool could not measure it: {trouble}.",
        fix="make one evaluation shorter if it ran out of time; else tell the pool's operator, and publish again",
    )  # fmt: skip


def _number(value: float | None) -> float:
    if value is None:
        raise ValueError("a registration that is ok has a baseline")
    return value
