"""Bench ``parallel``: what 64 volunteers on one problem reach with the evaluations that one volunteer has alone.

Durations are simulated; the search, the choice of what to build on, the order in which claims are verified, the
judgement, the rebasing and its budget are the pool's own code. A verdict takes four evaluations, and there are
verifiers for five verdicts in the time of one evaluation, too few for all claims. ``strict parents`` drops every win
that is not built on today's best, ``today's best`` compares it with that, ``rebase`` also makes its change again on
today's best, ``rebase, by arrival`` verifies in the order in which claims came. Every gain counts, however small.
"""

import heapq
import json
import platform
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, pairwise

from figures import keep, table

from ar_coordinator.dispatch import Frontier, Version, policy
from ar_coordinator.judgement import judge
from ar_coordinator.rebasing import may_rebase, rebase
from ar_coordinator.referee import OLDEST_SHARE, in_turn
from ar_coordinator.store.experiments import Waiting
from ar_coordinator.work_order import PairResult, SideResult
from ar_core.acceptance import Verdict
from ar_core.candidate import content_hash
from ar_core.metric import Direction
from ar_core.problem import Evaluation, Files, Kind, Metric, Problem, Search
from ar_search.agent import Observation
from ar_search.agent import Task as AgentTask
from ar_search.tuner import Tuner, make_tuner

VOLUNTEERS, EACH, RUNS = 64, 100, 3
LEASE_EVALUATIONS = 50
VERIFICATION = 0.2
"""Of an evaluation's mean duration: what one verdict takes; verifiers of a pool grow with its volunteers."""
RUNS_OF_A_VERDICT = 4
BY_ARRIVAL = "rebase, by arrival"
SIZE = 40
Score = Callable[[list[float]], float]
_WANTED = [random.Random("wanted").uniform(-80, 80) for _ in range(SIZE)]


def separable(x: list[float]) -> float:
    """The squared distance from a point: each number can be improved by itself."""
    return sum((a - b) ** 2 for a, b in zip(x, _WANTED, strict=True))


def coupled(x: list[float]) -> float:
    """Rosenbrock's valley in 40 dimensions: numbers have to move together."""
    y = [value / 40 for value in x]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(y))


def rugged(x: list[float]) -> float:
    """Rastrigin's function around a point: many local optima for each number."""
    return sum(
        ((a - b) / 20) ** 2 + 2 * (1 - random.Random(round((a - b) * 4)).random())
        for a, b in zip(x, _WANTED, strict=True)
    )


LANDSCAPES: dict[str, Score] = {"separable": separable, "coupled": coupled, "rugged": rugged}
PROBLEM = Problem(
    name="landscape", title="A landscape", files=Files(program="program.md", mutable="x.json", max_bytes=8192),
    metric=Metric(name="distance", direction=Direction.MINIMIZE),
    evaluation=Evaluation(kind=Kind.DATA, score=("score",), time_budget=1.0, score_timeout=1.0),
    search=Search(tune=("* -100..100",)),
)  # fmt: skip


@dataclass(slots=True)
class Volunteer:
    """One machine with one slot."""

    tuner: Tuner
    parent: str
    left: int
    claimed: set[bytes] = field(default_factory=set)
    waiting: bool = False
    """A claim of this lease has no verdict yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A win as its finder saw it."""

    content: bytes
    parent: str
    volunteer: int


@dataclass(slots=True)
class Pool:
    """The coordinator's side: the versions on main, by name, and what happened to claims."""

    score: Score
    mode: str
    rng: random.Random
    contents: dict[str, bytes]
    versions: list[Version]
    known: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: {"accepted": 0, "rebased": 0, "dropped": 0})
    runs: int = 0
    runs_rebased: int = 0
    progress: list[float] = field(default_factory=list)
    """The best score after each quarter of the evaluations."""

    @property
    def best(self) -> Version:
        return self.versions[-1]

    def value(self, content: bytes) -> float:
        return self.score(json.loads(content))

    def task(self) -> tuple[str, bytes]:
        """Return what the next lease builds on."""
        ordered = sorted(self.versions, key=lambda version: version.score or 0.0)
        pick = policy("champion").pick(Frontier(versions=tuple(ordered)), self.rng)
        return pick.parent.commit, self.contents[pick.parent.commit]

    def next_of(self, queue: list[Claim]) -> int:
        """Return which of the waiting claims is verified next."""
        waiting = [
            Waiting(id=str(at), problem=PROBLEM.name, contributor=str(claim.volunteer), not_before=0, claim=True)
            for at, claim in enumerate(queue)
        ]
        newest_first = self.rng.random() >= OLDEST_SHARE and self.mode != BY_ARRIVAL
        return int(in_turn(waiting, Counter(), newest_first=newest_first)[0].id)

    def verify(self, claim: Claim) -> int:
        """Settle a claim; return how many verifications that took."""
        if self.mode == "strict parents" and claim.parent != self.best.commit:
            self.counts["dropped"] += 1
            return 0
        self.runs += RUNS_OF_A_VERDICT
        if self._accept(claim.content, "accepted"):
            return 1
        made = self._remade(claim) if self.mode.startswith("rebase") and claim.parent != self.best.commit else None
        if made is None:
            self.counts["dropped"] += 1
            return 1
        self.runs += RUNS_OF_A_VERDICT
        self.runs_rebased += RUNS_OF_A_VERDICT
        if not self._accept(made, "rebased"):
            self.counts["dropped"] += 1
        return 2

    def _remade(self, claim: Claim) -> bytes | None:
        """Make a claim's change on today's best, if the budget allows it and something new comes of it."""
        if not may_rebase(RUNS_OF_A_VERDICT, rebased=self.runs_rebased, spent=self.runs):
            return None
        made = rebase(PROBLEM, self.contents[claim.parent], claim.content, self.contents[self.best.commit])
        return None if made is None or content_hash(made) in self.known else made

    def _accept(self, content: bytes, word: str) -> bool:
        self.known.add(content_hash(content))
        try:
            mine = side(self.value(content))
        except (ValueError, TypeError):
            return False
        theirs = side(self.best.score or 0.0)
        pairs = [PairResult(index=i, candidate=mine, incumbent=theirs) for i in range(2)]
        if judge(PROBLEM, None, pairs).decision.verdict is not Verdict.ACCEPT:
            return False
        name = f"c{len(self.versions)}"
        self.contents[name] = content
        self.versions.append(Version(commit=name, blob=name, score=mine.score))
        self.counts[word] += 1
        return True


