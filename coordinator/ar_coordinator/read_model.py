"""What pages, the HTTP API and catalogue calls may see of a pool: reading only, over Redis and the repositories.

Not here: who asks (everything here is public), how it is shown, and changing anything.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import cast

import msgspec

from ar_coordinator.git_paths import PathRefusedError
from ar_coordinator.git_store import RepositoryError
from ar_coordinator.open_problem import ladder_of, window_of
from ar_coordinator.release import Released
from ar_coordinator.repository import MAIN, MissingFileError, ProblemRepository
from ar_coordinator.store import Store, keys
from ar_coordinator.store.blobs import BlobMissingError
from ar_coordinator.store.problems import Record
from ar_core.acceptance.betting import DEFAULT_ALPHA
from ar_core.acceptance.spending import strict_budget
from ar_core.credit import Order, across, ranked
from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.manifest import NAME, ManifestError, read_manifest
from ar_core.problem import Problem
from ar_core.records import Experiment, LeaderboardRow, ProblemCard, StrictBudget

OpenRepository = Callable[[str], ProblemRepository | None]
"""Returns the repository of a problem by its name, or ``None`` where there is none yet."""

MOST_EXPERIMENTS = 1000
_NO_VERIFIER = "Its registration waits: no verifier is here."
_EVENTS_READ = 200
_EXPERIMENT = re.compile(r"x-[0-9a-f]{16}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_UNLISTED = frozenset({ProblemState.WITHDRAWN, ProblemState.REFUSED})
_SHOWN_CONTENT = frozenset(
    {ExperimentState.RECORDED, ExperimentState.ACCEPTED, ExperimentState.REJECTED, ExperimentState.REVERTED}
)
_WITHOUT_CONTENT = frozenset({Reason.POLICY, Reason.DUPLICATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSummary:
    """The whole pool in numbers, as it is now; ``contributors`` counts each person once."""

    problems: int
    experiments: int
    accepted: int
    contributors: int
    queued: int
    verifying: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrutiny:
    """How hard a problem's log was looked at, and how finely that is told."""

    step: float | None
    """What released scores are rounded to; ``None`` where they are as they were measured."""
    window: tuple[float, float] | None
    """What scores are cut to, where noise is one of seeds; rounded outwards where scores are rounded."""
    audit_passed: str
    """The commit that the last audit found no worse than what was before; empty while there was none."""
    audit_pairs: int


