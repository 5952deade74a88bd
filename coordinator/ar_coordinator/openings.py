"""The problems as dispatch sees them: read from Redis now and then, kept for a moment, corrected by what happens.

Not here: choosing among them (``dispatch``).
"""

import asyncio
import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random

import structlog

from ar_coordinator.dispatch import (
    POPULATION,
    STALLED_SECONDS,
    Demand,
    Frontier,
    Happening,
    Machine,
    NoWork,
    Pick,
    Version,
    choose_problem,
    policy,
)
from ar_coordinator.store import Store, keys
from ar_coordinator.store.problems import comparable
from ar_core.lifecycle import ExperimentState, ProblemState
from ar_core.manifest import read_manifest
from ar_core.metric import Direction
from ar_core.problem import Problem

log = structlog.get_logger("serve")

PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""The name of a program that a machine may be asked for."""
_FRESH_SECONDS = 2.0
LONGEST_BOX = 300.0
_EVALUATIONS = 8
"""Evaluations that a lease has time for beside its box: runs of the parent, and one that was begun in time."""
_SLACK_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A problem with work: what a task of it says."""

    problem: Problem
    revision: int
    bundle: str
    best_blob: str
    best: float | None
    demand: Demand
    frontier: Frontier
    tried: bytes
    """The content hashes that were tried last, 32 bytes each."""

    @property
    def box(self) -> float:
        """How long a lease's holder may go on trying, in seconds."""
        return min(self.problem.search.lease, LONGEST_BOX)

    @property
    def latest(self) -> float:
        """How long a lease may be held at most, in seconds."""
        return 2 * self.box + _EVALUATIONS * self.problem.evaluation.seconds_at_most + _SLACK_SECONDS


