"""The referee when something underneath is broken, raced or withdrawn; what verifiers measured is posted by hand.

Everything but the measuring is real: Redis, git, the referee and the opener, in this process.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks.court import Court, Files

from ar_coordinator.referee import in_turn
from ar_coordinator.registry import Registry
from ar_coordinator.store import keys
from ar_coordinator.store.experiments import Waiting
from ar_coordinator.store.fields import to_fields
from ar_coordinator.work_order import PairsOrder, decode_order
from ar_core.candidate import sha256
from ar_core.lifecycle import ExperimentState, ProblemState, Reason


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
    other = folder("revised", title="Another title")
    assert court.publish({**other, "score.py": other["score.py"] + b"# Otherwise.\n"}) == name
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


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.booleans()), max_size=60),
    st.integers(0, 4),
    st.booleans(),
)
def test_in_turn_loses_nobody_and_keeps_everybodys_order(
    rows: list[tuple[str, int, bool]], at_work: int, newest_first: bool
) -> None:
    waiting = [
        Waiting(id=str(n), problem=f"p{p}", contributor=who, not_before=0, claim=claim)
        for n, (who, p, claim) in enumerate(rows)
    ]
    ordered = in_turn(waiting, Counter({"a": at_work}), newest_first=newest_first)
    assert Counter(w.id for w in ordered) == Counter(w.id for w in waiting)
    for who in "abc":
        own = [w for w in ordered if w.contributor == who]
        assert own == sorted(own, key=lambda w: w.claim), "what a person waits for goes before claims"
        proposed, claims = ([int(w.id) for w in own if w.claim is claim] for claim in (False, True))
        assert proposed == sorted(proposed)
        assert claims == sorted(claims, reverse=newest_first)
    many = {who: sum(w.contributor == who for w in waiting) for who in "abc"}
    first = [w.contributor for w in ordered[: 3 * min(many.values())]]
    if not at_work and min(many.values()):
        assert Counter(first) == dict.fromkeys("abc", min(many.values()))