class ReadModel:
    """Everything there is to read; methods block on Redis and git, and may be called from any thread."""

    def __init__(self, store: Store, open_repository: OpenRepository, web: str = "") -> None:
        self._store = store
        self._open_repository = open_repository
        self._web = web.rstrip("/")

    def ready(self) -> bool:
        """Tell that Redis answers; raises ``redis.RedisError`` when it does not."""
        return bool(self._store.connection.text.ping())

    def pool(self) -> PoolSummary:
        """Return the pool in numbers; withdrawn and refused problems do not count."""
        cards = self.problems()
        pipeline = self._store.connection.text.pipeline(transaction=False)
        pipeline.zcard(keys.QUEUE)
        pipeline.zcard(keys.VERIFYING)
        for card in cards:
            pipeline.smembers(keys.contributors(card.name))
        queued, verifying, *people = pipeline.execute()
        return PoolSummary(
            problems=len(cards), experiments=sum(card.experiments for card in cards),
            accepted=sum(card.accepted for card in cards), contributors=len(set().union(*people)),
            queued=int(queued), verifying=int(verifying),
        )  # fmt: skip

    def problems(self, *, all: bool = False) -> list[ProblemCard]:  # noqa: A002 - the word of the interface
        """Return the problems by name; ``all`` adds those that are withdrawn or refused."""
        cards = (self._store.problems.card(name, self._web) for name in sorted(self._store.problems.names()))
        return self._with_budgets([c for c in cards if c is not None and (all or c.state not in _UNLISTED)])

    def problem(self, name: str) -> ProblemCard | None:
        """Return one problem, of whatever state."""
        card = self._store.problems.card(name, self._web) if NAME.fullmatch(name) else None
        return None if card is None else self._with_its_wait(self._with_budgets([card])[0])

    def _with_its_wait(self, card: ProblemCard) -> ProblemCard:
        """Return the card, with the reason where a registration waits for a verifier."""
        if card.state_reason or not self._store.problems.field(card.name, "registering"):
            return card
        return card if self._store.verifiers.present() else replace(card, state_reason=_NO_VERIFIER)

    def existing(self, name: str) -> ProblemCard:
        """Return one problem; raises ``PoolError`` AR-P300."""
        card = self.problem(name)
        if card is None:
            raise PoolError("AR-P300", hint="see `ar-pool problems` or the pool's front page")
        return card

    def _with_budgets(self, cards: list[ProblemCard]) -> list[ProblemCard]:
        """Return the cards, those of strict problems with what their logs spent."""
        pipeline = self._store.connection.text.pipeline(transaction=False)
        for card in cards:
            pipeline.hmget(keys.problem(card.name), "manifest", "trials", "trials_accepted")
        return [replace(card, strict=_budget(*found)) for card, found in zip(cards, pipeline.execute(), strict=True)]

    def manifest(self, name: str) -> Problem:
        """Return the problem as its manifest describes it; raises ``PoolError`` AR-P300."""
        self.existing(name)
        text = self._store.problems.field(name, "manifest")
        if not text:
            raise PoolError("AR-P300", f"{name} has no manifest yet")
        return _manifest(text)

    def program(self, name: str) -> str:
        """Return ``program.md``, empty while there is none; raises ``PoolError`` AR-P300."""
        self.existing(name)
        return self._store.problems.field(name, "program") or ""

    def scrutiny(self, name: str) -> Scrutiny:
        """Return how hard a problem's log was looked at."""
        fields = self._store.problems.fields(name)
        return Scrutiny(
            step=float(fields["step"]) if fields.get("step") else None,
            window=_window(fields),
            audit_passed=fields.get("audit_passed") or "",
            audit_pairs=int(fields.get("audit_pairs") or 0),
        )

    def experiments(
        self, name: str, state: ExperimentState | None = None, limit: int = 100, before: int | None = None
    ) -> tuple[list[Experiment], int | None]:
        """Return experiments newest first, and the ``before`` of the next page; raises ``PoolError`` AR-P300."""
        self.existing(name)
        limit = max(1, min(limit, MOST_EXPERIMENTS))
        return self._store.experiments.page(name, state, limit=limit, before=before)

    def experiment(self, experiment_id: str) -> Experiment | None:
        """Return one experiment by its identifier."""
        return self._store.experiments.get(experiment_id) if _EXPERIMENT.fullmatch(experiment_id) else None

    def for_operator(self, x: Experiment) -> Experiment:
        """Return a held experiment with what was measured, also where nobody else is told before the decision."""
        kept = self._store.experiments.field(x.id, "kept") if x.state is ExperimentState.HELD else None
        if not kept:
            return x
        measured = asdict(msgspec.json.decode(kept, type=Released))
        return replace(x, **{**measured, "explanation": x.explanation})

    def recent(self, limit: int = 10) -> list[Experiment]:
        """Return the experiments of the whole pool that changed last, the latest change first."""
        events = self._store.connection.text.xrevrange(keys.EVENTS, count=_EVENTS_READ)
        fields = (cast("Mapping[str, str]", event) for _, event in events)
        ids = dict.fromkeys(event["id"] for event in fields if event.get("kind") == "experiment")
        return self._store.experiments.get_many(list(ids)[:limit])

    def counts(self, name: str) -> dict[ExperimentState, int]:
        """Return how many experiments of a problem are in each state."""
        pipeline = self._store.connection.text.pipeline(transaction=False)
        for state in ExperimentState:
            pipeline.zcard(keys.experiments(name, state.value))
        return dict(zip(ExperimentState, map(int, pipeline.execute()), strict=True))

    def content(self, x: Experiment) -> bytes | None:
        """Return an experiment's bytes where anybody may see them: after a verdict that was not ``held``.

        A file that broke the rules is not shown. Nor is a duplicate's, which would show the bytes of a claim
        that still waits for its own verdict.
        """
        if x.state not in _SHOWN_CONTENT or x.reason in _WITHOUT_CONTENT or not x.blob:
            return None
        try:
            return self._store.blobs.get(x.blob)
        except BlobMissingError:
            return None

    def records(self, name: str) -> list[Record]:
        """Return the history on ``main``, the baseline first; raises ``PoolError`` AR-P300."""
        self.existing(name)
        return self._store.problems.records(name)

    def points(self, name: str) -> list[tuple[int, float]]:
        """Return (number, score) of everything tried that has a score; raises ``PoolError`` AR-P300."""
        self.existing(name)
        return self._store.problems.points(name)

    def leaderboard(self, name: str | None = None, order: Order = "gain", limit: int = 50) -> list[LeaderboardRow]:
        """Return contributors with their ranks; equal contributions share a rank. Raises ``PoolError`` AR-P300.

        Gains and shares of a problem are those of its current revision. Without a problem: ``gain`` is ``None`` (no
        sum across units), ``share`` is the mean over all problems that anybody improved, each with all its revisions,
        and the order ``gain`` goes by it.
        """
        if name is not None:
            self.existing(name)
            rows = self._store.problems.leaderboard(name)
        else:
            rows = across(self._store.problems.leaderboard(c.name, all_revisions=True) for c in self.problems())
        return ranked(rows, order)[: max(limit, 0)]

    def file_at(self, name: str, commit: str = "", path: str = "") -> tuple[bytes, str, str]:
        """Return (bytes, path, commit) of a file on ``main``; empty means the best version, the mutable file.

        Hidden files are in no commit. Raises ``PoolError`` AR-P300 for the problem, AR-X403 for commit or path.
        """
        card = self.existing(name)
        repository = self._open_repository(name)
        head = repository.head() if repository is not None else None
        if repository is None or head is None:
            raise PoolError("AR-X403", f"{name} has no version yet", hint=f"see `ar-pool show {name}`")
        commit, path = commit or head, path or card.mutable_path
        if commit != head and not _is_on_main(repository, commit):
            raise PoolError("AR-X403", "the commit is not on main")
        try:
            return repository.read_file(commit, path), path, commit
        except (MissingFileError, PathRefusedError):
            raise PoolError("AR-X403", "the commit has no such file") from None


