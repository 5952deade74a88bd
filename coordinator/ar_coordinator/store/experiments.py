"""Experiments in Redis: adding one, moving it through its life cycle, reading it; every change is one script.

Not here: deciding what an experiment becomes. Scripts keep to the Redis 6.2 command set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ar_coordinator.store import keys
from ar_coordinator.store.connection import Connection, now_ms
from ar_coordinator.store.fields import from_fields, to_fields, to_text
from ar_core.lifecycle import SETTLED, ExperimentState, move_experiment
from ar_core.records import Experiment

PROPOSALS_PER_HOUR = 60
_ONCE_SECONDS = 86_400
_NOT_ACCEPTED = ",".join(state.value for state in ExperimentState if state is not ExperimentState.ACCEPTED)
MOVE = """
local function announce(problem, id)
  redis.call('XADD', 'ar:events', 'MAXLEN', '~', 20000, '*',
    'kind', 'experiment', 'problem', problem, 'id', id)
end
local function place(problem, id, state, number, settled)
  redis.call('ZADD', 'ar:experiments:' .. problem .. ':' .. state, number, id)
  if state == 'queued' then redis.call('ZADD', 'ar:queue', redis.call('INCR', 'ar:arrivals'), id) end
  if settled == '1' then
    local key = 'ar:experiment:' .. id
    local score, published = redis.call('HGET', key, 'verified'), redis.call('HGET', key, 'published')
    if published then score = string.format('%.17g', cjson.decode(published)['score']) end
    -- A volunteer's own number is a point of the chart; one that came with nothing to show for it is not.
    if not score and state == 'recorded' and redis.call('HGET', key, 'reason') ~= 'duplicate' then
      score = redis.call('HGET', key, 'claimed')
    end
    if score then
      redis.call('RPUSH', 'ar:points:' .. problem, number .. ':' .. score)
      redis.call('LTRIM', 'ar:points:' .. problem, -20000, -1)
    end
    local number_in_ledger = redis.call('INCR', 'ar:ledger-number:' .. problem)
    redis.call('ZADD', 'ar:ledger:' .. problem, number_in_ledger, id .. ':' .. state)
  end
  announce(problem, id)
end
local function move(id, expected, attempt, state, settled, first, last)
  local key = 'ar:experiment:' .. id
  local now = redis.call('HMGET', key, 'state', 'attempt', 'problem', 'number')
  if not now[1] then return 'missing' end
  if not string.find(',' .. expected .. ',', ',' .. now[1] .. ',', 1, true) then return now[1] end
  if attempt ~= '' and now[2] ~= attempt then return 'fenced' end
  for i = first, last, 2 do
    if ARGV[i + 1] == '' then redis.call('HDEL', key, ARGV[i])
    else redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
  end
  redis.call('HSET', key, 'state', state)
  redis.call('ZREM', 'ar:experiments:' .. now[3] .. ':' .. now[1], id)
  if now[1] == 'queued' then redis.call('ZREM', 'ar:queue', id) end
  if now[1] == 'verifying' then redis.call('ZREM', 'ar:verifying', id) end
  place(now[3], id, state, now[4], settled)
  return 'moved'
end
"""
"""Lua that other scripts begin with: ``announce``, ``place`` and ``move``."""
_ADD = (
    MOVE
    + """
-- 1 problem 2 id 3 once key 4 now ms 5 limit an hour 6 quota key 7 content hash 8 state 9 contributor
-- 10 seconds an idempotency key is kept 11 blob to store with it, or empty 12 its bytes, then fields
local problem, id, state = ARGV[1], ARGV[2], ARGV[8]
local again = redis.call('GET', ARGV[3])
if again then return {'again', again} end
local now = redis.call('HMGET', 'ar:problem:' .. problem, 'state', 'revision')
if not now[1] then return {'missing', ''} end
if now[1] ~= 'open' then return {'closed', now[1]} end
if tonumber(ARGV[5]) > 0 then
  redis.call('ZREMRANGEBYSCORE', ARGV[6], '-inf', tonumber(ARGV[4]) - 3600000)
  if redis.call('ZCARD', ARGV[6]) >= tonumber(ARGV[5]) then
    local oldest = redis.call('ZRANGE', ARGV[6], 0, 0, 'WITHSCORES')
    return {'quota', tostring(tonumber(oldest[2]) + 3600000 - tonumber(ARGV[4]))}
  end
  redis.call('ZADD', ARGV[6], ARGV[4], id)
  redis.call('EXPIRE', ARGV[6], 3600)
