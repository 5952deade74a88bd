"""One lease's work: run the parent, then propose, evaluate and learn, a step at a time.

Not here: the thread it runs in and the room it runs candidates in (``slot``), and when it ends (``session``).
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ar_core.candidate import check_policy, content_hash
from ar_core.lifecycle import Reason
from ar_core.text import one_line
from ar_sandbox.result import Outcome, Result, RunSeeds
from ar_search.agent import Agent, Observation, Proposal
from ar_search.agent import Task as AgentTask
from ar_search.tuner import make_tuner
from ar_worker.claims import ClaimRule, runs_needed
from ar_worker.material import Material, UnusableTaskError
from ar_worker.task import Trial

Run = Callable[[bytes, RunSeeds, int], Result]
"""Evaluates the bytes of one candidate with these seeds and this seed of Python's hashing."""
MAX_NOTE = 200


class SandboxTroubleError(Exception):
    """An evaluation failed for no fault of the candidate's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    scores: tuple[float, ...]
    seconds: float
    failure: Result | None = None


class LeaseWork:
    """Everything that one lease has learnt; made anew for each lease."""

    def __init__(self, material: Material, run: Run, seed: int) -> None:
        """Run the parent; raises ``UnusableTaskError`` where it has no score here, ``SandboxTroubleError``."""
        self._material, self._run = material, run
        problem = material.problem
        self._noise = problem.acceptance.noise
        rng = Random(seed)  # noqa: S311 - a search, no secret: the pool judges with seeds of its own
        self._seeds = [
            (RunSeeds(run=rng.getrandbits(63), scorer=rng.getrandbits(63)), rng.getrandbits(32))
            for _ in range(runs_needed(self._noise))
        ]
        parent = self._evaluate(material.parent)
        if parent.failure is not None:
            said = one_line(parent.failure.feedback.rpartition("\n")[2], limit=120)
            raise UnusableTaskError(f"the parent has no score on this machine: {parent.failure.outcome}, {said}")
        self._rule = ClaimRule(
            parent.scores,
            direction=problem.metric.direction,
            noise=self._noise,
            min_gain=problem.acceptance.min_gain,
        )
        self._agent: Agent = self._make_agent(rng.getrandbits(63))

    @property
    def parent_score(self) -> float:
        """The parent's mean score on this machine."""
        return self._rule.parent_score

    def _make_agent(self, seed: int) -> Agent:
        material, problem = self._material, self._material.problem
        task = AgentTask(
            mutable_path=problem.files.mutable,
            parent=material.parent,
            parent_score=self._rule.parent_score,
            direction=problem.metric.direction,
            max_bytes=problem.files.max_bytes,
            hints=problem.search.tune,
            inspirations=material.inspirations,
            corpus=material.corpus,
            tried=material.task.tried,
            explore=material.task.explore,
            min_gain=problem.acceptance.min_gain,
            noise=self._noise,
        )
        return make_tuner(task, seed, tolerance=self._rule.spread)

    def propose(self) -> Proposal | None:
        """Return the agent's next candidate, ``None`` when it has nothing new."""
        return self._agent.propose()

    def try_out(self, proposal: Proposal) -> Trial:
        """Evaluate a candidate and let the agent learn from it; raises ``SandboxTroubleError``."""
        finding = check_policy(proposal.content, self._material.problem.files.max_bytes)
        if finding is not None:
            self._agent.observe(proposal, Observation(score=None, reason=Reason.POLICY.value))
            return self._trial(proposal, _Runs(scores=(), seconds=0.0), reason=Reason.POLICY)
        runs = self._evaluate(proposal.content)
        if runs.failure is not None:
            reason = runs.failure.outcome.reason or Reason.INVALID_SCORE
            outcome = Observation(score=None, reason=reason.value, feedback=runs.failure.feedback)
            self._agent.observe(proposal, outcome)
            return self._trial(proposal, runs, reason=reason)
        self._agent.observe(proposal, Observation(score=statistics.fmean(runs.scores)))
        if self._rule.judge(runs.scores):
            return self._trial(proposal, runs, reason=None)
        return self._trial(proposal, runs, reason=Reason.NO_IMPROVEMENT)

    def rebase(self, content: bytes) -> bool:
        """Go on from somebody else's better version; tell whether the last claim beats even that.

        Raises ``SandboxTroubleError``. A version without a score on this machine changes nothing.
        """
        runs = self._evaluate(content)
        if runs.failure is not None:
            return True
        self._agent.improved(content, statistics.fmean(runs.scores))
        return self._rule.rebase(runs.scores)

    def _evaluate(self, content: bytes) -> _Runs:
        scores: list[float] = []
        seconds = 0.0
        for seeds, hash_seed in self._seeds:
            result = self._run(content, seeds, hash_seed)
            seconds += result.total_seconds
            if result.outcome is Outcome.INFRASTRUCTURE:
                raise SandboxTroubleError(one_line(result.feedback, limit=120))
            if result.score is None:
                return _Runs(scores=(), seconds=seconds, failure=result)
            scores.append(result.score)
        return _Runs(scores=tuple(scores), seconds=seconds)

    def _trial(self, proposal: Proposal, runs: _Runs, *, reason: Reason | None) -> Trial:
        return Trial(
            content_hash=content_hash(proposal.content),
            score=statistics.fmean(runs.scores) if runs.scores else None,
            reason=reason,
            note=one_line(proposal.note, limit=MAX_NOTE),
            parent_score=self._rule.parent_score,
            seconds=runs.seconds,
            content=proposal.content if reason is None else None,
        )
