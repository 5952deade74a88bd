"""One evaluation: which rooms a kind has, what each is given, and how their ends become an outcome.

Not here: putting the files on the stage and checking them before and after (``rooms``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from ar_core import text
from ar_core.metric import read_score
from ar_core.problem import Kind
from ar_sandbox import policy
from ar_sandbox.bwrap import Bind
from ar_sandbox.crossing import refused
from ar_sandbox.machine import Machine
from ar_sandbox.result import Outcome, PreparedProblem, Result, RunSeeds
from ar_sandbox.stage import Stage
from ar_sandbox.supervisor import End, RoomRun

CANDIDATE, SCORER, MUTABLE, _OUT = "candidate", "scorer", "mutable", "out"
"""Folders of the stage; the first two are also the names of the rooms."""
_OUTCOMES = {
    End.TIMEOUT: Outcome.TIMEOUT,
    End.OUT_OF_MEMORY: Outcome.OUT_OF_MEMORY,
    End.LIMIT: Outcome.LIMIT,
    End.INFRASTRUCTURE: Outcome.INFRASTRUCTURE,
}
_ON_PURPOSE_BYTES = 200
_NO_MEMORY = ("MemoryError", "std::bad_alloc", "Cannot allocate memory", "out of memory")


OnStart = Callable[[str], None]
"""Called with the name of a room, ``candidate`` or ``scorer``, when its command has started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What one evaluation is made of; ``result`` runs it, on a stage that has the files already."""

    machine: Machine
    stage: Stage
    prepared: PreparedProblem
    seeds: RunSeeds
    hash_seed: int | None
    caps: policy.Caps | None
    on_start: OnStart | None

    def result(self) -> Result:
        """Run the rooms one after the other and read the score; ``total_seconds`` is left out."""
        evaluation = self.prepared.problem.evaluation
        if evaluation.kind is Kind.DATA:
            seconds = min(evaluation.time_budget, evaluation.score_timeout)
            scorer = self._room(SCORER, evaluation.score, seconds, self._scorer_variables(), self._scorer_binds())
            return self._read(scorer, scorer.seconds)
        disk = policy.limits(1, self.prepared.problem.resources, self.caps).disk
        with self.stage.out(_OUT, disk) as out:
            return self._artifact(out)

    def _artifact(self, out: str) -> Result:
        evaluation = self.prepared.problem.evaluation
        binds = [
            Bind(source=f"{self.stage.path}/{CANDIDATE}", target=self._folder),
            Bind(source=out, target="/out", writable=True),
        ]
        variables = {"AR_MUTABLE": f"{self._folder}/{self.prepared.problem.files.mutable}", "AR_OUT": "/out"}
        made = self._room(CANDIDATE, evaluation.run, evaluation.time_budget, variables, binds)
        failure = _failure(made, "the candidate", made.stderr)
        if failure is not None:
            return failure
        reason = refused(self.stage.root, _OUT)
        if reason is not None:
            return Result(outcome=Outcome.PROTOCOL, score=None, feedback=reason, seconds=made.seconds)
        binds = [*self._scorer_binds(), Bind(source=out, target="/out")]
        variables = {**self._scorer_variables(), "AR_OUT": "/out"}
        scorer = self._room(SCORER, evaluation.score, evaluation.score_timeout, variables, binds)
        return self._read(scorer, made.seconds)

    @property
    def _folder(self) -> str:
        return "/problem" if self.hash_seed is None else f"/problem-{self.hash_seed:x}"

    def _scorer_binds(self) -> list[Bind]:
        return [
            Bind(source=f"{self.stage.path}/{SCORER}", target=self._folder),
            Bind(source=f"{self.stage.path}/{MUTABLE}", target="/candidate"),
        ]

    def _scorer_variables(self) -> dict[str, str]:
        files = self.prepared.problem.files
        variables = {
            "AR_MUTABLE": f"/candidate/{PurePosixPath(files.mutable).name}",
            "AR_SEED": str(self.seeds.scorer),
        }
        if self.prepared.hidden:
            variables["AR_HIDDEN"] = f"{self._folder}/{files.hidden[0].rstrip('/')}"
        return variables

    def _room(
        self,
        name: str,
        command: tuple[str, ...],
        seconds: float,
        variables: Mapping[str, str],
        binds: list[Bind],
    ) -> RoomRun:
        limits = policy.limits(seconds, self.prepared.problem.resources, self.caps)
        own = {
            **variables,
            "AR_TIME_BUDGET": f"{self.prepared.problem.evaluation.time_budget:g}",
            "AR_RUN_SEED": str(self.seeds.run),
        }
        if self.hash_seed is not None:
            own["PYTHONHASHSEED"] = str(self.hash_seed)
        notify = None if self.on_start is None else partial(self.on_start, name)
        return self.machine.run(
            self.stage,
            command,
            limits=limits,
            variables=own,
            binds=tuple(binds),
            folder=self._folder,
            on_start=notify,
        )

    def _read(self, scorer: RoomRun, seconds: float) -> Result:
        shown = _on_purpose(scorer.stderr) if self.prepared.hidden else scorer.stderr
        failure = _failure(scorer, "the scorer", shown)
        metric = self.prepared.problem.metric
        if failure is None:
            reading = read_score(scorer.stdout.decode(errors="replace"), metric.name, metric.low, metric.high)
            if reading.score is not None:
                return Result(outcome=Outcome.OK, score=reading.score, secondary=reading.secondary, seconds=seconds)
            feedback = _feedback(shown, reading.problem)
            failure = Result(outcome=Outcome.PROTOCOL, score=None, feedback=feedback)
        return Result(outcome=failure.outcome, score=None, feedback=failure.feedback, seconds=seconds)


def _failure(run: RoomRun, who: str, shown: bytes) -> Result | None:
    """Return the result of a room that did not end well, or ``None``; ``shown`` of its stderr is passed on."""
    if run.end is End.EXIT and run.status == 0:
        return None
    if run.end is End.EXIT:
        outcome, sentence = Outcome.CRASH, f"{who} exited with status {run.status}"
        # The kernel's limit makes an allocation fail, which most programs report and then exit as they like.
        if any(sign in run.stderr[-2000:].decode(errors="replace") for sign in _NO_MEMORY):
            outcome = Outcome.OUT_OF_MEMORY
    else:
        outcome, sentence = _OUTCOMES[run.end], f"{who} was stopped: {run.detail}"
    return Result(outcome=outcome, score=None, feedback=_feedback(shown, sentence), seconds=run.seconds)


def _on_purpose(stderr: bytes) -> bytes:
    """Return the last line that begins with ``invalid:``, which a scorer wrote for the proposer to read.

    Whatever else a scorer says while the hidden files are there may quote them, a traceback above all, and what a
    proposer reads everybody reads.
    """
    lines = [line for line in stderr[-65536:].splitlines() if line.startswith(b"invalid:")]
    return lines[-1][:_ON_PURPOSE_BYTES] if lines else b""


def _feedback(stderr: bytes, sentence: str) -> str:
    return text.feedback(f"{stderr.decode(errors='replace').rstrip()}\n{sentence}".strip())
