"""Conversion between the worker's values and the messages of the work stream; the border where protobuf stops.

Not here: the stream itself (``connection``), and what the messages lead to (``session``).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

from ar_core.errors import PoolError
from ar_core.lifecycle import Reason
from ar_core.signing import REPORT_DOMAIN, PrivateKey, sign
from ar_core.wire import experiment_from_wire, seconds_from_wire, seconds_to_wire
from ar_proto.v1 import experiment_pb2, work_pb2
from ar_worker import events as on
from ar_worker.task import Count, Hint, LeaseName, Report, ReportKey, Task, Trial

PROTOCOL = 1
_HASH_BYTES = 32
_TOGETHER_BYTES = 256 * 1024
"""Messages that go as one have less than this together."""
_MOST_TOGETHER = 250
"""Messages that go as one at most; the pool takes twice as many."""


def lease_to_wire(lease: LeaseName) -> work_pb2.LeaseName:
    """Return the protobuf form of a lease's name."""
    return work_pb2.LeaseName(id=lease.id, fencing=lease.fencing)


def lease_from_wire(message: work_pb2.LeaseName) -> LeaseName:
    """Return the lease's name."""
    return LeaseName(id=message.id, fencing=message.fencing)


def reason_to_wire(reason: Reason | None) -> experiment_pb2.Reason.ValueType:
    """Return the wire's reason; ``None`` is unspecified."""
    return experiment_pb2.Reason.Value(f"REASON_{reason.name if reason else 'UNSPECIFIED'}")


def reason_from_wire(reason: experiment_pb2.Reason.ValueType) -> Reason | None:
    """Return the reason; unspecified (or one of a newer protocol) is ``None``."""
    names = {value: name.removeprefix("REASON_") for name, value in experiment_pb2.Reason.items()}
    return Reason.__members__.get(names.get(reason, ""))


def task_from_wire(message: work_pb2.Task) -> Task:
    """Return the task."""
    return Task(
        lease=lease_from_wire(message.lease),
        problem=message.problem,
        revision=message.revision,
        bundle=message.bundle,
        parent_blob=message.parent_blob,
        parent=message.parent,
        parent_score=message.parent_score if message.HasField("parent_score") else None,
        box=seconds_from_wire(message.box),
        inspirations=tuple(
            Hint(blob=hint.blob, score=hint.score if hint.HasField("score") else None)
            for hint in message.inspirations
        ),
        explore=message.explore,
        tried=_hashes(message.tried_hashes),
    )


def programs_to_wire(names: Iterable[str]) -> work_pb2.WorkRequest:
    """Return the answer to what programs there are."""
    return work_pb2.WorkRequest(programs=work_pb2.Programs(names=names))


def decline_to_wire(declined: Iterable[tuple[str, int]]) -> work_pb2.Decline:
    """Return what the owner has not agreed to."""
    revisions = [work_pb2.RevisionName(problem=name, revision=revision) for name, revision in declined]
    return work_pb2.Decline(revisions=revisions)


async def together(
    outbox: "asyncio.Queue[work_pb2.WorkRequest | None]",
) -> AsyncIterator[work_pb2.WorkRequest]:
    """Yield what is put into ``outbox`` until ``None``; what is ready at the same time goes as one message."""
    item = await outbox.get()
    while item is not None:
        following = _join(item, outbox)
        yield item
        item = following[0] if following else await outbox.get()


def _join(
    message: work_pb2.WorkRequest, outbox: "asyncio.Queue[work_pb2.WorkRequest | None]"
) -> list[work_pb2.WorkRequest | None]:
    """Add what else is ready to a message; return the first that does not go with it, if there is one."""
    size = message.ByteSize()
    while not outbox.empty() and len(message.more) < _MOST_TOGETHER - 1:
        further = outbox.get_nowait()
        if further is None:
            return [None]
        size += further.ByteSize()
        if size >= _TOGETHER_BYTES:
            return [further]
        message.more.append(further)
    return []


