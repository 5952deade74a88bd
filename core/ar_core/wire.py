"""Conversion between the pool's records and what crosses the wire; the border where protobuf stops.

Not here: calls, channels, or what the records mean.
"""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.records import (
    Experiment,
    Finding,
    Identity,
    LeaderboardRow,
    ProblemCard,
    PublishedScore,
    Role,
    StrictBudget,
    TokenRecord,
)
from ar_proto.v1 import administration_pb2, catalogue_pb2, enrolment_pb2, experiment_pb2, problem_pb2


def time_to_wire(value: datetime) -> Timestamp:
    """Return the protobuf form of an aware ``datetime``."""
    stamp = Timestamp()
    stamp.FromDatetime(value.astimezone(UTC).replace(tzinfo=None))
    return stamp


def time_from_wire(stamp: Timestamp) -> datetime:
    """Return an aware ``datetime`` in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def seconds_to_wire(seconds: float) -> Duration:
    """Return the protobuf form of a number of seconds."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1_000_000) * 1000)
    return duration


def seconds_from_wire(duration: Duration) -> float:
    """Return seconds."""
    return duration.ToMicroseconds() / 1_000_000


def role_to_wire(role: Role | None) -> enrolment_pb2.Role.ValueType:
    """Return the wire's role; ``None`` is unspecified."""
    return enrolment_pb2.Role.Value(f"ROLE_{role.name if role else 'UNSPECIFIED'}")


def role_from_wire(role: enrolment_pb2.Role.ValueType) -> Role | None:
    """Return the role; unspecified (or one of a newer protocol) is ``None``."""
    name = _name(enrolment_pb2.Role, role, "ROLE_")
    return Role[name] if name in Role.__members__ else None


def experiment_state_to_wire(state: ExperimentState | None) -> experiment_pb2.ExperimentState.ValueType:
    """Return the wire's state; ``None`` is unspecified."""
    return experiment_pb2.ExperimentState.Value(f"EXPERIMENT_STATE_{state.name if state else 'UNSPECIFIED'}")


def experiment_state_from_wire(state: experiment_pb2.ExperimentState.ValueType) -> ExperimentState | None:
    """Return the state; unspecified is ``None``."""
    name = _name(experiment_pb2.ExperimentState, state, "EXPERIMENT_STATE_")
    return ExperimentState[name] if name in ExperimentState.__members__ else None


def problem_state_to_wire(state: ProblemState | None) -> problem_pb2.ProblemState.ValueType:
    """Return the wire's state; ``None`` is unspecified."""
    return problem_pb2.ProblemState.Value(f"PROBLEM_STATE_{state.name if state else 'UNSPECIFIED'}")


def problem_state_from_wire(state: problem_pb2.ProblemState.ValueType) -> ProblemState | None:
    """Return the state; unspecified is ``None``."""
    name = _name(problem_pb2.ProblemState, state, "PROBLEM_STATE_")
    return ProblemState[name] if name in ProblemState.__members__ else None


def identity_to_wire(identity: Identity) -> enrolment_pb2.Identity:
    """Return the public part of an identity; the key stays where it is."""
    return enrolment_pb2.Identity(
        id=identity.id,
        role=role_to_wire(identity.role),
        contributor=identity.contributor,
        machine=identity.machine,
        joined=time_to_wire(identity.joined),
    )


def identity_from_wire(message: enrolment_pb2.Identity) -> Identity:
    """Return the identity without its key."""
    return Identity(
        id=message.id,
        role=role_from_wire(message.role) or Role.WORKER,
        contributor=message.contributor,
        machine=message.machine,
        joined=time_from_wire(message.joined),
    )


def token_to_wire(token: TokenRecord) -> administration_pb2.Token:
    """Return a token's description."""
    return administration_pb2.Token(
        id=token.id, role=role_to_wire(token.role), contributor=token.contributor, uses=token.uses,
        used=token.used, expires=time_to_wire(token.expires), revoked=token.revoked,
    )  # fmt: skip


def token_from_wire(message: administration_pb2.Token) -> TokenRecord:
    """Return a token's description."""
    return TokenRecord(
        id=message.id, role=role_from_wire(message.role) or Role.WORKER, contributor=message.contributor,
        uses=message.uses, used=message.used, revoked=message.revoked,
        expires=time_from_wire(message.expires),
    )  # fmt: skip