end
local key = 'ar:experiment:' .. id
for i = 13, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
local number = redis.call('INCR', 'ar:experiment-number:' .. problem)
redis.call('HSET', key, 'number', number, 'attempt', 0, 'revision', now[2])
local settled = '1'
if state == 'queued' then
  local hashes = 'ar:hashes:' .. problem .. ':' .. now[2]
  local seen = redis.call('HGET', hashes, ARGV[7])
  if seen then
    state = 'recorded'
    redis.call('HSET', key, 'reason', 'duplicate', 'explanation', 'The same file as ' .. seen .. '.')
  else
    redis.call('HSET', hashes, ARGV[7], id)
    -- Here and not before: whatever is refused leaves no bytes behind.
    if ARGV[11] ~= '' then redis.call('SETNX', 'ar:blob:' .. ARGV[11], ARGV[12]) end
    redis.call('DEL', 'ar:blob-of:' .. ARGV[11])
    settled = '0'
  end
end
redis.call('HSET', key, 'state', state)
redis.call('SET', ARGV[3], id, 'EX', ARGV[10])
redis.call('ZADD', 'ar:experiments:' .. problem, number, id)
redis.call('HINCRBY', 'ar:problem:' .. problem, 'experiments', 1)
redis.call('SADD', 'ar:contributors:' .. problem, ARGV[9])
redis.call('ZINCRBY', 'ar:standing:' .. problem .. ':experiments', 1, ARGV[9])
place(problem, id, state, number, settled)
return {'added', id}
"""
)
_TRANSITION = MOVE + "return move(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], 6, #ARGV)"
_START = (
    MOVE
    + """
