"""What is written down of a settled verification: in the experiment's record, and in the commit of an accept.

Not here: settling it (``verification``), and what of it may be told (``release``).
"""

from datetime import UTC, datetime

from ar_coordinator.evidence import Evidence, Score
from ar_coordinator.judgement import Judgement, Published
from ar_coordinator.measuring import Measured, names_of
from ar_coordinator.open_problem import OpenProblem
from ar_coordinator.release import Released
from ar_core.lifecycle import Reason
from ar_core.records import Experiment, PublishedScore


def record(told: Released, judged: Judgement, measured: Measured) -> dict[str, object]:
    """Return what an experiment's record says of its comparison, but for the sentence."""
    return {
        "verified": told.verified,
        "incumbent": told.incumbent,
        "gain": told.gain,
        "gain_low": told.gain_low,
        "gain_high": told.gain_high,
        "effect_size": told.effect_size,
        "pairs": judged.decision.n,
        "evidence": told.evidence,
        "exact": judged.decision.exact,
        "verifier": measured.verifier,
        "verifier_grade": measured.grade,
        "feedback": judged.feedback,
        "updated": datetime.now(UTC),
    }


def published_score(published: Published, measured: Measured) -> PublishedScore:
    """Return what an accept's record says of the score that it is published with."""
    low, high = published.interval or (None, None)
    return PublishedScore(
        score=published.score, incumbent=published.baseline, gain=published.gain, pairs=published.n, low=low,
        high=high, verifier=measured.verifier, grade=measured.grade,
    )  # fmt: skip


def evidence_of_accept(
    x: Experiment, opened: OpenProblem, judged: Judgement, told: Released, published: Published, measured: Measured,
    again: Measured, *, rebased: bool, parent: str | None, seeds: tuple[str, ...],
) -> Evidence:  # fmt: skip
    """Return what the commit of an accept states; ``published`` was measured in the pairs of ``again``."""
    decision, metric = judged.decision, opened.problem.metric
    return Evidence(
        experiment=x.id,
        problem=x.problem,
        revision=opened.revision,
        contributor=x.contributor,
        worker=x.worker,
        agent=x.agent,
        score=Score(value=published.score, unit=metric.unit, n=published.n, interval=published.interval),
        baseline=published.baseline,
        claimed=x.claimed,
        gain=published.gain,
        pairs=decision.n,
        evidence=told.evidence,
        verifier=names_of([*measured.verifier.split(", "), *again.verifier.split(", ")]),
        locked_digest=opened.locked_digest,
        parent_experiment=parent,
        seeds=seeds,
        # An accept for being shorter is one, rebased or not: it earns nothing, and audits allow for it.
        reason=Reason.REBASED if rebased and decision.reason is not Reason.SIMPLER else decision.reason,
        integrity=opened.problem.evaluation.kind.integrity,
    )