class Openings:
    """The problems of the pool, for one event loop."""

    def __init__(self, store: Store, random: Random) -> None:
        self._store = store
        self._random = random
        self._read: dict[str, Opening | Demand] = {}
        self._read_at = float("-inf")
        self._bundles: dict[tuple[str, int], str] = {}
        self._lock = asyncio.Lock()

    async def choose(self, machine: Machine) -> tuple[Opening, Pick] | NoWork:
        """Return what a free slot of ``machine`` is to work on, or why there is nothing."""
        await self._refresh()
        found = {name: one if isinstance(one, Demand) else one.demand for name, one in self._read.items()}
        chosen = choose_problem(list(found.values()), machine, self._random)
        if isinstance(chosen, NoWork):
            return chosen
        opening = self._read[chosen.name]
        if isinstance(opening, Demand):
            return NoWork.NO_PROBLEM_MATCHES
        return opening, policy(opening.problem.search.policy).pick(opening.frontier, self._random)

    async def programs(self, problems: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return the programs that ``problems`` ask for, or all problems where none is named."""
        await self._refresh()
        demands = (one if isinstance(one, Demand) else one.demand for one in self._read.values())
        wanted = (demand.programs for demand in demands if not problems or demand.name in problems)
        return frozenset(name for names in wanted for name in names if PROGRAM.fullmatch(name))

    def observe(self, name: str, commit: str, happening: Happening) -> None:
        """Correct what is known of a problem until it is read again."""
        opening = self._read.get(name)
        if isinstance(opening, Opening):
            frontier = policy(opening.problem.search.policy).observe(opening.frontier, commit, happening)
            step = 1 if happening == "granted" else -1
            demand = replace(opening.demand, in_flight=max(0, opening.demand.in_flight + step))
            self._read[name] = replace(opening, frontier=frontier, demand=demand)

    def forget(self) -> None:
        """Read everything again before the next choice: a problem changed."""
        self._read_at = float("-inf")

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._lock:
            if loop.time() - self._read_at >= _FRESH_SECONDS:
                # Before reading, so that what changes meanwhile is read again.
                self._read_at = loop.time()
                self._read = await asyncio.to_thread(self._read_all, datetime.now(UTC))

    def _read_all(self, now: datetime) -> dict[str, Opening | Demand]:
        found: dict[str, Opening | Demand] = {}
        for name in self._store.problems.names():
            try:
                one = self._read_one(name, now)
            except (LookupError, ValueError) as error:
                # One problem that cannot be read must not keep the machines from the others.
                log.error("a problem cannot be given out", problem=name, error=str(error))
                continue
            if one is not None:
                found[name] = one
        return found

    def _read_one(self, name: str, now: datetime) -> Opening | Demand | None:
        text = self._store.connection.text
        pipeline = text.pipeline(transaction=False)
        pipeline.hgetall(keys.problem(name))
        pipeline.scard(keys.leases_on(name))
        fields, in_flight = pipeline.execute()
        state = fields.get("state", "")
        if state not in {ProblemState.OPEN, ProblemState.PAUSED} or not fields.get("head"):
            return None
        problem = read_manifest(fields["manifest"].encode())
        demand = Demand(
            name=name, publisher=fields.get("publisher", ""), is_open=state == ProblemState.OPEN,
            is_paused=state == ProblemState.PAUSED, cpus=problem.resources.cpus, memory=problem.resources.memory,
            gpus=problem.resources.gpus, programs=frozenset(problem.environment.system), in_flight=int(in_flight),
            revision=int(fields["revision"]),
        )  # fmt: skip
        if not demand.is_open:
            return demand
        revision = int(fields["revision"])
        versions, last = self._versions(name, problem, fields)
        return Opening(
            problem=problem, revision=revision, bundle=self._bundle(name, revision, problem, fields["files"]),
            best_blob=fields["best_blob"], best=_number(fields.get("best")), demand=demand,
            frontier=Frontier(
                versions=versions, stalled=last is None or (now - last).total_seconds() > STALLED_SECONDS
            ),
            tried=b"".join(bytes.fromhex(tried) for tried in text.lrange(keys.tried(name, revision), 0, -1)),
        )  # fmt: skip

    def _versions(
        self, name: str, problem: Problem, fields: dict[str, str]
    ) -> tuple[tuple[Version, ...], datetime | None]:
        """Return what was accepted by the scores of this revision, best first, and when the last of it was."""
        records = comparable(self._store.problems.records(name), int(fields["revision"]))[-2 * POPULATION :]
        text = self._store.connection.text
        pipeline = text.pipeline(transaction=False)
        pipeline.hgetall(keys.children(name))
        pipeline.hgetall(keys.in_flight(name))
        for record in records:
            pipeline.hmget(keys.experiment(record.experiment or "-"), "blob", "state")
        children, in_flight, *tried = pipeline.execute()
        files = _files(fields["files"])
        found = {
            record.commit: Version(
                commit=record.commit, blob=blob or files[problem.files.mutable], score=record.score, note=record.note,
                children=int(children.get(record.commit, 0)), in_flight=int(in_flight.get(record.commit, 0)),
            )
            for record, (blob, state) in zip(records, tried, strict=True)
            # What an audit took back is no version to go on from, least of all at the score that it had.
            if (blob or not record.experiment) and state != ExperimentState.REVERTED
        }  # fmt: skip
        head = fields["head"]
        found[head] = replace(
            found.get(head) or Version(commit=head, blob=fields["best_blob"], score=None),
            blob=fields["best_blob"], score=_number(fields.get("best")),
            children=int(children.get(head, 0)), in_flight=int(in_flight.get(head, 0)),
        )  # fmt: skip
        sign = -1 if problem.metric.direction is Direction.MAXIMIZE else 1
        others = sorted(
            # The best itself stands in an older commit, too, where a revision since changed nothing but words.
            (v for v in found.values() if v.blob != fields["best_blob"]),
            key=lambda v: (v.score is None, sign * (v.score or 0.0)),
        )
        last = max((record.when for record in records), default=None)
        return (found[head], *others)[:POPULATION], last

    def _bundle(self, name: str, revision: int, problem: Problem, files_text: str) -> str:
        """Return the blob that lists the files a worker needs, all of them public; stored at the first call."""
        known = self._bundles.get((name, revision))
        if known is None:
            files = {path: blob for path, blob in _files(files_text).items() if problem.is_locked(path)}
            listing = json.dumps(files, sort_keys=True).encode()
            known = self._store.blobs.put(listing)
            self._store.leases.publish_files(name, revision, [known, *files.values()])
            self._bundles[name, revision] = known
        return known


def _files(text: str) -> dict[str, str]:
    """Read the lines ``BLOB PATH`` of a problem's files into path to blob."""
    return dict(line.split(" ", 1)[::-1] for line in text.splitlines())


def _number(text: str | None) -> float | None:
    return float(text) if text else None
