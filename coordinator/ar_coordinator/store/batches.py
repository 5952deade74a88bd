"""Batches of work for verifiers: our own record of what is to be run, by whom, until when, and its results.

Not here: the doorbell (``doorbell``), which may ring twice or never; this record is the truth. A batch has at most
one holder at a time, and only the newest holder (by fencing number) may finish it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from ar_coordinator.store import keys
from ar_coordinator.store.connection import Connection, now_ms

LEASE_MS = 15_000
DEFAULT_SECONDS = 600.0
RING_MS = 20_000
"""How long a rung batch may wait for a verifier before the sweeper rings again."""

_CREATE = """
-- 1 id 2 specification 3 when to ring again 4 seconds it may take
local key = 'ar:batch:' .. ARGV[1]
if redis.call('EXISTS', key) == 1 then return 0 end
redis.call('HSET', key, 'spec', ARGV[2], 'state', 'ready', 'fencing', 0, 'seconds', ARGV[4])
redis.call('ZADD', 'ar:batches', ARGV[3], ARGV[1])
return 1
"""
_CLAIM = """
-- 1 id 2 owner 3 now 4 lease
local key = 'ar:batch:' .. ARGV[1]
local now = redis.call('HMGET', key, 'state', 'until')
if not now[1] or now[1] == 'done' then return {0, ''} end
if now[1] == 'running' and tonumber(now[2]) > tonumber(ARGV[3]) then return {0, ''} end
local till = tonumber(ARGV[3]) + tonumber(ARGV[4])
-- One counter for all: a batch that is forgotten and made again never gives an old number to a new holder.
local fencing = redis.call('INCR', 'ar:fencing')
redis.call('HSET', key, 'state', 'running', 'owner', ARGV[2], 'until', till, 'fencing', fencing)
redis.call('ZADD', 'ar:batches', till, ARGV[1])
return {fencing, redis.call('HGET', key, 'spec')}
"""
_RENEW = """
-- 1 id 2 fencing 3 until
local key = 'ar:batch:' .. ARGV[1]
local now = redis.call('HMGET', key, 'state', 'fencing')
if now[1] ~= 'running' or now[2] ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'until', ARGV[3])
redis.call('ZADD', 'ar:batches', ARGV[3], ARGV[1])
return 1
"""
_FINISH = """
-- 1 id 2 fencing 3 results
local key = 'ar:batch:' .. ARGV[1]
local now = redis.call('HMGET', key, 'state', 'fencing')
if now[1] ~= 'running' or now[2] ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'state', 'done', 'results', ARGV[3])
redis.call('HDEL', key, 'until')
redis.call('ZREM', 'ar:batches', ARGV[1])
return 1
"""
_FREE = """
-- 1 owner 2 now: batches of a verifier that is gone may be taken at once
local freed = {}
for _, id in ipairs(redis.call('ZRANGE', 'ar:batches', 0, -1)) do
  local key = 'ar:batch:' .. id
  local now = redis.call('HMGET', key, 'state', 'owner')
  if now[1] == 'running' and (ARGV[1] == '' or now[2] == ARGV[1]) then
    redis.call('HSET', key, 'state', 'ready')
    redis.call('ZADD', 'ar:batches', ARGV[2], id)
    freed[#freed + 1] = id
  end
end
return freed
"""
_DUE = """
-- 1 now 2 when to ring again
local due = redis.call('ZRANGEBYSCORE', 'ar:batches', '-inf', ARGV[1])
for _, id in ipairs(due) do redis.call('ZADD', 'ar:batches', ARGV[2], id) end
return due
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to run a batch: its specification, and the fencing number to finish it with."""

    batch: str
    fencing: int
    spec: str


class Batches:
    """The batches of the pool."""

    def __init__(self, connection: Connection) -> None:
        self._redis = connection.text
        self._create = self._redis.register_script(_CREATE)
        self._claim = self._redis.register_script(_CLAIM)
        self._renew = self._redis.register_script(_RENEW)
        self._finish = self._redis.register_script(_FINISH)
        self._free = self._redis.register_script(_FREE)
        self._due = self._redis.register_script(_DUE)

    def create(self, batch_id: str, spec: str, seconds: float = DEFAULT_SECONDS) -> bool:
        """Record a batch to be run, which may take ``seconds``; ``False`` when it is recorded already."""
        return bool(self._create(args=[batch_id, spec, now_ms() + RING_MS, round(seconds)]))

    def claim(self, batch_id: str, owner: str) -> Claim | None:
        """Take a batch for ``LEASE_MS``; ``None`` when it is done or somebody else has it."""
        fencing, spec = cast("tuple[int, str]", self._claim(args=[batch_id, owner, now_ms(), LEASE_MS]))
        return Claim(batch=batch_id, fencing=int(fencing), spec=spec) if fencing else None

    def renew(self, claim: Claim) -> bool:
        """Hold a batch for another ``LEASE_MS``; ``False`` when it is lost."""
        return bool(self._renew(args=[claim.batch, claim.fencing, now_ms() + LEASE_MS]))

    def finish(self, claim: Claim, results: str) -> bool:
        """Record a batch's results; ``False`` when somebody else took it since."""
        return bool(self._finish(args=[claim.batch, claim.fencing, results]))

    def free(self, owner: str = "") -> list[str]:
        """Take back what a verifier that is gone (or any) was running; return those batches."""
        return cast("list[str]", self._free(args=[owner, now_ms()]))

    def due(self) -> list[str]:
        """Return the batches to ring for: nobody took them in time, or their holder went silent."""
        now = now_ms()
        return cast("list[str]", self._due(args=[now, now + RING_MS]))

    def unclaimed(self) -> list[str]:
        """Return the batches that nobody runs: whoever starts rings for them, since their bells may be lost."""
        ids = cast("list[str]", self._redis.zrange(keys.BATCHES, 0, -1))
        pipeline = self._redis.pipeline(transaction=False)
        for batch_id in ids:
            pipeline.hget(keys.batch(batch_id), "state")
        return [name for name, state in zip(ids, pipeline.execute(), strict=True) if state == "ready"]

    def results(self, batch_ids: Sequence[str]) -> list[str | None]:
        """Return the results of several batches, ``None`` for one that is not done."""
        pipeline = self._redis.pipeline(transaction=False)
        for batch_id in batch_ids:
            pipeline.hget(keys.batch(batch_id), "results")
        return cast("list[str | None]", pipeline.execute())

    def seconds(self, batch_id: str) -> float:
        """Return how long a batch may take, for whoever rings for it again."""
        return float(self._redis.hget(keys.batch(batch_id), "seconds") or DEFAULT_SECONDS)

    def exists(self, batch_id: str) -> bool:
        """Tell whether a batch is recorded."""
        return bool(self._redis.exists(keys.batch(batch_id)))

    def names(self, blob: str) -> bool:
        """Tell whether an unfinished batch names a blob."""
        pipeline = self._redis.pipeline(transaction=False)
        for batch_id in cast("list[str]", self._redis.zrange(keys.BATCHES, 0, -1)):
            pipeline.hget(keys.batch(batch_id), "spec")
        return any(spec is not None and f'"{blob}"' in spec for spec in pipeline.execute())

    def forget(self, batch_ids: Sequence[str]) -> None:
        """Drop batches whose experiment is settled."""
        if batch_ids:
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.delete(*[keys.batch(batch_id) for batch_id in batch_ids])
            pipeline.zrem(keys.BATCHES, *batch_ids)
            pipeline.execute()