-- 1 id 2 when to ring again (ms), then fields
local answer = move(ARGV[1], 'queued', '', 'verifying', '0', 3, #ARGV)
if answer ~= 'moved' then return 0 end
local attempt = redis.call('HINCRBY', 'ar:experiment:' .. ARGV[1], 'attempt', 1)
redis.call('ZADD', 'ar:verifying', ARGV[2], ARGV[1])
return attempt
"""
)
_ACCEPT = (
    MOVE
    + """
-- 1 id 2 expected 3 problem 4 record 5 expected head 6 how many fields of the problem, then those fields, then the
-- experiment's
local split = 6 + 2 * tonumber(ARGV[6])
if redis.call('HGET', 'ar:problem:' .. ARGV[3], 'head') ~= ARGV[5] then return 'stale' end
local answer = move(ARGV[1], ARGV[2], '', 'accepted', '1', split + 1, #ARGV)
if answer ~= 'moved' then return answer end
local key = 'ar:problem:' .. ARGV[3]
for i = 7, split, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', key, ARGV[i])
  else redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
end
redis.call('HINCRBY', key, 'accepted', 1)
redis.call('RPUSH', 'ar:records:' .. ARGV[3], ARGV[4])
redis.call('XADD', 'ar:events', 'MAXLEN', '~', 20000, '*', 'kind', 'problem', 'problem', ARGV[3], 'id', '')
return 'moved'
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of adding an experiment: ``added``, ``again``, ``missing``, ``closed`` or ``quota``."""

    answer: str
    detail: str
    """The experiment's identifier, the problem's state, or milliseconds to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A queued experiment; ``not_before`` (ms) is when it may start at the earliest."""

    id: str
    problem: str
    contributor: str
    not_before: int
    claim: bool = False
    """Whether a volunteer's worker claims it; nobody waits at a terminal for its verdict."""


class Experiments:
    """The pool's experiments."""

    def __init__(self, connection: Connection) -> None:
        self._redis = connection.text
        self._add = self._redis.register_script(_ADD)
        self._transition = self._redis.register_script(_TRANSITION)
        self._start = self._redis.register_script(_START)
        self._accept = self._redis.register_script(_ACCEPT)

    def add(
        self, x: Experiment, *, content_hash: str, once: str, quota: str, limit: int, content: bytes | None = None
    ) -> Added:
        """Add a new experiment, queued or rejected; a file seen before becomes a recorded duplicate.

        ``once`` is the key of the caller's idempotency key, ``quota`` that of its proposals; ``limit`` is how
        many of them an hour are allowed, 0 for any. ``content`` are the bytes of ``x.blob``, stored in the same
        step if it is queued; at most ``IN_REDIS_BYTES``.
        """
        arguments = [x.problem, x.id, once, now_ms(), limit, quota, content_hash, x.state.value, x.contributor,
                     _ONCE_SECONDS, "" if content is None else x.blob, content or b""]  # fmt: skip
        fields = {key: text for key, text in to_fields(x).items() if key not in {"state", "revision"}}
        answer, detail = cast("list[str]", self._add(args=[*arguments, *_flat(fields)]))
        return Added(answer=answer, detail=detail)

    def move(
        self, experiment_id: str, before: ExperimentState, after: ExperimentState, *,
        attempt: int | None = None, **changes: object,
    ) -> bool:  # fmt: skip
        """Move an experiment if it still is where the caller saw it; ``False`` when it is not.

        ``attempt`` fences: a verification that was started again since cannot settle. ``changes`` are fields;
        ``None`` removes one. Raises ``IllegalTransitionError`` for what the life cycle does not have.
        """
        move_experiment(before, after)
        fence = "" if attempt is None else str(attempt)
        settled = "1" if after in SETTLED else "0"
        answer = self._transition(args=[experiment_id, before.value, fence, after.value, settled, *_changes(changes)])
        return bool(answer == "moved")

    def start(self, experiment_id: str, ring_again_ms: int, **changes: object) -> int:
        """Move a queued experiment to verifying; return the number of the attempt, 0 when it is not queued."""
        return int(self._start(args=[experiment_id, ring_again_ms, *_changes(changes)]))

    def accept(
        self,
        x: Experiment,
        *,
        expected_head: str,
        record: str,
        problem: Mapping[str, object],
        whatever_it_is: bool = False,
        **changes: object,
    ) -> str:
        """Accept an experiment, count it, and make it its problem's best; answers ``moved`` or why not.

        It has to be verifying, or, where git says that it was accepted, ``whatever_it_is`` by now.
        """
        fields = _changes(problem)
        states = _NOT_ACCEPTED if whatever_it_is else ExperimentState.VERIFYING.value
        arguments = [x.id, states, x.problem, record, expected_head, len(fields) // 2]
        return str(self._accept(args=[*arguments, *fields, *_changes(changes)]))

    def note(self, experiment_id: str, **changes: object) -> None:
        """Set fields without moving the experiment; ``None`` removes one."""
        pipeline = self._redis.pipeline(transaction=True)
        for name, value in changes.items():
            if value is None:
                pipeline.hdel(keys.experiment(experiment_id), name)
            else:
                pipeline.hset(keys.experiment(experiment_id), name, to_text(value))
        pipeline.execute()

    def get(self, experiment_id: str) -> Experiment | None:
        """Return one experiment."""
        fields = self._redis.hgetall(keys.experiment(experiment_id))
        return from_fields(Experiment, fields) if fields else None

    def attempt(self, experiment_id: str) -> int:
        """Return how often a verification of this experiment was started."""
        return int(self._redis.hget(keys.experiment(experiment_id), "attempt") or 0)

    def field(self, experiment_id: str, field: str) -> str | None:
        """Return one field that is no part of the record, such as ``incumbent_commit``."""
        return cast("str | None", self._redis.hget(keys.experiment(experiment_id), field))

    def count_up(self, experiment_id: str, field: str) -> int:
        """Add one to such a field and return it."""
        return int(self._redis.hincrby(keys.experiment(experiment_id), field, 1))

    def page(
        self,
        problem: str,
        state: ExperimentState | None = None,
        *,
        limit: int = 100,
        before: int | None = None,
    ) -> tuple[list[Experiment], int | None]:
        """Return experiments newest first, and the number below which the next page starts."""
        highest = "+inf" if before is None else f"({before}"
        found = self._redis.zrevrangebyscore(
            keys.experiments(problem, state.value if state else ""),
            highest,
            "-inf",
            0,
            limit + 1,
            withscores=True,
        )
        pairs = cast("list[tuple[str, float]]", found)
        more = len(pairs) > limit
        pairs = pairs[:limit]
        return self.get_many([name for name, _ in pairs]), int(pairs[-1][1]) if more else None

    def get_many(self, ids: Sequence[str]) -> list[Experiment]:
        """Return several experiments in the order asked for, in one round trip."""
        pipeline = self._redis.pipeline(transaction=False)
        for experiment_id in ids:
            pipeline.hgetall(keys.experiment(experiment_id))
        return [from_fields(Experiment, fields) for fields in pipeline.execute() if fields]

    def waiting(self) -> list[Waiting]:
        """Return everything queued, in the order it came."""
        ids = cast("list[str]", self._redis.zrange(keys.QUEUE, 0, -1))
        pipeline = self._redis.pipeline(transaction=False)
        for experiment_id in ids:
            pipeline.hmget(keys.experiment(experiment_id), "problem", "contributor", "not_before", "lease")
        rows = zip(ids, pipeline.execute(), strict=True)
        return [
            Waiting(
                id=experiment_id,
                problem=problem,
                contributor=contributor,
                not_before=int(not_before or 0),
                claim=bool(lease),
            )
            for experiment_id, (problem, contributor, not_before, lease) in rows
            if problem is not None
        ]

    def wait_until(self, experiment_id: str, when_ms: int) -> None:
        """Say before when a queued experiment is not started."""
        self._redis.hset(keys.experiment(experiment_id), "not_before", when_ms)

    def explain(self, experiment_id: str, explanation: str) -> None:
        """Say why a queued experiment waits."""
        self._redis.hset(keys.experiment(experiment_id), "explanation", explanation)

    def verifying(self) -> list[str]:
        """Return the experiments under verification."""
        return cast("list[str]", self._redis.zrange(keys.VERIFYING, 0, -1))

    def in_state(self, problem: str, state: ExperimentState) -> list[str]:
        """Return the identifiers of a problem's experiments in one state."""
        return cast("list[str]", self._redis.zrange(keys.experiments(problem, state.value), 0, -1))

    def ring_again(self, experiment_id: str, when_ms: int) -> None:
        """Say when the referee is to look at a verification again at the latest."""
        self._redis.zadd(keys.VERIFYING, {experiment_id: when_ms}, xx=True)

    def due(self, now: int) -> list[str]:
        """Return the verifications that the referee should have looked at by now."""
        return cast("list[str]", self._redis.zrangebyscore(keys.VERIFYING, "-inf", now))

    def claims_first(self, problem: str, revision: int, content_hash: str, experiment_id: str) -> str:
        """Note that a file is known, so that it is a duplicate when it comes again; return who brought it first."""
        self._redis.hsetnx(keys.hashes(problem, revision), content_hash, experiment_id)
        return self.known(problem, revision, content_hash) or experiment_id

    def known(self, problem: str, revision: int, content_hash: str) -> str | None:
        """Return the experiment that brought a file first, ``None`` for a file that was never seen."""
        return cast("str | None", self._redis.hget(keys.hashes(problem, revision), content_hash))

    def forget_file(self, problem: str, revision: int, content_hash: str) -> None:
        """Let a file come again."""
        self._redis.hdel(keys.hashes(problem, revision), content_hash)

    def ledger_tail(self, problem: str, limit: int) -> list[tuple[int, str, str]]:
        """Return (ledger number, experiment, state) of what the ledger in git does not have yet, oldest first."""
        found = self._redis.zrange(keys.ledger_tail(problem), 0, limit - 1, withscores=True)
        rows = ((int(number), *str(member).partition(":")) for member, number in found)
        return [(number, experiment_id, state) for number, experiment_id, _, state in rows]

    def trim_ledger_tail(self, problem: str, through: int) -> None:
        """Forget what the ledger in git has now, up to a ledger number."""
        self._redis.zremrangebyscore(keys.ledger_tail(problem), "-inf", through)


def _changes(changes: Mapping[str, object]) -> list[str]:
    found: list[str] = []
    for name, value in changes.items():
        found += [name, "" if value is None else to_text(value)]
    return found


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]