def apart(message: work_pb2.WorkResponse) -> Iterator[work_pb2.WorkResponse]:
    """Yield the messages that came as one."""
    yield message
    yield from message.more


def _hashes(data: bytes) -> frozenset[str]:
    """Return the SHA-256 hashes that were joined."""
    return frozenset(data[at : at + _HASH_BYTES].hex() for at in range(0, len(data), _HASH_BYTES))


def report_to_wire(report: Report) -> work_pb2.Report:
    """Return the protobuf form of a report, not signed yet."""
    return work_pb2.Report(
        lease=lease_to_wire(report.key.lease),
        sequence=report.key.sequence,
        experiments=[
            work_pb2.ReportedExperiment(
                content_hash=trial.content_hash,
                score=trial.score,
                reason=reason_to_wire(trial.reason),
                note=trial.note,
                content=trial.content,
                parent_score=trial.parent_score,
                duration=seconds_to_wire(trial.seconds),
            )
            for trial in report.trials
        ],
        counted=[
            work_pb2.CountedExperiments(
                reason=reason_to_wire(reason), count=count.trials, duration=seconds_to_wire(count.seconds)
            )
            for reason, count in report.counted.items()
        ],
        last=report.last,
    )


def report_from_wire(message: work_pb2.Report) -> Report:
    """Return the report; its signature is left out."""
    return Report(
        key=ReportKey(lease=lease_from_wire(message.lease), sequence=message.sequence),
        trials=tuple(
            Trial(
                content_hash=one.content_hash,
                score=one.score if one.HasField("score") else None,
                reason=reason_from_wire(one.reason),
                note=one.note,
                content=one.content if one.HasField("content") else None,
                parent_score=one.parent_score if one.HasField("parent_score") else None,
                seconds=seconds_from_wire(one.duration),
            )
            for one in message.experiments
        ),
        counted={
            reason: Count(trials=count.count, seconds=seconds_from_wire(count.duration))
            for count in message.counted
            if (reason := reason_from_wire(count.reason)) is not None
        },
        last=message.last,
    )


def signed(report: Report, key: PrivateKey) -> work_pb2.Report:
    """Return the report with this machine's signature over all its other fields."""
    message = report_to_wire(report)
    message.signature = sign(key, REPORT_DOMAIN, message.SerializeToString(deterministic=True))
    return message


def event_from_wire(message: work_pb2.WorkResponse) -> on.Event | None:
    """Return what the pool says as an event; ``None`` for a message of a newer protocol."""
    match message.WhichOneof("message"):
        case "welcome":
            return _welcomed(message.welcome)
        case "task":
            return on.Granted(task=task_from_wire(message.task))
        case "receipt":
            key = ReportKey(lease=lease_from_wire(message.receipt.lease), sequence=message.receipt.sequence)
            return on.Received(key=key, experiments=message.receipt.experiments, ids=tuple(message.receipt.ids))
        case "verdict":
            return on.Judged(experiment=experiment_from_wire(message.verdict.experiment))
        case "cancel":
            return on.Cancelled(lease=lease_from_wire(message.cancel.lease), reason=message.cancel.reason)
        case "improved":
            return on.Improved(problem=message.improved.problem, blob=message.improved.blob)
        case "wait":
            names = {value: name for name, value in work_pb2.WaitReason.items()}
            reasons = [names.get(reason, "").removeprefix("WAIT_REASON_").lower() for reason in message.wait.reasons]
            return on.Told(seconds=seconds_from_wire(message.wait.duration), reasons=tuple(filter(None, reasons)))
        case _:
            return None


def _welcomed(message: work_pb2.Welcome) -> on.Event:
    if message.protocol != PROTOCOL:
        return on.Disconnected(
            error=PoolError("AR-A104", f"it speaks protocol {message.protocol} of the work stream")
        )
    return on.Welcomed(
        progress_interval=max(1.0, seconds_from_wire(message.progress_interval)),
        report_interval=max(0.1, seconds_from_wire(message.report_interval)),
        slots=message.leases,
    )
