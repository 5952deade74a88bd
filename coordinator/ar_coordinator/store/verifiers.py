"""Verifiers that are present: their names, what their machines have, and when they were last heard of.

Not here: what they run (``batches``).
"""

from typing import cast

from ar_coordinator.store import keys
from ar_coordinator.store.connection import Connection, now_ms

PRESENT_MS = 45_000
"""Who was heard of within this time is taken to be there."""
HEARTBEAT_SECONDS = 10.0


class Verifiers:
    """The verifiers of the pool, wherever they run."""

    def __init__(self, connection: Connection) -> None:
        self._redis = connection.text

    def here(self, name: str, machine: str) -> bool:
        """Note that a verifier is there with this machine (JSON); tell whether it was not, or with another one."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.zscore(keys.VERIFIERS, name)
        pipeline.get(keys.verifier(name))
        pipeline.zadd(keys.VERIFIERS, {name: now_ms()})
        pipeline.set(keys.verifier(name), machine, ex=86_400)
        before, had, *_ = pipeline.execute()
        return before is None or float(before) < now_ms() - PRESENT_MS or had != machine

    def still_here(self, name: str) -> None:
        """Note that a verifier which is known was heard of."""
        self._redis.zadd(keys.VERIFIERS, {name: now_ms()}, xx=True)

    def gone(self, name: str) -> None:
        """Forget a verifier that has left."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.zrem(keys.VERIFIERS, name)
        pipeline.delete(keys.verifier(name))
        pipeline.execute()

    def forget_silent(self) -> None:
        """Forget those that have not been heard of for long."""
        self._redis.zremrangebyscore(keys.VERIFIERS, "-inf", now_ms() - 20 * PRESENT_MS)

    def present(self) -> dict[str, str]:
        """Return the machines (JSON) of those that are there, by name."""
        names = cast("list[str]", self._redis.zrangebyscore(keys.VERIFIERS, now_ms() - PRESENT_MS, "+inf"))
        if not names:
            return {}
        machines = self._redis.mget([keys.verifier(name) for name in names])
        return {name: machine for name, machine in zip(names, machines, strict=True) if machine}
