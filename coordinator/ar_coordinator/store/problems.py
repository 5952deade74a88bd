"""Problems in Redis: publishing a revision, its state, its best version, its records and standings.

Not here: the repositories, which outlive Redis.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast

import msgspec

from ar_coordinator.store import keys
from ar_coordinator.store.connection import Connection
from ar_coordinator.store.fields import from_fields, to_fields, to_text
from ar_core.credit import Accept, standings, standings_throughout
from ar_core.lifecycle import ExperimentState, ProblemState, Reason, move_problem
from ar_core.records import LeaderboardRow, ProblemCard

_SET_STATE = """
-- 1 name 2 expected state 3 new state, then fields
local key = 'ar:problem:' .. ARGV[1]
local now = redis.call('HGET', key, 'state')
if now ~= ARGV[2] then return now or 'missing' end
redis.call('HSET', key, 'state', ARGV[3])
for i = 4, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
redis.call('XADD', 'ar:events', 'MAXLEN', '~', 20000, '*', 'kind', 'problem', 'problem', ARGV[1], 'id', '')
return 'moved'
"""
_RESERVE = """
-- 1 name 2 publisher id 3 now ms 4 may take over (operator), then fields
local key = 'ar:problem:' .. ARGV[1]
local now = redis.call('HMGET', key, 'state', 'publisher_id', 'registering', 'revision')
if now[1] then
  if now[2] ~= ARGV[2] and ARGV[4] ~= '1' then return {'foreign', 0} end
  if now[1] == 'withdrawn' then return {'withdrawn', 0} end
  if now[3] and now[3] ~= '' then return {'registering', 0} end
end
local fresh = (not now[1]) or now[1] == 'refused'
local revision = 1
if not fresh then revision = tonumber(now[4]) + 1 end
if fresh then
  redis.call('DEL', key)
  redis.call('HSET', key, 'state', 'registering', 'revision', 1, 'publisher_id', ARGV[2], 'accepted', 0)
  redis.call('HSETNX', key, 'experiments', 0)
  redis.call('ZADD', 'ar:problems', ARGV[3], ARGV[1])
  for i = 5, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
else
  -- What an earlier attempt was refused for says nothing about this one.
  redis.call('HSET', key, 'findings', '[]')
  if now[1] == 'open' then redis.call('HSET', key, 'state_reason', '') end
end
redis.call('DEL', key .. ':next')
redis.call('HSET', key, 'registering', revision)
for i = 5, #ARGV, 2 do redis.call('HSET', key .. ':next', ARGV[i], ARGV[i + 1]) end
redis.call('XADD', 'ar:events', 'MAXLEN', '~', 20000, '*', 'kind', 'problem', 'problem', ARGV[1], 'id', '')
return {'reserved', revision}
"""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a problem's history on ``main``: the baseline, an accept or a new revision."""

    number: int
    """Number of the experiment, for the chart; 0 for the baseline."""
    experiment: str
    score: float
    low: float | None
    high: float | None
    gain: float | None
    n: int
    evidence: float | None
    exact: bool
    contributor: str
    worker: str
    agent: str
    note: str
    commit: str
    revision: int
    when: datetime
    verifier: str = ""
    """Who measured ``score``, in rooms of ``grade``."""
    grade: str = ""
    reverts: int = 0
    """How many accepts this step takes back; its ``experiment`` is that of the version that is the best again."""
    reason: Reason | None = None
    """Why an accept was one: ``simpler`` or ``rebased``; ``None`` for a plain gain."""


