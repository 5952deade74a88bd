"""A worker's report as it comes over the wire: checked, and turned into what the store takes in.

Not here: storing it (``store.leases``). Nothing that a report says is believed: a claim's hashes are computed from
its bytes, and its score only decides what is worth measuring.
"""

import math
import re
import secrets

from ar_coordinator.store.leases import Name, Tried
from ar_core.candidate import check_policy, content_hash, sha256
from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState, Reason
from ar_core.records import Identity
from ar_core.signing import REPORT_DOMAIN, PublicKey, verify
from ar_core.text import one_line
from ar_core.wire import seconds_from_wire
from ar_proto.v1 import experiment_pb2, work_pb2

MOST_EXPERIMENTS = 100
MOST_COUNTED = 1_000_000
_MOST_GROUPS = 100
"""Counts in one report; there are fewer reasons."""
_NOTE_CHARACTERS = 200
_LINE_CHARACTERS = 160
_LEASE = re.compile(r"[a-z0-9-]{1,40}")
_HASH = re.compile(r"[0-9a-f]{64}")
_REPORTED = frozenset(
    {Reason.NO_IMPROVEMENT, Reason.CRASH, Reason.TIMEOUT, Reason.OUT_OF_MEMORY, Reason.INVALID_SCORE,
     Reason.GUARD_FAILED, Reason.DUPLICATE, Reason.POLICY, Reason.INCONCLUSIVE, Reason.INFRASTRUCTURE}
)  # fmt: skip


def lease_name(name: work_pb2.LeaseName) -> Name:
    """Return a lease's name; raises ``PoolError`` AR-A101 for what cannot be one."""
    if not _LEASE.fullmatch(name.id) or not 0 <= name.fencing < 2**62:
        raise PoolError("AR-A101", "this is not the name of a lease")
    return Name(id=name.id, fencing=name.fencing)


def check_signature(report: work_pb2.Report, who: Identity) -> None:
    """Raise ``PoolError`` AR-I201 unless the report was signed by the machine's own key."""
    unsigned = work_pb2.Report()
    unsigned.CopyFrom(report)
    unsigned.ClearField("signature")
    payload = unsigned.SerializeToString(deterministic=True)
    if not who.public_key or not verify(PublicKey(raw=who.public_key), REPORT_DOMAIN, payload, report.signature):
        raise PoolError("AR-I201", "a report is not signed with the key this machine joined with")


def counted(report: work_pb2.Report) -> tuple[int, float]:
    """Return how many experiments are only counted, and the seconds of all; raises ``PoolError`` AR-A101."""
    if len(report.counted) > _MOST_GROUPS or len(report.experiments) > MOST_EXPERIMENTS:
        raise PoolError("AR-A101", f"a report has at most {MOST_EXPERIMENTS} experiments, and one count a reason")
    number = 0
    seconds = sum(max(0.0, seconds_from_wire(one.duration)) for one in report.experiments)
    for group in report.counted:
        if not 0 <= group.count <= MOST_COUNTED:
            raise PoolError("AR-A101", f"a report counts 0 to {MOST_COUNTED} experiments")
        number += group.count
        seconds += max(0.0, seconds_from_wire(group.duration))
    if report.sequence < 1 or number > MOST_COUNTED:
        raise PoolError("AR-A101", f"a report has a number from 1 and counts at most {MOST_COUNTED} experiments")
    return number, min(seconds, 1e9)


def has_claim(report: work_pb2.Report) -> bool:
    """Tell whether a report brings bytes to be verified."""
    return any(one.HasField("content") for one in report.experiments)


def tried(report: work_pb2.Report, max_bytes: int) -> list[Tried]:
    """Return the experiments of a report as they start; ``max_bytes`` is the most that a mutable file may have."""
    return [_claim(one, max_bytes) if one.HasField("content") else _recorded(one) for one in report.experiments]


def _recorded(one: work_pb2.ReportedExperiment) -> Tried:
    reason, score = _reason(one.reason), _score(one)
    note = one_line(one.note, _NOTE_CHARACTERS)
    return Tried(
        id=_new_id(), state=ExperimentState.RECORDED, reason=reason, score=score, note=note,
        content_hash=one.content_hash if _HASH.fullmatch(one.content_hash) else "",
        line=_line(f"{reason}", score, note),
    )  # fmt: skip


def _claim(one: work_pb2.ReportedExperiment, max_bytes: int) -> Tried:
    note, score = one_line(one.note, _NOTE_CHARACTERS), _score(one)
    finding = check_policy(one.content, max_bytes)
    if finding is not None:
        return Tried(
            id=_new_id(), state=ExperimentState.REJECTED, reason=Reason.POLICY, score=score, note=note,
            explanation=one_line(f"{finding.message[:1].upper()}{finding.message[1:]}; {finding.hint}."),
        )  # fmt: skip
    if score is None:
        return Tried(
            id=_new_id(), state=ExperimentState.RECORDED, reason=Reason.INVALID_SCORE, note=note,
            explanation="It was claimed without a score.", content_hash=content_hash(one.content),
        )  # fmt: skip
    return Tried(
        id=_new_id(), state=ExperimentState.QUEUED, score=score, note=note, content_hash=content_hash(one.content),
        blob=sha256(one.content), content=one.content,
    )  # fmt: skip


def _new_id() -> str:
    return f"x-{secrets.token_hex(8)}"


def _score(one: work_pb2.ReportedExperiment) -> float | None:
    return one.score if one.HasField("score") and math.isfinite(one.score) else None


def _reason(value: int) -> Reason:
    """Return why it was no claim; whatever a worker cannot know counts as no improvement."""
    try:
        name = experiment_pb2.Reason.Name(value).removeprefix("REASON_")  # type: ignore[arg-type]
    except ValueError:
        name = ""
    reason = Reason.__members__.get(name, Reason.NO_IMPROVEMENT)
    return reason if reason in _REPORTED else Reason.NO_IMPROVEMENT


def _line(reason: str, score: float | None, note: str) -> str:
    if not note:
        return ""
    measured = "" if score is None else f", reported {score:g}"
    return one_line(f"{reason}{measured}: {note}", _LINE_CHARACTERS)
