"""The referee's process: settles what it finds at the start, then answers its bells one at a time.

Not here: what a look at an experiment or problem does (``referee``, ``opening``).
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import redis
import structlog

from ar_coordinator.auditing import Auditing
from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.doorbell import (
    LOOK_AROUND,
    LOOK_AT_EXPERIMENT,
    LOOK_AT_PROBLEM,
    REFEREE_QUEUE,
    Doorbell,
    answer,
)
from ar_coordinator.histories import Histories
from ar_coordinator.lost_history import LostHistory
from ar_coordinator.measuring import Measuring
from ar_coordinator.opening import Opener
from ar_coordinator.pool_keys import read_pool_identity
from ar_coordinator.referee import Referee
from ar_coordinator.registry import Registry
from ar_coordinator.seeds import read_seed_key
from ar_coordinator.store import Store, keys
from ar_coordinator.verification import Verification

log = structlog.get_logger("referee")


class RefereeDesk:
    """Everything the referee looks after."""

    def __init__(self, store: Store, directory: DataDirectory, pool: str, parallel: int) -> None:
        self._store = store
        identity = read_pool_identity(directory.keys, pool)
        seed_key = read_seed_key(directory.keys)
        self._doorbell = Doorbell(store.connection)
        self._registry = Registry(directory.registry, identity)
        self._histories = Histories(store, directory, identity)
        self._lost = LostHistory(store, self._histories)
        measuring = Measuring(store, self._doorbell, seed_key)
        verification = Verification(store, self._doorbell, self._histories, measuring)
        self._auditing = Auditing(store, self._doorbell, self._histories, measuring, pool)
        self._referee = Referee(store, verification, self._auditing, parallel)
        self._opener = Opener(store, self._doorbell, self._histories, self._registry, seed_key)

    def settle(self) -> None:
        """Bring everything on that a referee before left: git, registrations, verifications, the ledger."""
        self._registry.remove_stale_locks()
        for name in self._store.problems.names():
            with _apart("settling a problem", name):
                if not self._lost.look(name, closely=True):
                    continue
                repository = self._histories.repository(name)
                repository.remove_stale_locks()
                self._histories.reconcile(name)
                self._opener.look_at_problem(name)
        for experiment_id in self._store.experiments.verifying():
            self._referee.look_at_experiment(experiment_id)
        # An order may have been written down and never rung for; without this it waits for the sweeper.
        self._doorbell.run_orders(self._store.batches)
        self.look_around()

    def look_at_experiment(self, experiment_id: str) -> None:
        """Answer a bell for an experiment."""
        self._referee.look_at_experiment(experiment_id)

    def look_at_problem(self, name: str) -> None:
        """Answer a bell for a problem."""
        self._opener.look_at_problem(name)
        self._referee.start_waiting()

    def look_around(self) -> None:
        """Start what waits, and write the ledger and the registry."""
        names = self._store.problems.names()
        kept = [name for name in names if self._lost.look(name)]
        self._referee.start_waiting()
        now = datetime.now(UTC)
        for name in kept:
            if self._store.problems.field(name, "head"):
                with _apart("writing a ledger", name):
                    while self._histories.flush_ledger(name, now):
                        pass
        with _apart("auditing", ""):
            self._auditing.begin_due()
        self._write_registry(now)

    def _write_registry(self, when: datetime) -> None:
        """Keep identities and tokens in git, so that they survive the loss of Redis."""
        text = self._store.connection.text
        # Set apart before they are read: a ban that comes while git writes is noted anew and not forgotten below.
        for member in text.srandmember(keys.REGISTRY_DIRTY, 500):
            text.smove(keys.REGISTRY_DIRTY, keys.REGISTRY_WRITING, member)
        members = text.smembers(keys.REGISTRY_WRITING)
        if not members:
            return
        changes: dict[str, bytes | None] = {}
        for member in members:
            kind, _, name = member.partition(":")
            fields = text.hgetall(keys.identity(name) if kind == "identity" else keys.token(name))
            folder = "identities" if kind == "identity" else "tokens"
            content = json.dumps(fields, sort_keys=True, indent=1).encode() + b"\n"
            changes[f"{folder}/{name}.json"] = content if fields else None
        self._registry.write(changes, f"{len(members)} identities and tokens", when)
        text.srem(keys.REGISTRY_WRITING, *members)


@contextmanager
def _apart(what: str, problem: str) -> Iterator[None]:
    """Keep what one problem's data breaks from the other problems; Redis being away concerns them all."""
    try:
        yield
    except redis.RedisError:
        raise
    except Exception:
        log.exception(f"{what} failed", problem=problem)


def serve_queue(store: Store, directory: DataDirectory, pool: str, parallel: int) -> None:
    """Be the referee until ended; waits for a referee before, which may still be at its last look."""
    with directory.referee_lock(lambda: log.warning("waiting for another referee here to end")):
        desk = RefereeDesk(store, directory, pool, parallel)
        desk.settle()
        log.info("referee ready", pid=os.getpid())
        answer(
            store.connection,
            REFEREE_QUEUE,
            f"referee.{time.time_ns()}",
            {
                LOOK_AT_EXPERIMENT: desk.look_at_experiment,
                LOOK_AT_PROBLEM: desk.look_at_problem,
                LOOK_AROUND: desk.look_around,
            },
        )
