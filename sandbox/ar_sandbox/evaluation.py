"""One evaluation: which rooms a kind has, and what each is given.

Not here: putting the files on the stage and checking them before and after (``rooms``), and how the rooms' ends
become an outcome (``reading``).
"""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

from ar_core.problem import Kind
from ar_sandbox import policy, reading, together, workspace
from ar_sandbox.bwrap import Bind
from ar_sandbox.crossing import refused
from ar_sandbox.machine import Machine
from ar_sandbox.result import Outcome, PreparedProblem, Result, RunSeeds
from ar_sandbox.stage import Stage
from ar_sandbox.supervisor import Room, RoomRun

CANDIDATE, SCORER, MUTABLE, _OUT, _SHARED, _COPY = "candidate", "scorer", "mutable", "out", "shared", "copy"
"""Folders of the stage; the first two are also the names of the rooms."""
_SOCKET_FOLDER, _SOCKET = "/run/ar", "s"
_SOCKET_FOLDER_BYTES, _SOCKET_FOLDER_INODES = 64 * 1024, 64

OnStart = Callable[[str], None]
"""Called with the name of a room, ``candidate`` or ``scorer``, when its command has started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What one evaluation is made of; ``result`` runs it, on a stage that has the files already."""

    machine: Machine
    stage: Stage
    prepared: PreparedProblem
    candidate: bytes
    seeds: RunSeeds
    hash_seed: int | None
    caps: policy.Caps | None
    on_start: OnStart | None

    def result(self) -> Result:
        """Run the rooms and read the score; ``total_seconds`` is left out."""
        match self.prepared.problem.evaluation.kind:
            case Kind.DATA:
                return self._data()
            case Kind.ARTIFACT:
                with self.stage.out(_OUT, self._limits(1).disk) as out:
                    return self._artifact(out)
            case Kind.SERVICE:
                with self.stage.out(_SHARED, _SOCKET_FOLDER_BYTES, _SOCKET_FOLDER_INODES) as shared:
                    return self._service(shared)
            case Kind.INPROCESS:
                files = {**self.prepared.files, self.prepared.problem.files.mutable: self.candidate}
                size, inodes = workspace.needs(files)
                with self.stage.out(_COPY, size + self._limits(1).disk, inodes + policy.OUT_INODES) as copy:
                    workspace.fill(self.stage.root, _COPY, files)
                    return self._inprocess(copy)

    def _data(self) -> Result:
        evaluation = self.prepared.problem.evaluation
        limits = self._limits(min(evaluation.time_budget, evaluation.score_timeout))
        scorer = self._run(SCORER, evaluation.score, limits, self._scorer_variables(), self._scorer_binds())
        return reading.scored(self.prepared, scorer, scorer.seconds)

    def _artifact(self, out: str) -> Result:
        evaluation = self.prepared.problem.evaluation
        binds = [*self._candidate_binds(), Bind(source=out, target="/out", writable=True)]
        variables = {**self._candidate_variables(), "AR_OUT": "/out"}
        made = self._run(CANDIDATE, evaluation.run, self._limits(evaluation.time_budget), variables, binds)
        failure = reading.failure(made, "the candidate", made.stderr)
        if failure is not None:
            return failure
        reason = refused(self.stage.root, _OUT)
        if reason is not None:
            return Result(outcome=Outcome.PROTOCOL, score=None, feedback=reason, seconds=made.seconds)
        binds = [*self._scorer_binds(), Bind(source=out, target="/out")]
        variables = {**self._scorer_variables(), "AR_OUT": "/out"}
        # What the candidate wrote stays in memory beside the scorer's room.
        limits = self._limits(evaluation.score_timeout, self._caps.beside(self._limits(1).disk))
        scorer = self._run(SCORER, evaluation.score, limits, variables, binds)
        return reading.scored(self.prepared, scorer, made.seconds)

    def _service(self, shared: str) -> Result:
        evaluation = self.prepared.problem.evaluation
        start = self._limits(evaluation.time_budget).seconds
        measure = self._limits(evaluation.score_timeout, self._caps.halved())
        socket = {"AR_SOCKET": f"{_SOCKET_FOLDER}/{_SOCKET}"}
        candidate = self._room(
            CANDIDATE,
            evaluation.run,
            replace(measure, seconds=start + measure.seconds),
            {**self._candidate_variables(), **socket},
            [*self._candidate_binds(), Bind(source=shared, target=_SOCKET_FOLDER, writable=True)],
        )
        scorer = self._room(
            SCORER,
            evaluation.score,
            measure,
            {**self._scorer_variables(), **socket},
            [*self._scorer_binds(), Bind(source=shared, target=_SOCKET_FOLDER)],
            held=True,
        )
        with candidate, scorer:
            answered, asked = together.serve(candidate, scorer, start_within=start, listens=self._listens)
        return reading.served(self.prepared, answered, asked)

    def _listens(self) -> bool:
        """Tell whether the candidate has made its socket; what else it may have put in that place does not count."""
        try:
            found = os.stat(f"{_SHARED}/{_SOCKET}", dir_fd=self.stage.root, follow_symlinks=False)
        except OSError:
            return False
        return stat.S_ISSOCK(found.st_mode)

    def _inprocess(self, copy: str) -> Result:
        evaluation = self.prepared.problem.evaluation
        limits = self._limits(min(evaluation.time_budget, evaluation.score_timeout))
        binds = [Bind(source=copy, target=self._folder, writable=True)]
        run = self._run(CANDIDATE, evaluation.score, limits, self._candidate_variables(), binds)
        return reading.scored(self.prepared, run, run.seconds, who="the candidate")

    @property
    def _folder(self) -> str:
        return "/problem" if self.hash_seed is None else f"/problem-{self.hash_seed:x}"

    def _candidate_binds(self) -> list[Bind]:
        return [Bind(source=f"{self.stage.path}/{CANDIDATE}", target=self._folder)]

    def _candidate_variables(self) -> dict[str, str]:
        return {"AR_MUTABLE": f"{self._folder}/{self.prepared.problem.files.mutable}"}

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

    @property
    def _caps(self) -> policy.Caps:
        return self.caps or policy.Caps()

    def _limits(self, seconds: float, caps: policy.Caps | None = None) -> policy.Limits:
        return policy.limits(seconds, self.prepared.problem.resources, caps or self._caps)

    def _run(
        self,
        name: str,
        command: tuple[str, ...],
        limits: policy.Limits,
        variables: Mapping[str, str],
        binds: list[Bind],
    ) -> RoomRun:
        with self._room(name, command, limits, variables, binds) as room:
            return room.wait()

    def _room(
        self,
        name: str,
        command: tuple[str, ...],
        limits: policy.Limits,
        variables: Mapping[str, str],
        binds: list[Bind],
        *,
        held: bool = False,
    ) -> Room:
        own = {
            **variables,
            "AR_TIME_BUDGET": f"{self.prepared.problem.evaluation.time_budget:g}",
            "AR_RUN_SEED": str(self.seeds.run),
        }
        if self.hash_seed is not None:
            own["PYTHONHASHSEED"] = str(self.hash_seed)
        notify = None if self.on_start is None else partial(self.on_start, name)
        return self.machine.room(
            self.stage,
            command,
            limits=limits,
            variables=own,
            binds=tuple(binds),
            folder=self._folder,
            on_start=notify,
            held=held,
        )
