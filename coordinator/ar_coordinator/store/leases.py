"""Leases in Redis: granting, renewing and ending them, and taking in what their holders report.

Not here: who gets which work (``dispatch``) and the stream they arrive on (``services.work``). A lease has at most
one holder, its fencing number is given once, and a report is counted once however often it comes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from ar_coordinator.store import keys, lease_scripts
from ar_coordinator.store.connection import Connection
from ar_coordinator.store.pipelined import Call, run_call
from ar_core.lifecycle import LeaseState

KEEP_MS = 60_000
"""How long a lease outlives the last sign of its holder."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A lease and its fencing number."""

    id: str
    fencing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLease:
    """What a lease is about; ``latest_ms`` is how long it may be held at most, however alive its holder is."""

    id: str
    identity: str
    contributor: str
    machine: str
    agent: str
    problem: str
    revision: int
    parent: str
    blobs: tuple[str, ...]
    """The blobs beside the problem's public files that its holder may read."""
    slots: int
    """Slots that the holder donates."""
    latest_ms: int
    grade: str = ""
    """Grade of the holder's sandbox, as it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """``granted`` and its fencing number, or why not: ``quota``, ``cool_down``, ``draining``, ``closed`` (the problem
    has no such work now), ``banned``, ``gone``; ``wait_ms`` is how long the worker cools down.
    """

    answer: str
    fencing: int
    wait_ms: int
    attempts: tuple[str, ...] = ()
    """One line on each of the last attempts on the same parent, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """Which leases are good still, and ``banned`` or ``gone`` for who must not go on."""

    trouble: str
    good: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One experiment of a report; ``state`` is ``recorded``, ``rejected``, or ``queued`` for a claim with bytes."""

    id: str
    state: str
    reason: str = ""
    explanation: str = ""
    score: float | None = None
    note: str = ""
    content_hash: str = ""
    blob: str = ""
    content: bytes = b""
    line: str = ""
    """What the next who build on the same parent are told of it; empty for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """``receipt`` with what it acknowledges, or why not: ``unknown``, ``fenced``, ``settled``, ``closed``,
    ``banned``, ``gone``. ``ids`` has one entry for each experiment, empty for one that was only counted.
    """

    answer: str
    experiments: int = 0
    ids: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()
    """Claims that wait for verification by this report; none when it came before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far an identity is trusted now: what of its claims waits, what was settled, how many leases it may hold."""

    trouble: str
    unverified: tuple[str, ...]
    wait_ms: int
    leases: int
    settled: tuple[str, ...]
    held: tuple[str, ...]
    """Claims that wait for a person: their verdict was told, and another one follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the claims of an identity came to; ``grade`` is that of its sandbox, as it said last."""

    grade: str = ""
    held: int = 0
    failed_in_a_row: int = 0
    cool_until_ms: int = 0


