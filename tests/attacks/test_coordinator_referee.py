"""The referee when something underneath is broken, raced or withdrawn; what verifiers measured is posted by hand.

Everything but the measuring is real: Redis, git, the referee and the opener, in this process.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.opening import take_in
from ar_coordinator.referee import in_turn
from ar_coordinator.referee_process import RefereeDesk
from ar_coordinator.registry import Registry
from ar_coordinator.store import Store, keys, open_store
from ar_coordinator.store.experiments import Waiting
from ar_coordinator.store.fields import to_fields
from ar_coordinator.work_order import (
    FindingResult,
    PairResult,
    PairsOrder,
    PairsResult,
    RegistrationOrder,
    RegistrationResult,
    SideResult,
    decode_order,
    encode,
)
from ar_core.candidate import content_hash, sha256
from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.records import Experiment, Identity, Role

Files = dict[str, bytes]
Score = Callable[[bytes, int], float | None]
KEY = bytes(32)


@dataclass
class Court:
    """A referee's desk over a real store, and the measuring done by hand."""

    store: Store
    directory: DataDirectory
    desk: RefereeDesk
    publisher: Identity

    def publish(self, files: Files) -> str:
        """Take in a folder; its registration waits to be measured."""
        name, _ = take_in(self.store, Doorbell(self.store.connection), KEY, dict(files), self.publisher)
        return name

    def opened(self, files: Files, sd: float = 0.0) -> str:
        """Take in a folder and open it."""
        name = self.publish(files)
        self.measure(sd=sd)
        self.desk.look_at_problem(name)
        assert self.store.problems.field(name, "state") == ProblemState.OPEN
        return name

    def propose(self, problem: str, content: bytes, who: str = "eve") -> str:
        """Queue a candidate."""
        now = datetime.now(UTC)
        x = Experiment(
            id=f"x-{secrets.token_hex(8)}", problem=problem, revision=1, state=ExperimentState.QUEUED,
            contributor=who, worker="m-1", agent="hand", note="", claimed=None, parent="", blob=sha256(content),
            created=now, updated=now,
        )  # fmt: skip
        added = self.store.experiments.add(
            x, content_hash=content_hash(content), once=keys.once(who, x.id), quota="", limit=0, content=content
        )
        assert added.answer == "added"
        return x.id

    def look(self, *experiments: str) -> None:
        """Ring the referee for experiments, or to look around."""
        for experiment in experiments:
            self.desk.look_at_experiment(experiment)
        self.desk.look_around()

    def state(self, experiment: str) -> ExperimentState:
        """Read where an experiment stands."""
        x = self.store.experiments.get(experiment)
        assert x is not None
        return x.state

    def waiting_batches(self) -> list[str]:
        """Read which batches nobody has measured yet."""
        return list(self.store.connection.text.zrange(keys.BATCHES, 0, -1))

    def measure(self, score: Score | None = None, *, sd: float = 0.0, trouble: str = "", refuse: str = "") -> None:
        """Measure everything that waits: the sum of the numbers unless ``score`` says otherwise."""
        for batch in self.waiting_batches():
            claim = self.store.batches.claim(batch, "by-hand")
            assert claim is not None
            order = decode_order(claim.spec)
            if isinstance(order, RegistrationOrder):
                value = self._sum(self.store.blobs.get(order.files["numbers.json"]), 0)
                result: Any = RegistrationResult(
                    verifier="by-hand", ok=not refuse, baseline=value, mean=value, sd=sd, n=5,
                    interval=(value, value), seconds=0.1, secondary={}, trouble=trouble,
                    findings=[FindingResult(check="c", severity="error", message=refuse, fix="f")] if refuse else [],
                )  # fmt: skip
            else:
                result = self._pairs(order, score or self._sum, trouble)
            assert self.store.batches.finish(claim, encode(result))

    def _pairs(self, order: PairsOrder, score: Score, trouble: str) -> PairsResult:
        sides = [self.store.blobs.get(order.candidate), self.store.blobs.get(order.incumbent)]

        def side(content: bytes, index: int) -> SideResult:
            value = score(content, index)
            outcome = "ok" if value is not None else "crash"
            return SideResult(outcome=outcome, score=value, secondary={}, feedback="", seconds=0.1)

        pairs = [
            PairResult(index=p.index, candidate=side(sides[0], p.index), incumbent=side(sides[1], p.index))
            for p in order.pairs
        ]
        return PairsResult(verifier="by-hand", pairs=() if trouble else pairs, seconds=0.1, trouble=trouble)

    @staticmethod
    def _sum(content: bytes, _index: int) -> float:
        return float(sum(map(float, content.decode().strip(" []\n").split(","))))

    def settle_all(self, *experiments: str, score: Score | None = None) -> None:
        """Measure and look until these are settled."""
        for _ in range(30):
            self.look(*experiments)
            self.measure(score)
        self.look(*experiments)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def court(redis_server: EmbeddedRedis, tmp_path: Path) -> Iterator[Court]:
    directory = DataDirectory(tmp_path / "data")
    directory.initialise("Test Pool")
    store = open_store(redis_server.url, directory.blobs)
    store.connection.text.flushall()
    publisher = Identity(
        id="i-1",
        role=Role.PUBLISHER,
        contributor="ada",
        machine="m-1",
        joined=datetime.now(UTC),
        public_key=bytes(32),
    )
    yield Court(store, directory, RefereeDesk(store, directory, "Test Pool", 2), publisher)
    store.connection.close()


