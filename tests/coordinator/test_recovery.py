"""What a process that starts finds of the one before, which may have been killed between any two steps."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ar_coordinator.commands.init import initialise
from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.doorbell import Doorbell
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.evidence import Evidence, Publication, Score
from ar_coordinator.git_objects import PoolIdentity
from ar_coordinator.histories import Histories
from ar_coordinator.referee_process import RefereeDesk
from ar_coordinator.store import Store, open_store
from ar_core.candidate import content_hash
from ar_core.lifecycle import ExperimentState, ProblemState
from ar_core.records import Experiment, ProblemCard, PublishedScore
from ar_core.signing import KEY_BYTES, PrivateKey

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
P = "packing"
VERIFIED = {"verified": 4.5, "incumbent": 6.0, "gain": 1.5, "gain_low": 1.0, "gain_high": 2.0, "pairs": 28,
            "evidence": 321.5, "exact": False, "verifier": "local-0", "verifier_grade": "B"}  # fmt: skip
PUBLISHED = PublishedScore(
    score=4.75, incumbent=5.75, gain=1.0, pairs=7, low=4.5, high=5.0, verifier="local-0, local-1"
)


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "pool")
    initialise(directory, "Test Pool")
    return directory


@pytest.fixture
def store(directory: DataDirectory) -> Iterator[Store]:
    server = EmbeddedRedis(directory.redis)
    try:
        server.start()
        store = open_store(server.url, directory.blobs)
        yield store
        store.connection.close()
    finally:
        server.stop()


def test_a_referee_rings_for_orders_whose_bell_never_rang(store: Store, directory: DataDirectory) -> None:
    """Killed between the order and its bell: the next one does not leave it to the sweeper, which is slow."""
    store.batches.create("x-1.1.compare.0", "an order", 60)
    bell = Doorbell(store.connection)
    assert bell.waiting_for_verifiers() == 0
    RefereeDesk(store, directory, "Test Pool", parallel=2).settle()
    assert bell.waiting_for_verifiers() == 1


@pytest.mark.parametrize(("state", "news"), [(ProblemState.OPEN, True), (ProblemState.PAUSED, False)])
@pytest.mark.parametrize("damage", ["gone", "older"])
def test_a_history_that_cannot_be_gone_on_with_pauses_its_problem(
    store: Store, directory: DataDirectory, state: ProblemState, news: bool, damage: str
) -> None:
    desk = RefereeDesk(store, directory, "Test Pool", parallel=2)
    histories = Histories(
        store, directory, PoolIdentity(name="A", key=PrivateKey(raw=secrets.token_bytes(KEY_BYTES)))
    )
    for name in (P, "other"):
        card = ProblemCard(
            name=name, title=P, summary="", revision=1, state=ProblemState.REGISTERING, kind="data", metric="m",
            direction="minimize", mutable_path="a.json", published=WHEN,
        )  # fmt: skip
        store.problems.reserve(card, publisher_id="i-1", now=1, take_over=False, extra={})
        first = Publication(problem=name, revision=1, score=Score(value=6.0), locked_digest="5e1f" * 16)
        head = histories.repository(name).create({"a.json": b"[1]\n"}, first.to_message(), "ada", WHEN)
        store.problems.end_registration(name, state, head=head, best=6.0, baseline=6.0, state_reason="as it was")
    desk.settle()
    assert [store.problems.field(name, "state") for name in (P, "other")] == [state, state]
    whole = histories.repository(P).path
    whole.rename(directory.root / "aside")
    if damage == "older":
        histories.repository(P).create({"a.json": b"[0]\n"}, first.to_message(), "ada", WHEN)
    desk.settle()
    assert store.problems.field(P, "state") == ProblemState.PAUSED
    reason = store.problems.field(P, "state_reason") or ""
    assert (f"git/{P}.git" in reason) == news
    assert store.problems.field("other", "state") == state
    assert histories.repository(P).exists() == (damage == "older")


def test_bells_are_rung_for_what_nobody_runs(store: Store) -> None:
    for name in ("ready", "running", "done"):
        store.batches.create(name, "an order", 60)
    store.batches.claim("running", "local-0")
    done = store.batches.claim("done", "local-1")
    assert done is not None
    assert store.batches.finish(done, "results")
    assert store.batches.unclaimed() == ["ready"]
    bell = Doorbell(store.connection)
    bell.run_orders(store.batches)
    assert bell.waiting_for_verifiers() == 1
    # A verifier that starts again takes its own back first.
    store.batches.free("local-0")
    assert sorted(store.batches.unclaimed()) == ["ready", "running"]


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "lost"])
def test_an_accept_found_in_git_keeps_its_three_numbers_apart(
    store: Store, directory: DataDirectory, noted: bool
) -> None:
    """Killed after the commit and before Redis followed. The commit has what is published, and nothing else."""
    histories = Histories(
        store, directory, PoolIdentity(name="A", key=PrivateKey(raw=secrets.token_bytes(KEY_BYTES)))
    )
    card = ProblemCard(
        name=P, title=P, summary="", revision=1, state=ProblemState.REGISTERING, kind="data", metric="m",
        direction="minimize", mutable_path="a.json", published=WHEN,
    )  # fmt: skip
    store.problems.reserve(card, publisher_id="i-1", now=1, take_over=False, extra={})
    first = Publication(problem=P, revision=1, score=Score(value=6.0), locked_digest="5e1f" * 16)
    head = histories.repository(P).create({"a.json": b"[1]\n"}, first.to_message(), "ada", WHEN)
    store.problems.end_registration(P, ProblemState.OPEN, head=head, best=6.0, baseline=6.0)
    x = Experiment(
        id="x-0000000000000001", problem=P, revision=1, state=ExperimentState.QUEUED, contributor="eve", claimed=3.0,
        blob=store.blobs.put(b"[2]\n"), created=WHEN, updated=WHEN,
    )  # fmt: skip
    store.experiments.add(x, content_hash=content_hash(b"[2]\n"), once="ar:once:a", quota="ar:quota:a", limit=0)
    store.experiments.start(x.id, 0)
    if noted:
        store.experiments.note(x.id, **VERIFIED)
    evidence = Evidence(
        experiment=x.id, problem=P, revision=1, contributor="eve", worker="", agent="hand",
        score=Score(value=4.75, n=7, interval=(4.5, 5.0)), baseline=5.75, claimed=3.0, gain=1.0, pairs=28,
        evidence=321.5, verifier="local-0, local-1", locked_digest="5e1f" * 16,
    )  # fmt: skip
    message = evidence.to_message("shorter")
    commit = histories.repository(P).commit_accept(head, "a.json", b"[2]\n", message, "eve", WHEN)
    histories.reconcile(P)
    found = store.experiments.get(x.id)
    assert found is not None
    assert (found.state, found.commit, found.claimed, found.published) == (
        ExperimentState.ACCEPTED, commit, 3.0, PUBLISHED,
    )  # fmt: skip
    if noted:
        assert {name: getattr(found, name) for name in VERIFIED} == VERIFIED
    else:
        assert (found.verified, found.incumbent, found.gain, found.pairs) == (4.75, 5.75, 1.0, 28)
    (row,) = store.problems.leaderboard(P)
    assert (row.contributor, row.gain, row.share) == ("eve", 1.0, 1.0)
    best = store.problems.card(P)
    assert best is not None
    assert (best.best, best.best_low, best.best_high, best.best_n, best.best_experiment) == (
        4.75, 4.5, 5.0, 7, x.id,
    )  # fmt: skip