class Leases:
    """The pool's leases; methods named like events return calls, to be run alone or many in one round trip."""

    def __init__(self, connection: Connection) -> None:
        self._redis = connection.text

    def run(self, call: Call[T]) -> T:
        """Run one call; raises ``redis.RedisError``."""
        return run_call(self._redis, call)

    def grant(self, lease: NewLease, now: int) -> Call[Granted]:
        """Grant a lease if the worker may have one more and the problem still has this work."""
        latest = now + lease.latest_ms
        return Call(
            lease_scripts.GRANT,
            (lease.id, lease.identity, lease.problem, lease.revision, now, min(now + KEEP_MS, latest), latest,
             lease.slots, lease.parent, "contributor", lease.contributor, "machine", lease.machine,
             "agent", lease.agent, "blobs", " ".join(lease.blobs), "slots", lease.slots,
             "grade", lease.grade),
            _granted,
        )  # fmt: skip

    def renew(self, identity: str, leases: Sequence[Name], now: int) -> Call[Renewed]:
        """Hold leases for another ``KEEP_MS``, within what each may be held at most."""
        pairs = [part for lease in leases for part in (lease.id, lease.fencing)]
        return Call(
            lease_scripts.RENEW,
            (identity, now, now + KEEP_MS, *pairs),
            lambda reply: Renewed(trouble=str(reply[0]), good=tuple(bool(one) for one in reply[1])),
        )

    def release(self, identity: str, lease: Name) -> Call[bool]:
        """Give a lease back; ``False`` when it is not the caller's or has ended."""
        return Call(lease_scripts.RELEASE, (identity, lease.id, lease.fencing), bool)

    def release_others(self, identity: str, keep: Sequence[str]) -> Call[list[str]]:
        """End the leases of a machine that it does not know of any more; return them."""
        return Call(lease_scripts.RELEASE_OTHERS, (identity, *keep), list)

    def report(
        self, identity: str, lease: Name, sequence: int, tried: Sequence[Tried], *, counted: int, seconds: float,
        last: bool, now: int, when: str,
    ) -> Call[Reported]:  # fmt: skip
        """Take in a report; ``counted`` are further experiments without a record, ``when`` is ``now`` in ISO 8601.

        The same (lease, fencing, sequence) again gives the same answer. A lease that has ended is no reason to lose
        what was done under it, unless it was finished by its own last report.
        """
        return Call(
            lease_scripts.REPORT,
            (lease.id, lease.fencing, sequence, identity, now, when, "1" if last else "0", counted,
             round(seconds * 1000), len(tried), *(part for one in tried for part in _arguments(one))),
            _reported,
        )  # fmt: skip

    def expire(self, now: int) -> Call[list[str]]:
        """End the leases whose holders went silent or held them for too long; return them, at most 1000."""
        return Call(lease_scripts.EXPIRE, (now,), list)

    def cancel(self, problem: str) -> Call[list[str]]:
        """End the leases that a problem has no work for any more: it is not open, or of another revision."""
        return Call(lease_scripts.CANCEL, (problem,), list)

    def standing(self, identity: str, slots: int, now: int) -> Call[Standing]:
        """Settle what an identity's claims came to; each settled claim is answered once, at most 100 at a time.

        What is answered is in ``told``, from ``now``, until it was ``heard``.
        """
        return Call(
            lease_scripts.STANDING,
            (identity, now, slots),
            lambda reply: Standing(trouble=str(reply[0]), unverified=tuple(reply[1]), wait_ms=int(reply[2]),
                                   leases=int(reply[3]), settled=tuple(reply[4]), held=tuple(reply[5])),
        )  # fmt: skip

    def told(self, identity: str) -> Call[dict[str, int]]:
        """Return the verdicts that may not have arrived, and when each was told; the newest are kept."""
        return Call(
            lease_scripts.TOLD_BEFORE, (identity,),
            lambda reply: {str(x): int(float(when)) for x, when in zip(reply[::2], reply[1::2], strict=True)},
        )  # fmt: skip

    def heard(self, identity: str, told: Mapping[str, int]) -> Call[None]:
        """Note that verdicts have arrived: they are not told again."""
        return Call(lease_scripts.HEARD, (identity, *(part for one in told.items() for part in one)), lambda _: None)

    def may_read(self, identity: str, blob: str) -> Call[bool]:
        """Tell whether an open lease of the identity names a blob."""
        return Call(lease_scripts.MAY_READ, (identity, blob), bool)

    def note_grade(self, identity: str, grade: str) -> None:
        """Write down what a machine says of its sandbox."""
        self._redis.hset(keys.trust(identity), "grade", grade)

    def trust(self, identities: Sequence[str]) -> list[Trust]:
        """Return what is known of the claims of each, as far as their verdicts were told."""
        pipeline = self._redis.pipeline(transaction=False)
        for identity in identities:
            pipeline.hmget(keys.trust(identity), "grade", "held", "failed_in_a_row", "cool_until")
        return [_trust(*row) for row in pipeline.execute()]

    def of_identity(self, identity: str) -> list[str]:
        """Return the open leases of an identity."""
        return sorted(cast("set[str]", self._redis.smembers(keys.leases_of(identity))))

    def on_problem(self, problem: str) -> list[str]:
        """Return the open leases of a problem."""
        return sorted(cast("set[str]", self._redis.smembers(keys.leases_on(problem))))

    def state(self, lease: str) -> LeaseState | None:
        """Return where a lease stands; ``None`` when it is unknown or forgotten."""
        found = self._redis.hget(keys.lease(lease), "state")
        return LeaseState(found) if found else None

    def publish_files(self, problem: str, revision: int, blobs: Sequence[str]) -> None:
        """Let the holders of a problem's leases read its public files."""
        self._redis.sadd(keys.public_files(problem, revision), *blobs)

    def publish_best(self, problem: str, blob: str) -> None:
        """Let the holders of a problem's leases read a version that became the best."""
        self._redis.sadd(keys.improved(problem), blob)


def _arguments(one: Tried) -> tuple[Any, ...]:
    score = "" if one.score is None else repr(one.score)
    return (one.id, one.state, one.reason, one.explanation, score, one.note, one.content_hash, one.blob,
            one.content, one.line)  # fmt: skip


def _trust(grade: str | None, held: str | None, failed: str | None, until: str | None) -> Trust:
    return Trust(
        grade=grade or "", held=int(held or 0), failed_in_a_row=int(failed or 0), cool_until_ms=int(until or 0)
    )


def _granted(reply: list[Any]) -> Granted:
    answer, fencing, wait_ms, *more = reply
    attempts = tuple(more[0].split("\n")) if more and more[0] else ()
    return Granted(answer=str(answer), fencing=int(fencing), wait_ms=int(wait_ms), attempts=attempts)


def _reported(reply: list[str]) -> Reported:
    if reply[0] != "receipt":
        return Reported(answer=reply[0])
    total, *ids = reply[1].split(" ")
    return Reported(
        answer="receipt", experiments=int(total), ids=tuple("" if one == "-" else one for one in ids),
        queued=tuple(reply[2:]),
    )  # fmt: skip
