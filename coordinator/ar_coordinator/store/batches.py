"""Batches of work for verifiers: our own record of what is to be run, by whom, until when, and its results.

Not here: the doorbell (``doorbell``), which may ring twice or never; this record is the truth; and which verifier
gets which (``batch_desk``). A batch has at most one holder at a time, and only the newest holder (by fencing number)
may finish it.
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
AVOID_MS = 30_000
"""For so long a verifier that failed at a batch leaves it to the others."""

_CREATE = """
-- 1 id 2 specification 3 when to ring again 4 seconds it may take 5 needs 6 names to avoid 7 until when
local key = 'ar:batch:' .. ARGV[1]
if redis.call('EXISTS', key) == 1 then return 0 end
redis.call('HSET', key, 'spec', ARGV[2], 'state', 'ready', 'fencing', 0, 'seconds', ARGV[4], 'needs', ARGV[5],
  'avoid', ARGV[6], 'avoid_until', ARGV[7])
-- Longer than any verification: what a kill at the wrong moment left behind goes by itself.
redis.call('EXPIRE', key, 7 * 86400)
redis.call('ZADD', 'ar:batches', ARGV[3], ARGV[1])
return 1
"""
_CLAIM = """
-- 1 id 2 owner 3 now 4 lease
local key = 'ar:batch:' .. ARGV[1]
local now = redis.call('HMGET', key, 'state', 'until')
if not now[1] or now[1] == 'done' then return {0, '', 0, 0} end
if now[1] == 'running' and tonumber(now[2]) > tonumber(ARGV[3]) then return {0, '', 0, 0} end
local till = tonumber(ARGV[3]) + tonumber(ARGV[4])
-- One counter for all: a batch that is forgotten and made again never gives an old number to a new holder.
local fencing = redis.call('INCR', 'ar:fencing')
redis.call('HSET', key, 'state', 'running', 'owner', ARGV[2], 'until', till, 'fencing', fencing)
redis.call('ZADD', 'ar:batches', till, ARGV[1])
local tries = redis.call('HINCRBY', key, 'tries', 1)
return {fencing, redis.call('HGET', key, 'spec'), tries, redis.call('HGET', key, 'seconds')}
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
-- 1 owner 2 now 3 until when the owner is avoided: batches of a verifier that is gone may be taken at once
local freed = {}
for _, id in ipairs(redis.call('ZRANGE', 'ar:batches', 0, -1)) do
  local key = 'ar:batch:' .. id
  local now = redis.call('HMGET', key, 'state', 'owner', 'avoid')
  if now[1] == 'running' and (ARGV[1] == '' or now[2] == ARGV[1]) then
    local avoid = (now[3] or '') .. ' ' .. now[2]
    redis.call('HSET', key, 'state', 'ready', 'avoid', avoid, 'avoid_until', ARGV[3])
    redis.call('ZADD', 'ar:batches', ARGV[2], id)
    freed[#freed + 1] = id
  end
end
return freed
"""
_DUE = """
-- 1 now 2 when to ring again
local due = redis.call('ZRANGEBYSCORE', 'ar:batches', '-inf', ARGV[1])
for _, id in ipairs(due) do
  if redis.call('EXISTS', 'ar:batch:' .. id) == 1 then redis.call('ZADD', 'ar:batches', ARGV[2], id)
  else redis.call('ZREM', 'ar:batches', id) end
end
return due
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to run a batch: its specification, and the fencing number to finish it with."""

    batch: str
    fencing: int
    spec: str
    tries: int = 1
    """How often it was begun, this time included."""
    seconds: float = DEFAULT_SECONDS
    """How long it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A batch that nobody runs: what it needs (as ``create`` was told), and who failed at it, until when."""

    batch: str
    needs: str
    avoid: frozenset[str]
    avoid_until: int


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

    def create(
        self, batch_id: str, spec: str, seconds: float = DEFAULT_SECONDS, *, needs: str = "",
        avoid: Sequence[str] = (),
    ) -> bool:  # fmt: skip
        """Record a batch to be run, which may take ``seconds``; ``False`` when it is recorded already.

        ``needs`` is for whoever chooses a verifier, ``avoid`` names those that have just failed at it.
        """
        now = now_ms()
        arguments = [batch_id, spec, now + RING_MS, round(seconds), needs, " ".join(avoid), now + AVOID_MS]
        return bool(self._create(args=arguments))

    def claim(self, batch_id: str, owner: str) -> Claim | None:
        """Take a batch for ``LEASE_MS``; ``None`` when it is done or somebody else has it."""
        given = cast("tuple[int, str, int, str]", self._claim(args=[batch_id, owner, now_ms(), LEASE_MS]))
        fencing, spec, tries, seconds = given
        if not fencing:
            return None
        may_take = float(seconds or DEFAULT_SECONDS)
        return Claim(batch=batch_id, fencing=int(fencing), spec=spec, tries=int(tries), seconds=may_take)

    def renew(self, claim: Claim) -> bool:
        """Hold a batch for another ``LEASE_MS``; ``False`` when it is lost."""
        return bool(self._renew(args=[claim.batch, claim.fencing, now_ms() + LEASE_MS]))

    def finish(self, claim: Claim, results: str) -> bool:
        """Record a batch's results; ``False`` when somebody else took it since."""
        return bool(self._finish(args=[claim.batch, claim.fencing, results]))

    def free(self, owner: str = "") -> list[str]:
        """Take back what a verifier that is gone (or any) was running; return those batches."""
        now = now_ms()
        return cast("list[str]", self._free(args=[owner, now, now + AVOID_MS]))

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

    def waiting(self) -> list[Waiting]:
        """Return the batches that may be claimed, those that wait longest first."""
        now = now_ms()
        ids = cast("list[str]", self._redis.zrange(keys.BATCHES, 0, -1))
        pipeline = self._redis.pipeline(transaction=False)
        for batch_id in ids:
            names = ("state", "until", "owner", "needs", "avoid", "avoid_until")
            pipeline.hmget(keys.batch(batch_id), *names)
        found: list[Waiting] = []
        for batch_id, (state, until, owner, needs, avoid, avoid_until) in zip(ids, pipeline.execute(), strict=True):
            avoided, till = frozenset((avoid or "").split()), int(avoid_until or 0)
            if state == "running" and int(until) <= now:
                # Its holder fell silent: whoever it is, it has not managed.
                avoided, till = avoided | {owner}, int(until) + AVOID_MS
            elif state != "ready":
                continue
            found.append(Waiting(batch=batch_id, needs=needs or "", avoid=avoided, avoid_until=till))
        return found

    def ring_soon(self, batch_id: str, when_ms: int) -> None:
        """Have the sweeper ring for a waiting batch then, if it would have done so later."""
        self._redis.zadd(keys.BATCHES, {batch_id: when_ms}, xx=True, lt=True)

    def held(self, batch_id: str) -> tuple[str, str] | None:
        """Return who runs a batch and its specification; ``None`` where nobody does."""
        state, owner, spec = self._redis.hmget(keys.batch(batch_id), "state", "owner", "spec")
        return (owner, spec) if state == "running" else None

    def specs_of(self, owner: str) -> list[str]:
        """Return the specifications of the batches that a verifier runs."""
        ids = cast("list[str]", self._redis.zrange(keys.BATCHES, 0, -1))
        pipeline = self._redis.pipeline(transaction=False)
        for batch_id in ids:
            pipeline.hmget(keys.batch(batch_id), "state", "owner", "spec")
        return [spec for state, holder, spec in pipeline.execute() if state == "running" and holder == owner]

    def unfinished(self) -> int:
        """Return how many batches wait or run."""
        return int(self._redis.zcard(keys.BATCHES))

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

    def forget(self, batch_ids: Sequence[str]) -> None:
        """Drop batches whose experiment is settled."""
        if batch_ids:
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.delete(*[keys.batch(batch_id) for batch_id in batch_ids])
            pipeline.zrem(keys.BATCHES, *batch_ids)
            pipeline.execute()