class Problems:
    """The pool's problems."""

    def __init__(self, connection: Connection) -> None:
        self._redis = connection.text
        self._set_state = self._redis.register_script(_SET_STATE)
        self._reserve = self._redis.register_script(_RESERVE)

    def names(self) -> list[str]:
        """Return the names by time of publication."""
        return cast("list[str]", self._redis.zrange(keys.PROBLEMS, 0, -1))

    def card(self, name: str, web: str = "") -> ProblemCard | None:
        """Return what there is to show of a problem."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hgetall(keys.problem(name))
        pipeline.scard(keys.contributors(name))
        fields, contributors = pipeline.execute()
        if not fields or "title" not in fields:
            return None
        page = f"{web}/p/{name}" if web else ""
        return from_fields(ProblemCard, {**fields, "name": name, "contributors": str(contributors), "web": page})

    def field(self, name: str, field: str) -> str | None:
        """Return one field that is no part of the card, such as ``manifest``."""
        return cast("str | None", self._redis.hget(keys.problem(name), field))

    def fields(self, name: str) -> dict[str, str]:
        """Return everything that is stored of a problem."""
        return cast("dict[str, str]", self._redis.hgetall(keys.problem(name)))

    def reserve(
        self, card: ProblemCard, *, publisher_id: str, now: int, take_over: bool, extra: Mapping[str, str]
    ) -> tuple[str, int]:
        """Take in a revision for registration: ``reserved`` and its number, or why not."""
        fields = {k: v for k, v in to_fields(card).items() if k not in {"state", "revision", "name", "web"}}
        for counted in ("accepted", "experiments", "contributors"):
            fields.pop(counted, None)
        flat = [part for pair in {**fields, **extra}.items() for part in pair]
        answer = self._reserve(args=[card.name, publisher_id, now, "1" if take_over else "0", *flat])
        word, revision = cast("tuple[str, int]", answer)
        return word, int(revision)

    def registering(self, name: str) -> tuple[int, dict[str, str]] | None:
        """Return the revision under registration and its fields, or ``None``."""
        revision = self._redis.hget(keys.problem(name), "registering")
        if not revision:
            return None
        return int(revision), cast("dict[str, str]", self._redis.hgetall(keys.problem(name) + ":next"))

    def change_registering(self, name: str, **changes: str) -> None:
        """Set fields of the revision under registration."""
        self._redis.hset(keys.problem(name) + ":next", mapping=changes)

    def count_up(self, name: str, field: str, by: int = 1) -> int:
        """Add to a field that counts, and return it."""
        return int(self._redis.hincrby(keys.problem(name), field, by))

    def count_trouble(self, name: str) -> int:
        """Count one more registration that failed for a reason of ours; return how many did."""
        return int(self._redis.hincrby(keys.problem(name) + ":next", "troubles", 1))

    def end_registration(self, name: str, state: ProblemState | None, **changes: object) -> None:
        """Close a registration: the problem's fields change, ``None`` removes one; its state where one is given."""
        pipeline = self._redis.pipeline(transaction=True)
        mapping = {key: to_text(value) for key, value in changes.items() if value is not None}
        if state is not None:
            mapping["state"] = state.value
        pipeline.hset(keys.problem(name), mapping={**mapping, "registering": ""})
        gone = [key for key, value in changes.items() if value is None]
        if gone:
            pipeline.hdel(keys.problem(name), *gone)
        pipeline.delete(keys.problem(name) + ":next")
        pipeline.xadd(keys.EVENTS, {"kind": "problem", "problem": name, "id": ""}, maxlen=20000, approximate=True)
        pipeline.execute()

    def set_state(self, name: str, before: ProblemState, after: ProblemState, **changes: object) -> bool:
        """Change the state if it still is what the caller saw; raises ``IllegalTransitionError``."""
        move_problem(before, after)
        flat = [part for key, value in changes.items() for part in (key, to_text(value))]
        return bool(self._set_state(args=[name, before.value, after.value, *flat]) == "moved")

    def update(self, name: str, **changes: object) -> None:
        """Set fields that no life cycle guards."""
        self._redis.hset(keys.problem(name), mapping={k: to_text(v) for k, v in changes.items()})

    def records(self, name: str) -> list[Record]:
        """Return the history on ``main``, the baseline first."""
        lines = cast("list[str]", self._redis.lrange(keys.records(name), 0, -1))
        return [msgspec.json.decode(line, type=Record) for line in lines]

    def add_record(self, name: str, record: Record) -> None:
        """Append a step that is no accept: a baseline."""
        self._redis.rpush(keys.records(name), msgspec.json.encode(record).decode())

    def carry_tried(self, name: str, before: int, after: int) -> None:
        """Let what was tried in a revision count as tried in one whose scores are the same; twice is as once."""
        for key in (keys.hashes, keys.tried):
            if self._redis.exists(key(name, before)):
                self._redis.renamenx(key(name, before), key(name, after))

    def points(self, name: str) -> list[tuple[int, float]]:
        """Return (number, score) of everything tried that has a score."""
        lines = cast("list[str]", self._redis.lrange(keys.points(name), 0, -1))
        pairs = (line.partition(":") for line in lines)
        return [(int(number), float(score)) for number, _, score in pairs]

    def leaderboard(self, name: str, *, all_revisions: bool = False) -> list[LeaderboardRow]:
        """Return everybody who tried, with their credit; not ranked.

        The credit is that for the current revision, or, for ``ar_core.credit.across``, for ``all_revisions``.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for what in ("experiments", "seconds"):
            pipeline.zrange(keys.standing(name, what), 0, -1, withscores=True)
        pipeline.zrange(keys.experiments(name, ExperimentState.ACCEPTED.value), 0, -1)
        pipeline.lrange(keys.records(name), 0, -1)
        pipeline.hget(keys.problem(name), "revision")
        tried, seconds, accepted, lines, revision = pipeline.execute()
        stand = set(accepted)
        records = [msgspec.json.decode(line, type=Record) for line in lines]
        measured = baselines(records)
        # What an audit took back is a record still, and no credit any more.
        accepts = [
            Accept(
                contributor=record.contributor, revision=measured_in(measured, record.revision),
                gain=record.gain or 0.0, simpler=record.reason is Reason.SIMPLER, when=record.when,
            )
            for record in records
            if record.experiment in stand and not record.reverts
        ]  # fmt: skip
        counts = {who: int(count) for who, count in tried}
        if all_revisions:
            return standings_throughout(accepts, counts, dict(seconds))
        current = measured_in(measured, int(revision or 1))
        return standings(accepts, counts, dict(seconds), revision=current)


def baselines(records: Iterable[Record]) -> list[int]:
    """Return the revisions that were measured, in order: those between them go on with the scores of one."""
    return sorted(record.revision for record in records if not record.experiment and not record.reverts)


def measured_in(measured: Sequence[int], revision: int) -> int:
    """Return which of the ``measured`` revisions the scores of ``revision`` go back to: what a sum of gains is of."""
    before = bisect_right(measured, revision)
    return measured[before - 1] if before else revision


def comparable(records: Sequence[Record], revision: int) -> list[Record]:
    """Return those records whose scores may be compared with those of ``revision``."""
    measured = baselines(records)
    begin = measured_in(measured, revision)
    return [record for record in records if measured_in(measured, record.revision) == begin]
