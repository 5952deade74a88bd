"""A problem as a verification sees it: its rules, its files, and the version to beat.

Not here: changing any of it (``histories``, ``opening``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ar_coordinator.store import Store
from ar_core.acceptance import Ladder, Window, derive_window
from ar_core.manifest import read_manifest
from ar_core.problem import MANIFEST_NAME, Noise, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProblem:
    """What a verification needs to know of the problem as it is now."""

    problem: Problem
    revision: int
    head: str
    best_blob: str
    files: dict[str, str]
    window: Window | None
    """For noise of seeds."""
    locked_digest: str
    ladder: Ladder
    """How finely what is measured may be told."""

    @property
    def deterministic(self) -> bool:
        """Whether the same file always scores the same."""
        return self.problem.acceptance.noise is Noise.NONE


def open_problem(store: Store, name: str) -> OpenProblem:
    """Read what a verification needs of a problem that has a best version."""
    fields = store.problems.fields(name)
    files = dict(item.split(" ", 1)[::-1] for item in fields["files"].splitlines())
    problem = read_manifest(store.blobs.get(files[MANIFEST_NAME]))
    return OpenProblem(
        problem=problem,
        revision=int(fields["revision"]),
        head=fields["head"],
        best_blob=fields["best_blob"],
        files=files,
        window=window_of(problem, fields),
        locked_digest=fields["locked_digest"],
        ladder=ladder_of(problem, fields),
    )


def window_of(problem: Problem, fields: Mapping[str, str]) -> Window | None:
    """Return what scores beside today's best are cut to; ``None`` where the noise is not one of seeds."""
    if problem.acceptance.noise is not Noise.SEED:
        return None
    return derive_window(
        mean=float(fields["best"]),
        sd=float(fields.get("best_sd", "0")),
        min_gain=problem.acceptance.min_gain,
        explicit=problem.acceptance.window,
        low=problem.metric.low,
        high=problem.metric.high,
    )


def ladder_of(problem: Problem, fields: Mapping[str, str]) -> Ladder:
    """Return how finely numbers of the problem may be told."""
    step = float(fields["step"]) if fields.get("step") else None
    return Ladder(step=step, low=problem.metric.low, high=problem.metric.high)