def _is_on_main(repository: ProblemRepository, commit: str) -> bool:
    if not _COMMIT.fullmatch(commit):
        return False
    try:
        repository.store.run(["merge-base", "--is-ancestor", "--end-of-options", commit, MAIN])
    except RepositoryError:
        # Exit status 1 is "no"; an object that is missing or no commit is no version either.
        return False
    return True


def _budget(manifest: str | None, trials: str | None, accepted: str | None) -> StrictBudget | None:
    """Return what a log spent; ``None`` where its problem is not strict."""
    if not manifest or not _is_strict(manifest):
        return None
    return strict_budget(DEFAULT_ALPHA, int(trials or 0), int(accepted or 0))


@lru_cache(maxsize=4096)
def _is_strict(manifest: str) -> bool:
    """Tell whether a problem is strict; every list of problems asks it of each. One that cannot be read is not."""
    try:
        return read_manifest(manifest.encode()).acceptance.strict
    except ManifestError:
        return False


def _window(fields: Mapping[str, str]) -> tuple[float, float] | None:
    """Return the window as it may be told; a manifest's own is public, one derived from hidden files rounded."""
    try:
        problem = _manifest(fields.get("manifest") or "")
        if problem.acceptance.window is not None or not fields.get("best"):
            return problem.acceptance.window
        window = window_of(problem, fields)
    except (PoolError, ValueError):
        return None  # a revision that waits for its registration may not go with the best of the one before
    return None if window is None else ladder_of(problem, fields).score_interval((window.low, window.high))


@lru_cache(maxsize=256)
def _manifest(text: str) -> Problem:
    return read_manifest(text.encode())
