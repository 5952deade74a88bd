"""The JSON documents that other programs rely on, made from records; used by the commands and the HTTP API.

Not here: printing them.
"""

from collections.abc import Sequence

from ar_core.records import Experiment, Finding, LeaderboardRow, ProblemCard, PublishedScore, StrictBudget


def experiment_document(x: Experiment) -> dict[str, object]:
    """Return the line of ``ar-pool log --json`` for one experiment.

    ``claimed``, ``verified`` and ``published`` are three scores. What was measured together with ``verified`` is
    beside it, what was measured together with ``published`` in ``publication``.
    """
    published = x.published
    return {
        "schema": "ar.experiment/1",
        "id": x.id,
        "problem": x.problem,
        "revision": x.revision,
        "status": x.state.value,
        "reason": x.reason.value if x.reason else None,
        "explanation": x.explanation,
        "worker": x.worker or None,
        "contributor": x.contributor,
        "agent": x.agent,
        "note": x.note,
        "claimed": x.claimed,
        "verified": x.verified,
        "incumbent": x.incumbent,
        "gain": x.gain,
        "interval": _interval(x.gain_low, x.gain_high),
        "effect_size": x.effect_size,
        "pairs": x.pairs,
        "evidence": "exact" if x.exact else x.evidence,
        "commit": x.commit or None,
        "parent": x.parent or None,
        "verifier": x.verifier or None,
        "verifier_grade": x.verifier_grade or None,
        "worker_grade": x.worker_grade or None,
        "published": None if published is None else published.score,
        "publication": None if published is None else _publication(published),
        "feedback": x.feedback or None,
        "created": x.created.isoformat(),
        "updated": x.updated.isoformat(),
    }


def proposal_document(x: Experiment) -> dict[str, object]:
    """Return the document of ``ar-pool propose --json``."""
    whole = experiment_document(x)
    keys = ("id", "problem", "status", "reason", "explanation", "claimed", "verified", "incumbent", "gain",
            "interval", "effect_size", "pairs", "evidence", "verifier", "verifier_grade", "published", "publication",
            "commit", "feedback")  # fmt: skip
    return {"schema": "ar.proposal/1", **{key: whole[key] for key in keys}}


def problem_document(card: ProblemCard) -> dict[str, object]:
    """Return the document of ``ar-pool show --json``."""
    return {
        "schema": "ar.problem/1",
        "problem": card.name,
        "title": card.title,
        "summary": card.summary,
        "revision": card.revision,
        "state": card.state.value,
        "state_reason": card.state_reason or None,
        "kind": card.kind,
        "integrity": card.integrity,
        "metric": card.metric,
        "direction": card.direction,
        "unit": card.unit,
        "decimals": card.decimals,
        "noise": card.noise,
        "baseline": card.baseline,
        "best": card.best,
        "best_interval": _interval(card.best_low, card.best_high),
        "best_pairs": card.best_n or None,
        "best_experiment": card.best_experiment or None,
        "accepted": card.accepted,
        "experiments": card.experiments,
        "head": card.head or None,
        "contributors": card.contributors,
        "publisher": card.publisher,
        "mutable": card.mutable_path,
        "max_bytes": card.max_bytes,
        "locked_digest": card.locked_digest,
        "published": card.published.isoformat(),
        "evaluation_seconds": card.evaluation,
        "web": card.web,
        "strict": None if card.strict is None else _budget(card.strict),
        "findings": findings_document(card.findings),
    }


def _publication(published: PublishedScore) -> dict[str, object]:
    return {
        "incumbent": published.incumbent,
        "gain": published.gain,
        "pairs": published.pairs,
        "interval": _interval(published.low, published.high),
        "verifier": published.verifier or None,
        "grade": published.grade or None,
    }


def _budget(budget: StrictBudget) -> dict[str, object]:
    return {
        "alpha": budget.alpha,
        "verifications": budget.trials,
        "accepted": budget.accepted,
        "spent": budget.spent,
        "next_level": budget.next_level,
        "next_evidence": budget.next_evidence,
    }


def _interval(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [low, high]


def findings_document(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Return the findings of a registration."""
    return [{"check": f.check, "severity": f.severity, "message": f.message, "fix": f.fix} for f in findings]


def leaderboard_document(problem: str | None, rows: Sequence[LeaderboardRow]) -> dict[str, object]:
    """Return the document of ``ar-pool leaderboard --json``; without a problem, ``gain`` is null."""
    return {
        "schema": "ar.leaderboard/1",
        "problem": problem,
        "rows": [
            {
                "rank": row.rank,
                "contributor": row.contributor,
                "accepted": row.accepted,
                # No sum across units: a gain belongs to one problem.
                "gain": row.gain if problem is not None else None,
                "share": row.share,
                "experiments": row.experiments,
                "seconds": row.seconds,
                "last_accepted": row.last_accepted.isoformat() if row.last_accepted else None,
            }
            for row in rows
        ],
    }
