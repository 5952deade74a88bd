"""The two life cycles, of a lease and of an experiment, as tables: anything absent is illegal.

Not here: who may cause an event, and where the state is kept.
"""

from enum import StrEnum


class LeaseState(StrEnum):
    """Where the right to work on a problem stands."""

    GRANTED = "granted"
    FINISHED = "finished"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class ExperimentState(StrEnum):
    """Where one tried version of the mutable file stands."""

    REPORTED = "reported"
    RECORDED = "recorded"
    QUEUED = "queued"
    VERIFYING = "verifying"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    HELD = "held"
    WITHDRAWN = "withdrawn"
    REVERTED = "reverted"


class ProblemState(StrEnum):
    """Where a published problem stands."""

    REGISTERING = "registering"
    OPEN = "open"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why an experiment ended as it did; one word for the wire, the commands, the API and the pages."""

    NO_IMPROVEMENT = "no_improvement"
    CRASH = "crash"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    INVALID_SCORE = "invalid_score"
    GUARD_FAILED = "guard_failed"
    DUPLICATE = "duplicate"
    POLICY = "policy"
    NOT_REPRODUCED = "not_reproduced"
    INCONCLUSIVE = "inconclusive"
    IMPLAUSIBLE = "implausible"
    STALE_CONFLICT = "stale_conflict"
    INFRASTRUCTURE = "infrastructure"
    WITHDRAWN = "withdrawn"
    SIMPLER = "simpler"
    REBASED = "rebased"


class IllegalTransitionError(ValueError):
    """A state change that the tables do not contain."""


LEASE_TRANSITIONS: dict[LeaseState, frozenset[LeaseState]] = {
    LeaseState.GRANTED: frozenset(
        {LeaseState.FINISHED, LeaseState.RELEASED, LeaseState.EXPIRED, LeaseState.CANCELLED}
    ),
    LeaseState.FINISHED: frozenset(),
    LeaseState.RELEASED: frozenset(),
    LeaseState.EXPIRED: frozenset(),
    LeaseState.CANCELLED: frozenset(),
}

_E = ExperimentState
EXPERIMENT_TRANSITIONS: dict[ExperimentState, frozenset[ExperimentState]] = {
    # A hand-made proposal that breaks the one-file rule is judged on the spot.
    _E.REPORTED: frozenset({_E.RECORDED, _E.QUEUED, _E.REJECTED}),
    _E.QUEUED: frozenset({_E.VERIFYING, _E.WITHDRAWN}),
    # Back to the queue on trouble of our own, or when `main` moved meanwhile.
    _E.VERIFYING: frozenset({_E.ACCEPTED, _E.REJECTED, _E.HELD, _E.QUEUED}),
    _E.HELD: frozenset({_E.QUEUED, _E.REJECTED}),
    _E.ACCEPTED: frozenset({_E.REVERTED}),
    _E.RECORDED: frozenset(),
    _E.REJECTED: frozenset(),
    _E.WITHDRAWN: frozenset(),
    _E.REVERTED: frozenset(),
}

_P = ProblemState
PROBLEM_TRANSITIONS: dict[ProblemState, frozenset[ProblemState]] = {
    _P.REGISTERING: frozenset({_P.OPEN, _P.REFUSED}),
    _P.OPEN: frozenset({_P.PAUSED, _P.WITHDRAWN}),
    _P.PAUSED: frozenset({_P.OPEN, _P.WITHDRAWN}),
    _P.WITHDRAWN: frozenset(),
    _P.REFUSED: frozenset(),
}

SETTLED = frozenset({_E.RECORDED, _E.ACCEPTED, _E.REJECTED, _E.HELD, _E.WITHDRAWN, _E.REVERTED})
"""States in which somebody who proposed has an answer."""


def move_lease(before: LeaseState, after: LeaseState) -> LeaseState:
    """Return ``after``; raises ``IllegalTransitionError`` when the table has no such change."""
    if after not in LEASE_TRANSITIONS[before]:
        raise IllegalTransitionError(f"a lease cannot go from {before} to {after}")
    return after


def move_experiment(before: ExperimentState, after: ExperimentState) -> ExperimentState:
    """Return ``after``; raises ``IllegalTransitionError`` when the table has no such change."""
    if after not in EXPERIMENT_TRANSITIONS[before]:
        raise IllegalTransitionError(f"an experiment cannot go from {before} to {after}")
    return after


def move_problem(before: ProblemState, after: ProblemState) -> ProblemState:
    """Return ``after``; raises ``IllegalTransitionError`` when the table has no such change."""
    if after not in PROBLEM_TRANSITIONS[before]:
        raise IllegalTransitionError(f"a problem cannot go from {before} to {after}")
    return after
