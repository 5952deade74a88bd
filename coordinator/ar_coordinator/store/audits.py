"""Audits in Redis: which runs on which problem and how far it is, and taking accepts back in one step.

Not here: deciding (``auditing``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ar_coordinator.store import keys
from ar_coordinator.store.connection import Connection
from ar_coordinator.store.experiments import MOVE
from ar_coordinator.store.fields import from_fields, to_fields, to_text

_REVERT = (
    MOVE
    + """
-- 1 problem 2 expected head 3 record 4 explanation 5 when 6 how many experiments, those, then fields of the problem
local key = 'ar:problem:' .. ARGV[1]
if redis.call('HGET', key, 'head') ~= ARGV[2] then return 'stale' end
local last = 6 + tonumber(ARGV[6])
for i = 7, last do
  local id = ARGV[i]
  if move(id, 'accepted', '', 'reverted', '1', 1, 0) == 'moved' then
    redis.call('HSET', 'ar:experiment:' .. id, 'reason', 'not_reproduced', 'explanation', ARGV[4], 'updated', ARGV[5])
    redis.call('HINCRBY', key, 'accepted', -1)
  end
end
for i = last + 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', key, ARGV[i])
  else redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
end
redis.call('RPUSH', 'ar:records:' .. ARGV[1], ARGV[3])
redis.call('XADD', 'ar:events', 'MAXLEN', '~', 20000, '*', 'kind', 'problem', 'problem', ARGV[1], 'id', '')
return 'moved'
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One audit of one problem: the best version ``head`` is compared with older ones, one after the other.

    Versions are counted from the baseline of the revision, which is 0. ``low`` is the newest that is known to be
    better than ``head``, ``None`` while none is; ``high`` the oldest that is not known to be.
    """

    problem: str
    revision: int
    head: str
    number: int
    """Of this comparison among all of this problem's audits."""
    targets: str
    """Versions that are still to be compared with, as numbers with spaces between."""
    probe: int
    """The version that is compared with now."""
    low: int | None = None
    high: int | None = None
    pairs: int = 0
    """Measured so far in this audit."""
    broken: bool = False
    """Whether ``head`` was seen not to repeat: then that is what is looked at first, and not which is better."""
    doubted: bool = False
    """Whether ``head`` was found worse than an older version, or not to repeat: nothing is accepted until it ends."""
    window_low: float | None = None
    """The window of the day on which it began, for noise of seeds."""
    window_high: float | None = None
    failures: int = 0
    not_before: int = 0
    """When it is gone on with at the earliest (ms), after a failure of ours."""


class Audits:
    """The pool's audits, at most one on a problem."""

    def __init__(self, connection: Connection) -> None:
        self._redis = connection.text
        self._revert = self._redis.register_script(_REVERT)

    def running(self) -> list[str]:
        """Return the problems that are being audited."""
        return sorted(str(name) for name in self._redis.smembers(keys.AUDITS))

    def get(self, problem: str) -> Audit | None:
        """Return a problem's audit."""
        fields = self._redis.hgetall(keys.audit(problem))
        return from_fields(Audit, fields) if fields else None

    def put(self, audit: Audit, **problem: object) -> None:
        """Write down how far an audit is, and in the same step fields of its problem."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.delete(keys.audit(audit.problem))
        pipeline.hset(keys.audit(audit.problem), mapping=to_fields(audit))
        pipeline.sadd(keys.AUDITS, audit.problem)
        for name, value in problem.items():
            pipeline.hset(keys.problem(audit.problem), name, to_text(value))
        pipeline.execute()

    def end(self, problem: str) -> None:
        """Forget an audit."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.delete(keys.audit(problem))
        pipeline.srem(keys.AUDITS, problem)
        pipeline.execute()

    def revert(
        self, problem: str, expected_head: str, experiments: Sequence[str], *, record: str, explanation: str,
        when: datetime, fields: Mapping[str, object],
    ) -> str:  # fmt: skip
        """Take accepts back and make an older version the best again; answers ``moved`` or ``stale``."""
        told = [part for name, value in fields.items() for part in (name, "" if value is None else to_text(value))]
        arguments = [
            problem,
            expected_head,
            record,
            explanation,
            to_text(when),
            len(experiments),
            *experiments,
            *told,
        ]
        return str(self._revert(args=arguments))
