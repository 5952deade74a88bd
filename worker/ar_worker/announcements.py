"""What the events of a run have in them, as their JSON shows it.

Not here: when they happen (``session``), and the same in sentences (``sentences``).
"""

from collections.abc import Iterable

from ar_core.records import Experiment
from ar_worker.events import Received
from ar_worker.task import Task, Trial


def leased(task: Task) -> dict[str, object]:
    """Return what is told of a lease that was granted."""
    return {
        "lease": task.lease.id, "problem": task.problem, "revision": task.revision, "parent": task.parent,
        "parent_score": task.parent_score, "box": task.box,
    }  # fmt: skip


def scored(task: Task, trial: Trial) -> dict[str, object]:
    """Return what is told of one evaluation: scores of this machine, which are at most claimed."""
    return {
        "lease": task.lease.id, "problem": task.problem, "content_hash": trial.content_hash, "score": trial.score,
        "parent_score": trial.parent_score, "reason": trial.reason.value if trial.reason else None,
        "note": trial.note, "claim": trial.content is not None, "seconds": round(trial.seconds, 6),
    }  # fmt: skip


def reported(receipt: Received, claims: Iterable[str]) -> dict[str, object]:
    """Return what is told of a report that the pool has on disk; ``claims`` are the identifiers of its claims."""
    key = receipt.key
    return {
        "lease": key.lease.id, "sequence": key.sequence, "experiments": receipt.experiments, "claims": list(claims),
    }  # fmt: skip


def verdict(experiment: Experiment) -> dict[str, object]:
    """Return what is told of a verdict: what was claimed, what was verified, and what is published."""
    return {
        "id": experiment.id, "problem": experiment.problem, "status": experiment.state.value,
        "reason": experiment.reason.value if experiment.reason else None, "explanation": experiment.explanation,
        "claimed": experiment.claimed, "verified": experiment.verified, "gain": experiment.gain,
        "published": experiment.published.score if experiment.published else None,
        "commit": experiment.commit or None,
    }  # fmt: skip
