"""A real pool for the pages to show: embedded Redis, git repositories, and experiments of every state."""

import asyncio
import contextlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.evidence import Evidence, Publication, Score
from ar_coordinator.git_objects import PoolIdentity
from ar_coordinator.read_model import ReadModel
from ar_coordinator.repository import ProblemRepository
from ar_coordinator.store import Store, open_store
from ar_coordinator.store.problems import Record
from ar_coordinator.web import PoolInfo, create_app
from ar_core.candidate import content_hash
from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.manifest import read_manifest
from ar_core.metric import improvement
from ar_core.records import Experiment, Finding, ProblemCard, PublishedScore
from ar_core.signing import PrivateKey, allowed_signers_line

PROBLEMS = Path(__file__).resolve().parents[3] / "problems"
IDENTITY = PoolIdentity(name="Riverside Pool", key=PrivateKey(raw=bytes(range(32))))
START = datetime(2026, 3, 2, 9, 14, 5, tzinfo=UTC)
SECRET = b"bytes that wait for their verdict"
HOSTILE = (
    "<script>alert(1)</script> \x1b[31mred\x1b[0m \u202egnp.exe\u202c \u200b&amp; \"double\" 'single'\ufffe\U000e0041"
)


class Visitor:
    """Somebody who reads the pages; sees what a browser would, also when a page fails."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    def get(self, address: str, *, method: str = "GET", **headers: str) -> httpx.Response:
        """Ask for one address exactly as written; ``if_none_match`` becomes ``If-None-Match``."""
        raw, _, query = address.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(raw), "raw_path": raw.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 40000), "server": ("pool.invalid", 80),
        }  # fmt: skip
        return asyncio.run(self._ask(scope))

    async def _ask(self, scope: dict[str, Any]) -> httpx.Response:
        requests = [{"type": "http.request", "body": b"", "more_body": False}]
        messages: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            if not requests:
                await asyncio.Event().wait()
            return requests.pop()

        async def send(message: MutableMapping[str, Any]) -> None:
            messages.append(message)

        with contextlib.suppress(Exception):
            # What fails is answered first and raised then, for the server's log.
            await self.app(scope, receive, send)
        headers = [(name.decode(), value.decode()) for name, value in messages[0]["headers"]]
        body = b"".join(message.get("body", b"") for message in messages[1:])
        return httpx.Response(messages[0]["status"], headers=headers, content=body)


@dataclass
class Pool:
    """A pool as the referee would have left it, and the client that reads its pages."""

    store: Store
    folder: Path
    read: ReadModel
    visitor: Visitor
    ticks: int = 0

    def path(self, name: str) -> Path:
        return self.folder / "git" / f"{name}.git"

    def repository(self, name: str) -> ProblemRepository:
        return ProblemRepository(self.path(name), IDENTITY)

    def now(self) -> datetime:
        self.ticks += 1
        return START + timedelta(minutes=23 * self.ticks)

    def publish(
        self, folder: str, score: float, *, findings: tuple[Finding, ...] = (),
        interval: tuple[float, float] | None = None, runs: int = 2,
    ) -> None:  # fmt: skip
        files = {
            path.relative_to(PROBLEMS / folder).as_posix(): path.read_bytes()
            for path in (PROBLEMS / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts
        }  # fmt: skip
        manifest, program = files["problem.toml"].decode(), files["program.md"].decode()
        problem = read_manifest(files["problem.toml"])
        when, locked = self.now(), "5e1f" * 16
        card = ProblemCard(
            name=problem.name, title=problem.title, summary=problem.summary, revision=1,
            state=ProblemState.REGISTERING, kind=problem.evaluation.kind.value, metric=problem.metric.name,
            direction=problem.metric.direction.value,
            unit=problem.metric.unit, decimals=problem.metric.decimals, noise=problem.acceptance.noise.value,
            publisher="ada", mutable_path=problem.files.mutable, max_bytes=problem.files.max_bytes,
            locked_digest=locked, published=when,
        )  # fmt: skip
        extra = {"manifest": manifest, "program": program}
        self.store.problems.reserve(card, publisher_id="i-1", now=self.ticks, take_over=False, extra=extra)
        measured = Score(value=score, unit=problem.metric.unit, n=runs, interval=interval)
        message = Publication(problem=problem.name, revision=1, score=measured, locked_digest=locked).to_message()
        head = self.repository(problem.name).create(problem.public_files(files), message, "ada", when)
        self.store.problems.end_registration(
            problem.name, ProblemState.OPEN, baseline=score, best=score, head=head, findings=findings, evaluation=0.21
        )
        low, high = interval or (None, None)
        self.store.problems.add_record(problem.name, Record(
            number=0, experiment="", score=score, low=low, high=high, gain=None, n=runs, evidence=None, exact=False,
            contributor="ada", worker="", agent="", note="", commit=head, revision=1, when=when,
        ))  # fmt: skip

    def propose(
        self, name: str, data: bytes, note: str, *, who: str = "bertha", claimed: float | None = None,
        state: ExperimentState = ExperimentState.QUEUED, reason: Reason | None = None, explanation: str = "",
        agent: str = "tuner", keep: bool = True,
    ) -> str:  # fmt: skip
        card = self.read.existing(name)
        when = self.now()
        x = Experiment(
            id=f"x-{self.ticks:016x}", problem=name, revision=1, state=state, reason=reason, explanation=explanation,
            worker="" if agent == "hand" else "m-4f21c9", contributor=who, agent=agent, note=note, claimed=claimed,
            parent=card.head, blob=self.store.blobs.put(data) if keep else "", created=when, updated=when,
        )  # fmt: skip
        added = self.store.experiments.add(
            x, content_hash=content_hash(data), once=f"ar:once:test:{x.id}", quota=f"ar:quota:test:{name}", limit=0
        )
        assert added.answer == "added"
        return x.id

    def settle(
        self, x_id: str, after: ExperimentState, *, score: float | None = None, incumbent: float | None = None,
        reason: Reason | None = None, explanation: str = "", pairs: int = 2, evidence: float | None = None,
        half: float | None = None, feedback: str = "",
    ) -> None:  # fmt: skip
        x = self.store.experiments.get(x_id)
        assert x is not None
        attempt = self.store.experiments.start(x_id, 0, updated=self.now())
        if after is ExperimentState.VERIFYING:
            return
        gain = None
        if score is not None and incumbent is not None:
            gain = improvement(self.read.manifest(x.problem).metric.direction, score, incumbent)
        changes: dict[str, object] = {
            "verified": score, "incumbent": incumbent, "gain": gain, "pairs": pairs, "evidence": evidence,
            "exact": evidence is None and gain is not None, "reason": reason, "explanation": explanation or None,
            "verifier": "local", "verifier_grade": "B", "feedback": feedback or None, "updated": self.now(),
        }  # fmt: skip
        if gain is not None and half is not None:
            changes |= {"gain_low": gain - half, "gain_high": gain + half, "effect_size": gain / (half * pairs**0.5)}
        if after is not ExperimentState.ACCEPTED:
            assert self.store.experiments.move(x_id, ExperimentState.VERIFYING, after, attempt=attempt, **changes)
            return
        assert score is not None
        assert incumbent is not None
        assert gain is not None
        self._accept(x, score, incumbent, gain, pairs, evidence, half, changes)

    def _accept(
        self, x: Experiment, score: float, incumbent: float, gain: float, pairs: int, evidence: float | None,
        half: float | None, changes: dict[str, object],
    ) -> None:  # fmt: skip
        card = self.read.existing(x.problem)
        interval = None if half is None else (score - half, score + half)
        published = Score(value=score, unit=card.unit, n=max(5, pairs // 4) if half else 2, interval=interval)
        message = Evidence(
            experiment=x.id, problem=x.problem, revision=1, contributor=x.contributor, worker=x.worker, agent=x.agent,
            score=published, baseline=incumbent, claimed=x.claimed, gain=gain, pairs=pairs, evidence=evidence,
            verifier="local", locked_digest=card.locked_digest,
        ).to_message(x.note, decimals=card.decimals)  # fmt: skip
        when = self.now()
        commit = self.repository(x.problem).commit_accept(
            card.head, card.mutable_path, self.store.blobs.get(x.blob), message, x.contributor, when
        )
        number = int(self.store.experiments.field(x.id, "number") or 0)
        low, high = interval or (None, None)
        record = Record(
            number=number, experiment=x.id, score=score, low=low, high=high, gain=gain, n=published.n,
            evidence=evidence, exact=evidence is None, contributor=x.contributor, worker=x.worker, agent=x.agent,
            note=x.note, commit=commit, revision=1, when=when, verifier="local", grade="B",
        )  # fmt: skip
        again = PublishedScore(
            score=score, incumbent=incumbent, gain=gain, pairs=published.n, low=low, high=high, verifier="local",
            grade="B",
        )  # fmt: skip
        answer = self.store.experiments.accept(
            x, expected_head=card.head, record=msgspec.json.encode(record).decode(),
            problem={"head": commit, "best": score}, **{**changes, "commit": commit, "published": again},
        )  # fmt: skip
        assert answer == "moved"


def make_pool(folder: Path, url: str, web: str = "https://pool.example") -> Pool:
    """Return an empty pool on the Redis at ``url``."""
    store = open_store(url, folder / "blobs")

    def path(name: str) -> Path | None:
        found = folder / "git" / f"{name}.git"
        return found if found.exists() else None

    def repository(name: str) -> ProblemRepository | None:
        return ProblemRepository(folder / "git" / f"{name}.git", IDENTITY) if path(name) else None

    read = ReadModel(store, repository, web)
    info = PoolInfo(name=IDENTITY.name, grpc_address="pool.example:7443", web_url=web, certificate_digest="9a" * 32)
    signers = allowed_signers_line(IDENTITY.key.public, "pool@pool.invalid")
    app = create_app(read, info, path, lambda: signers)
    return Pool(store, folder, read, Visitor(app))


def fill(pool: Pool) -> None:
    """Publish three problems and try things on two of them; the third is paused."""
    accepted, rejected, held = ExperimentState.ACCEPTED, ExperimentState.REJECTED, ExperimentState.HELD
    recorded, verifying = ExperimentState.RECORDED, ExperimentState.VERIFYING
    zlib, reader = "zlib-dictionary", "tiny-classifier"
    pool.publish(zlib, 25240.0, findings=(
        Finding(check="determinism", severity="info", message="Five runs in fresh rooms gave 25240 each time."),
        Finding(check="search", severity="warning", message="The file has no tunable places.",
                fix="Add `# tune:` comments if the tuner is to help."),
    ))  # fmt: skip

    def settle(note: str, score: float, incumbent: float, after: ExperimentState = accepted, **more: object) -> None:
        who = str(more.pop("who", "bertha"))
        data = f"{note}\n{score}\n".encode()
        x_id = pool.propose(zlib, data, note, who=who, claimed=score, agent=str(more.pop("agent", "openai:small")))
        pool.settle(x_id, after, score=score, incumbent=incumbent, **more)  # type: ignore[arg-type]

    worse, none = {"after": rejected, "reason": Reason.NO_IMPROVEMENT}, Reason.NO_IMPROVEMENT
    settle("Start with the 40 most frequent words", 14002.0, 25240.0)
    settle("Sort words by length", 14310.0, 14002.0, **worse)  # type: ignore[arg-type]
    settle("Whole messages instead of words", 8121.0, 14002.0, who="chiamaka", agent="hand")
    for index in range(9):
        claimed = 9000.0 + 700 * index
        pool.propose(zlib, b"%d\n" % index, f"Random shuffle {index}", who="tuner-farm", claimed=claimed,
                     state=recorded, reason=none)  # fmt: skip
    pool.propose(zlib, b"crash", "Emoji dictionary", who="dmitri", state=recorded, reason=Reason.CRASH, agent="hand")
    settle("Most used templates go to the end", 6240.0, 8121.0)
    settle("Drop what appears once", 6241.0, 6240.0, rejected, reason=Reason.NOT_REPRODUCED, who="dmitri",
           explanation="Claimed 6100, but two runs gave 6241 twice, which is not better than 6240.")  # fmt: skip
    settle("Share prefixes between kinds of message", 5575.0, 6240.0, who="chiamaka")
    pool.propose(zlib, b"x" * 4000, "Everything", who="dmitri", state=rejected, reason=Reason.POLICY, keep=False,
                 explanation="The file has 4000 bytes, over the limit of 2048.", agent="hand")  # fmt: skip
    settle("Too good", 161.0, 5575.0, held, reason=Reason.IMPLAUSIBLE, who="dmitri")
    pool.propose(zlib, SECRET, "Reorder by position of first use", who="bertha", claimed=5498.0)
    pool.propose(zlib, SECRET, "Reorder by position of first use, again", who="erin", claimed=5498.0)
    hostile = pool.propose(zlib, HOSTILE.encode(), HOSTILE, who=HOSTILE, claimed=5900.0, explanation=HOSTILE)
    pool.settle(hostile, rejected, score=5900.0, incumbent=5575.0, reason=none, feedback=HOSTILE + "\nTraceback")

    pool.publish(reader, 2.2041, interval=(2.1617, 2.2465), runs=5)
    steps = [("Hinge loss to cross-entropy", 1.4123), ("Momentum 0.9", 1.1207), ("One hidden layer of 24", 0.8349)]
    best = 2.2041
    for index, (note, score) in enumerate(steps):
        x_id = pool.propose(
            reader, f"# {note}\n".encode(), note, who="erin", claimed=score - 0.03, agent="anthropic:m"
        )
        pool.settle(x_id, accepted, score=score, incumbent=best + 0.01, pairs=16, evidence=212.5 + index, half=0.0412)
        best = score
        x_id = pool.propose(
            reader, f"# worse {index}\n".encode(), f"Batch size {2**index}", who="bertha", claimed=best
        )
        pool.settle(x_id, rejected, score=best + 0.05, incumbent=best, pairs=60, evidence=0.4, half=0.06,
                    reason=Reason.INCONCLUSIVE)  # fmt: skip
    pool.settle(pool.propose(reader, b"# now\n", "Cosine schedule", who="erin", claimed=0.79), verifying)

    pool.publish("bin-packing", 0.0)
    pool.store.problems.set_state(
        "bin-packing", ProblemState.OPEN, ProblemState.PAUSED,
        state_reason="The baseline did not repeat its score; its publisher was told.",
    )  # fmt: skip


@pytest.fixture(scope="session")
def secret() -> bytes:
    """The bytes of the one claim in ``filled`` that still waits for its verdict."""
    return SECRET


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Pool]:
    """A pool with three problems; tests read it only."""
    pool = make_pool(tmp_path_factory.mktemp("pool"), redis_url)
    fill(pool)
    yield pool
    pool.store.connection.close()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Pool]:
    """A pool in which nothing ever happened, with a Redis of its own."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = EmbeddedRedis(folder)
    server.start()
    pool = make_pool(tmp_path, server.url)
    yield pool
    pool.store.connection.close()
    server.stop()


@pytest.fixture
def unreachable(tmp_path: Path) -> Visitor:
    """The pages of a pool whose Redis is gone."""
    return make_pool(tmp_path, f"unix://{tmp_path}/nobody.sock").visitor