def side(score: float) -> SideResult:
    """Return one measured side."""
    return SideResult(outcome="ok", score=score, secondary={}, feedback="", seconds=0.0)


def simulate(score: Score, mode: str, volunteers: int, evaluations: int, seed: int) -> Pool:
    """Let so many volunteers make so many evaluations altogether."""
    rng = random.Random(seed)
    start = json.dumps([0.0] * SIZE).encode()
    first = Version(commit="c0", blob="c0", score=score([0.0] * SIZE))
    pool = Pool(score, mode, rng, {"c0": start}, [first])
    ticket = count()
    machines = [lease(pool, rng) for _ in range(volunteers)]
    events: list[tuple[float, int, int]] = []
    for index in range(volunteers):
        heapq.heappush(events, (rng.lognormvariate(0, 0.3), next(ticket), index))
    queue: list[Claim] = []
    free_at, made = 0.0, 0
    while made < evaluations:
        now, _, index = heapq.heappop(events)
        while queue and free_at <= now:
            claim = queue.pop(pool.next_of(queue))
            before = pool.best
            free_at += VERIFICATION * pool.verify(claim)
            if claim.volunteer >= 0:
                machines[claim.volunteer].waiting = False
            if pool.best is not before:
                for machine in machines:
                    machine.tuner.improved(pool.contents[pool.best.commit], pool.best.score or 0.0)
        machine = machines[index]
        made += 1
        if made % (evaluations // 4) == 0:
            pool.progress.append(pool.best.score or 0.0)
        step(pool, machine, index, queue)
        if queue and free_at < now:
            free_at = now
        if machine.left <= 0:
            for claim in queue:
                if claim.volunteer == index:
                    queue[queue.index(claim)] = Claim(content=claim.content, parent=claim.parent, volunteer=-1)
            machines[index] = lease(pool, rng)
        heapq.heappush(events, (now + rng.lognormvariate(0, 0.3), next(ticket), index))
    for claim in queue:
        pool.verify(claim)
    return pool


def lease(pool: Pool, rng: random.Random) -> Volunteer:
    """Begin a lease."""
    commit, content = pool.task()
    task = AgentTask(
        mutable_path=PROBLEM.files.mutable, parent=content, parent_score=pool.value(content),
        direction=Direction.MINIMIZE, max_bytes=PROBLEM.files.max_bytes, hints=PROBLEM.search.tune,
    )  # fmt: skip
    return Volunteer(make_tuner(task, rng.getrandbits(32)), commit, LEASE_EVALUATIONS)


def step(pool: Pool, machine: Volunteer, index: int, queue: list[Claim]) -> None:
    """Make one evaluation, and claim what is better than everything that this lease was told."""
    machine.left -= 1
    proposal = machine.tuner.propose()
    if proposal is None:
        machine.left = 0
        return
    try:
        value: float | None = pool.value(proposal.content)
    except (ValueError, TypeError):
        value = None
    before = machine.tuner.best
    machine.tuner.observe(proposal, Observation(score=value))
    better = value is not None and before.score is not None and value < before.score
    if better and before.content in {pool.contents[v.commit] for v in pool.versions[-3:]}:
        machine.parent = next(v.commit for v in reversed(pool.versions) if pool.contents[v.commit] == before.content)
    if better:
        mine = [claim for claim in queue if claim.volunteer == index]
        for claim in mine:
            queue.remove(claim)
        queue.append(Claim(content=proposal.content, parent=machine.parent, volunteer=index))


def main() -> None:
    """Simulate, print the table, and add to bench/results.json."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    begun = time.perf_counter()
    rows: list[dict[str, object]] = []
    total = VOLUNTEERS * EACH
    for name, score in LANDSCAPES.items():
        settings = [("alone", 1)] + [
            (mode, VOLUNTEERS) for mode in ("strict parents", "today's best", "rebase", BY_ARRIVAL)
        ]
        for mode, volunteers in settings:
            rule = "today's best" if mode == "alone" else mode
            pools = [simulate(score, rule, volunteers, total, seed) for seed in range(runs)]
            finals = [pool.best.score or 0.0 for pool in pools]
            rows.append({
                "landscape": name, "volunteers": volunteers, "rule": mode,
                "at 1/4": round(statistics.median(pool.progress[0] for pool in pools), 4),
                "at 1/2": round(statistics.median(pool.progress[1] for pool in pools), 4),
                "best": round(statistics.median(finals), 4),
                "from": round(min(finals), 4), "to": round(max(finals), 4),
                **{word: round(statistics.median(p.counts[word] for p in pools)) for word in pools[0].counts},
            })  # fmt: skip
    table(f"parallel: best score (lower is better) after {total} evaluations altogether, medians of {runs}", rows)
    print(f"  ({time.perf_counter() - begun:.0f} s)")
    figures = {"bench": "parallel", "evaluations": total, "rows": rows, "python": platform.python_version()}
    keep("parallel", figures)


if __name__ == "__main__":
    main()