@pytest.fixture
def noisy(folder: Callable[..., Files]) -> Files:
    files = folder("noisy")
    files["problem.toml"] = files["problem.toml"].replace(b'noise = "none"', b'noise = "seed"\nmax_pairs = 40')
    return files


def test_a_withdrawn_problem_keeps_nothing_in_the_queue(court: Court, folder: Callable[..., Files]) -> None:
    name = court.opened(folder("gone"))
    running, queued = court.propose(name, b"[5, 5]\n"), court.propose(name, b"[6, 6]\n")
    court.look()
    assert court.state(running) is ExperimentState.VERIFYING
    # Withdrawn by a process that was killed before it came to the queue; and a verification that goes back to it.
    court.store.problems.set_state(name, ProblemState.OPEN, ProblemState.WITHDRAWN)
    court.measure(trouble="the sandbox failed")
    court.look(running, queued)
    court.look(running, queued)
    assert {court.state(running), court.state(queued)} == {ExperimentState.WITHDRAWN}


def test_what_cannot_be_read_of_one_problem_stops_no_other(court: Court, folder: Callable[..., Files]) -> None:
    broken, sound = court.opened(folder("broken")), court.opened(folder("sound"))
    running = court.propose(broken, b"[5, 5]\n")
    court.look()
    queued = [court.propose(broken, f"[{n}, 9]\n".encode()) for n in range(5)]
    court.store.problems.update(broken, files="0" * 64 + " problem.toml")
    court.look(running)
    good = court.propose(sound, b"[7, 7]\n", "bob")
    court.settle_all(good)
    assert court.state(good) is ExperimentState.ACCEPTED
    assert {court.state(x) for x in [running, *queued]} == {ExperimentState.QUEUED}


def test_a_referee_starts_whatever_one_problem_looks_like(court: Court, folder: Callable[..., Files]) -> None:
    court.opened(folder("aaa-broken"))
    sound = court.opened(folder("sound"))
    court.store.connection.text.hset(keys.problem("aaa-broken"), "registering", "2")
    good = court.propose(sound, b"[7, 7]\n")
    court.desk.settle()
    assert court.state(good) is ExperimentState.VERIFYING


def test_a_ledger_without_the_bytes_of_one_candidate(court: Court, folder: Callable[..., Files]) -> None:
    name = court.opened(folder("lost"))
    x = court.propose(name, b"[0, 0]\n")
    court.look()
    court.measure()
    court.desk._referee.look_at_experiment(x)
    assert court.state(x) is ExperimentState.REJECTED
    court.store.connection.raw.delete(keys.blob(sha256(b"[0, 0]\n")))
    court.look()
    assert court.store.connection.text.zcard(keys.ledger_tail(name)) == 0


def test_an_accept_during_the_registration_of_a_revision_is_kept(court: Court, folder: Callable[..., Files]) -> None:
    name = court.opened(folder("revised"))
    x = court.propose(name, b"[50, 50]\n")
    court.look()
    assert court.publish(folder("revised", title="Another title")) == name
    later = court.propose(name, b"[60, 60]\n")
    court.measure()
    # The verification that was under way ends first, with an accept; nothing new starts meanwhile.
    court.look(x)
    assert court.state(x) is ExperimentState.ACCEPTED
    assert court.state(later) is ExperimentState.QUEUED
    court.desk.look_at_problem(name)
    assert court.store.problems.field(name, "revision") == "1", (
        "it was measured with a version that is no longer the best"
    )
    court.measure()
    court.desk.look_at_problem(name)
    fields = court.store.problems.fields(name)
    assert (fields["revision"], fields["best"], fields["title"]) == ("2", "100.0", "Another title")
    repository = court.desk._histories.repository(name)
    assert repository.read_file(fields["head"], "numbers.json") == b"[50, 50]\n"
    court.settle_all(later)
    assert court.state(later) is ExperimentState.ACCEPTED
    assert court.store.problems.field(name, "best") == "120.0"