def experiment_to_wire(x: Experiment) -> experiment_pb2.Experiment:
    """Return the protobuf form of an experiment."""
    return experiment_pb2.Experiment(
        id=x.id,
        problem=x.problem,
        revision=x.revision,
        state=experiment_state_to_wire(x.state),
        reason=experiment_pb2.Reason.Value(f"REASON_{x.reason.name if x.reason else 'UNSPECIFIED'}"),
        explanation=x.explanation,
        worker=x.worker,
        contributor=x.contributor,
        agent=x.agent,
        note=x.note,
        claimed=x.claimed,
        verified=x.verified,
        incumbent=x.incumbent,
        gain=x.gain,
        gain_low=x.gain_low,
        gain_high=x.gain_high,
        effect_size=x.effect_size,
        pairs=x.pairs,
        evidence=x.evidence,
        exact=x.exact,
        commit=x.commit,
        parent=x.parent,
        blob=x.blob,
        verifier=x.verifier,
        feedback=x.feedback,
        published=None if x.published is None else _published_to_wire(x.published),
        verifier_grade=x.verifier_grade,
        worker_grade=x.worker_grade,
        created=time_to_wire(x.created),
        updated=time_to_wire(x.updated),
    )


def experiment_from_wire(message: experiment_pb2.Experiment) -> Experiment:
    """Return the experiment; an unknown state of a newer protocol reads as reported."""
    reason = _name(experiment_pb2.Reason, message.reason, "REASON_")
    return Experiment(
        id=message.id,
        problem=message.problem,
        revision=message.revision,
        state=experiment_state_from_wire(message.state) or ExperimentState.REPORTED,
        reason=Reason[reason] if reason in Reason.__members__ else None,
        explanation=message.explanation,
        worker=message.worker,
        contributor=message.contributor,
        agent=message.agent,
        note=message.note,
        claimed=message.claimed if message.HasField("claimed") else None,
        verified=message.verified if message.HasField("verified") else None,
        incumbent=message.incumbent if message.HasField("incumbent") else None,
        gain=message.gain if message.HasField("gain") else None,
        gain_low=message.gain_low if message.HasField("gain_low") else None,
        gain_high=message.gain_high if message.HasField("gain_high") else None,
        effect_size=message.effect_size if message.HasField("effect_size") else None,
        pairs=message.pairs,
        evidence=message.evidence if message.HasField("evidence") else None,
        exact=message.exact,
        commit=message.commit,
        parent=message.parent,
        blob=message.blob,
        verifier=message.verifier,
        feedback=message.feedback,
        published=_published_from_wire(message.published) if message.HasField("published") else None,
        verifier_grade=message.verifier_grade,
        worker_grade=message.worker_grade,
        created=time_from_wire(message.created),
        updated=time_from_wire(message.updated),
    )


def _published_to_wire(published: PublishedScore) -> experiment_pb2.Published:
    return experiment_pb2.Published(
        score=published.score, incumbent=published.incumbent, gain=published.gain, pairs=published.pairs,
        low=published.low, high=published.high, verifier=published.verifier, grade=published.grade,
    )  # fmt: skip


def _published_from_wire(message: experiment_pb2.Published) -> PublishedScore:
    return PublishedScore(
        score=message.score, incumbent=message.incumbent, gain=message.gain, pairs=message.pairs,
        low=message.low if message.HasField("low") else None,
        high=message.high if message.HasField("high") else None,
        verifier=message.verifier, grade=message.grade,
    )  # fmt: skip


def finding_to_wire(finding: Finding) -> problem_pb2.Finding:
    """Return the protobuf form of a finding."""
    severity = problem_pb2.Severity.Value("SEVERITY_" + finding.severity.upper())
    return problem_pb2.Finding(check=finding.check, severity=severity, message=finding.message, fix=finding.fix)


def finding_from_wire(message: problem_pb2.Finding) -> Finding:
    """Return the finding; an unknown severity reads as a warning."""
    severities = {problem_pb2.SEVERITY_INFO: "info", problem_pb2.SEVERITY_ERROR: "error"}
    return Finding(
        check=message.check,
        severity=severities.get(message.severity, "warning"),  # type: ignore[arg-type]
        message=message.message,
        fix=message.fix,
    )


def problem_to_wire(card: ProblemCard) -> problem_pb2.Problem:
    """Return the protobuf form of a problem."""
    return problem_pb2.Problem(
        name=card.name,
        title=card.title,
        summary=card.summary,
        revision=card.revision,
        state=problem_state_to_wire(card.state),
        state_reason=card.state_reason,
        kind=card.kind,
        metric=card.metric,
        direction=card.direction,
        unit=card.unit,
        decimals=card.decimals,
        noise=card.noise,
        baseline=card.baseline,
        best=card.best,
        accepted=card.accepted,
        experiments=card.experiments,
        head=card.head,
        contributors=card.contributors,
        publisher=card.publisher,
        findings=[finding_to_wire(f) for f in card.findings],
        web=card.web,
        mutable_path=card.mutable_path,
        max_bytes=card.max_bytes,
        locked_digest=card.locked_digest,
        published=time_to_wire(card.published),
        evaluation=seconds_to_wire(card.evaluation),
        best_low=card.best_low,
        best_high=card.best_high,
        best_pairs=card.best_n,
        best_experiment=card.best_experiment,
        strict=None if card.strict is None else _budget_to_wire(card.strict),
    )


def problem_from_wire(message: problem_pb2.Problem) -> ProblemCard:
    """Return the problem; an unknown state of a newer protocol reads as paused."""
    return ProblemCard(
        name=message.name,
        title=message.title,
        summary=message.summary,
        revision=message.revision,
        state=problem_state_from_wire(message.state) or ProblemState.PAUSED,
        state_reason=message.state_reason,
        kind=message.kind,
        metric=message.metric,
        direction=message.direction,
        unit=message.unit,
        decimals=message.decimals,
        noise=message.noise,
        baseline=message.baseline if message.HasField("baseline") else None,
        best=message.best if message.HasField("best") else None,
        accepted=message.accepted,
        experiments=message.experiments,
        head=message.head,
        contributors=message.contributors,
        publisher=message.publisher,
        findings=tuple(finding_from_wire(f) for f in message.findings),
        web=message.web,
        mutable_path=message.mutable_path,
        max_bytes=message.max_bytes,
        locked_digest=message.locked_digest,
        published=time_from_wire(message.published),
        evaluation=seconds_from_wire(message.evaluation),
        best_low=message.best_low if message.HasField("best_low") else None,
        best_high=message.best_high if message.HasField("best_high") else None,
        best_n=message.best_pairs,
        best_experiment=message.best_experiment,
        strict=_budget_from_wire(message.strict) if message.strict.next_level > 0 else None,
    )


def _budget_to_wire(budget: StrictBudget) -> problem_pb2.StrictBudget:
    return problem_pb2.StrictBudget(
        alpha=budget.alpha, verifications=budget.trials, accepted=budget.accepted, spent=budget.spent,
        next_level=budget.next_level,
    )  # fmt: skip


def _budget_from_wire(message: problem_pb2.StrictBudget) -> StrictBudget:
    return StrictBudget(
        alpha=message.alpha, trials=message.verifications, accepted=message.accepted, spent=message.spent,
        next_level=message.next_level,
    )  # fmt: skip


def row_to_wire(row: LeaderboardRow) -> catalogue_pb2.LeaderboardRow:
    """Return the protobuf form of a leaderboard's row."""
    return catalogue_pb2.LeaderboardRow(
        rank=row.rank,
        contributor=row.contributor,
        accepted=row.accepted,
        gain=row.gain,
        share=row.share,
        experiments=row.experiments,
        donated=seconds_to_wire(row.seconds),
        last_accepted=time_to_wire(row.last_accepted) if row.last_accepted else None,
    )


def row_from_wire(message: catalogue_pb2.LeaderboardRow) -> LeaderboardRow:
    """Return the leaderboard's row."""
    return LeaderboardRow(
        rank=message.rank,
        contributor=message.contributor,
        accepted=message.accepted,
        gain=message.gain if message.HasField("gain") else None,
        share=message.share,
        experiments=message.experiments,
        seconds=seconds_from_wire(message.donated),
        last_accepted=time_from_wire(message.last_accepted) if message.HasField("last_accepted") else None,
    )


def _name(enum: object, value: int, prefix: str) -> str:
    """Return an enum value's bare name; a number of a newer protocol has none."""
    try:
        return str(enum.Name(value)).removeprefix(prefix)  # type: ignore[attr-defined]
    except ValueError:
        return ""