def test_what_was_refused_before_says_nothing_about_another_folder(
    court: Court, folder: Callable[..., Files]
) -> None:
    """The referee was killed after it refused, before it forgot the batch."""
    name = court.publish(folder("second"))
    court.measure(refuse="no good")
    (batch,) = court.store.connection.text.keys("ar:batch:*")
    kept = court.store.connection.raw.dump(batch)
    court.desk.look_at_problem(name)
    assert court.store.problems.field(name, "state") == ProblemState.REFUSED
    court.store.connection.raw.restore(batch, 0, kept)
    court.publish(folder("second", title="Mended"))
    court.measure()
    court.desk.look_at_problem(name)
    assert court.store.problems.field(name, "state") == ProblemState.OPEN


def test_a_registration_that_always_fails_for_us_comes_to_an_end(court: Court, folder: Callable[..., Files]) -> None:
    name = court.publish(folder("endless"))
    for _ in range(20):
        court.measure(trouble="the sandbox failed")
        court.desk.look_at_problem(name)
    assert court.store.problems.field(name, "state") == ProblemState.REFUSED
    assert "the sandbox failed" in (court.store.problems.field(name, "state_reason") or "")
    assert court.opened(folder("endless")) == name


@pytest.mark.parametrize("then", [pytest.param(None, id="crashes"), pytest.param(1.0, id="is worse")])
def test_a_gain_that_is_gone_on_the_fresh_pairs_is_not_committed(
    court: Court, noisy: Files, then: float | None
) -> None:
    name = court.opened(noisy, sd=1.0)
    head = court.store.problems.field(name, "head")
    x = court.propose(name, b"[9]\n")

    def lucky(content: bytes, index: int) -> float | None:
        if content != b"[9]\n":
            return 3.0
        return 9.0 if index < 1_000_000 else then

    court.settle_all(x, score=lucky)
    found = court.store.experiments.get(x)
    assert found is not None
    assert (found.state, found.reason) == (ExperimentState.REJECTED, Reason.NOT_REPRODUCED)
    assert court.store.problems.field(name, "head") == head


def test_no_evidence_is_carried_over_to_another_best_version(court: Court, noisy: Files) -> None:
    name = court.opened(noisy, sd=1.0)
    first, second = court.propose(name, b"[8]\n"), court.propose(name, b"[17]\n", "bob")
    court.look()
    court.measure()
    seen: set[str] = set()
    incumbents: dict[str, set[str]] = {}
    for _ in range(30):
        court.look(first)
        for batch in court.waiting_batches():
            order = decode_order(court.store.connection.text.hget(keys.batch(batch), "spec"))
            assert isinstance(order, PairsOrder)
            incumbents.setdefault(f"{order.experiment}.{order.attempt}", set()).add(order.incumbent)
            for pair in order.pairs:
                assert f"{pair.run_seed}-{pair.scorer_seed}" not in seen or batch in seen
                seen.add(f"{pair.run_seed}-{pair.scorer_seed}")
            seen.add(batch)
        court.measure()
    court.settle_all(first, second)
    assert {court.state(first), court.state(second)} == {ExperimentState.ACCEPTED}
    assert all(len(blobs) == 1 for blobs in incumbents.values()), incumbents
    assert court.store.experiments.attempt(second) == 2, "it began anew when the best version changed"


def test_a_ban_that_comes_while_the_registry_is_written_reaches_it(court: Court) -> None:
    identities, text = court.store.identities, court.store.connection.text
    text.hset(keys.identity("i-1"), mapping=to_fields(court.publisher))
    text.sadd(keys.REGISTRY_DIRTY, "identity:i-1")

    class Slow(Registry):
        def write(self, *arguments: Any, **options: Any) -> str | None:
            identities.set_ban(court.publisher, "while it is being written")
            return super().write(*arguments, **options)

    registry = court.desk._registry
    court.desk._registry = Slow(court.directory.registry, registry.pool)
    court.desk.look_around()
    court.desk._registry = registry
    court.desk.look_around()
    assert b"while it is being written" in (registry.read("identities/i-1.json") or b"")
    assert not text.exists(keys.REGISTRY_DIRTY, keys.REGISTRY_WRITING)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=60), st.integers(0, 4))
def test_in_turn_loses_nobody_and_keeps_everybodys_order(rows: list[tuple[str, int]], at_work: int) -> None:
    waiting = [Waiting(id=str(n), problem=f"p{p}", contributor=who, not_before=0) for n, (who, p) in enumerate(rows)]
    ordered = in_turn(waiting, Counter({"a": at_work}))
    assert Counter(w.id for w in ordered) == Counter(w.id for w in waiting)
    for who in "abc":
        own = [int(w.id) for w in ordered if w.contributor == who]
        assert own == sorted(own)
    many = {who: sum(w.contributor == who for w in waiting) for who in "abc"}
    first = [w.contributor for w in ordered[: 3 * min(many.values())]]
    if not at_work and min(many.values()):
        assert Counter(first) == dict.fromkeys("abc", min(many.values()))
