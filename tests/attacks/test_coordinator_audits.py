"""What an audit may take back and what not: a hiccup of a machine, noise, and accepts in the middle of it."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from msgspec import structs
from tests.attacks.court import Court, Files, total

from ar_coordinator.auditing import ALPHA
from ar_core.lifecycle import ExperimentState, ProblemState, Reason

Folder = Callable[..., Files]
PUBLICATION = 1_000_000
"""From this pair on it is a publication, and no comparison."""


def field(court: Court, name: str, key: str) -> str:
    return court.store.problems.field(name, key) or ""


def trailers(court: Court, name: str) -> dict[str, str]:
    return dict(court.desk._histories.repository(name).log()[0].trailers)


def spread(content: bytes, index: int) -> float:
    return total(content, index) + Random(f"{content!r} {index}").gauss(0, 0.02)


@pytest.mark.parametrize("kind", ["none", "seed"])
def test_a_best_that_failed_once_stays(court: Court, folder: Folder, noisy: Files, kind: str) -> None:
    """A machine that was too busy for a moment is no reason to take anybody's work back."""
    score = spread if kind == "seed" else total
    name = court.opened(noisy if kind == "seed" else folder("sums"), sd=0.1)
    best = court.accept(name, b"[4, 4]\n", score)
    head = field(court, name, "head")
    better = court.propose(name, b"[9, 9]\n", "bob")
    court.look(better)
    court.measure(lambda content, index: None if content == b"[4, 4]\n" else score(content, index))
    court.look(better)
    assert "An audit looks at it first" in (court.store.experiments.field(better, "explanation") or "")
    court.audit(name, score)
    assert court.store.audits.get(name) is None
    assert (court.state(best), field(court, name, "head")) == (ExperimentState.ACCEPTED, head)
    court.store.experiments.wait_until(better, 0)
    court.settle_all(better, score=score)
    assert court.state(better) is ExperimentState.ACCEPTED


@pytest.mark.parametrize("kind", ["none", "seed"])
def test_a_best_that_goes_on_failing_goes_and_may_come_again(
    court: Court, folder: Folder, noisy: Files, kind: str
) -> None:
    score = spread if kind == "seed" else total
    name = court.opened(noisy if kind == "seed" else folder("sums"), sd=0.1)
    good = court.accept(name, b"[4, 4]\n", score)
    best = court.accept(name, b"[7, 7]\n", score)

    def failing(content: bytes, index: int) -> float | None:
        return None if content == b"[7, 7]\n" else score(content, index)

    better = court.propose(name, b"[5, 5]\n", "bob")
    court.look(better)
    court.measure(failing)
    court.look(better)
    court.audit(name, failing)
    assert (court.state(best), court.state(good)) == (ExperimentState.REVERTED, ExperimentState.ACCEPTED)
    told = trailers(court, name)
    assert told["Evidence"] == "unrepeatable"
    assert float(told["Baseline"].split()[0]) == pytest.approx(14, abs=0.2)
    assert "did not give the same score again" in (court.store.experiments.field(best, "explanation") or "")
    again = court.propose(name, b"[7, 7]\n", "bob")
    court.settle_all(again, score=score)
    assert court.state(again) is ExperimentState.ACCEPTED


def test_a_commit_that_takes_back_what_did_not_repeat_reads_as_it_was_written(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    best = court.accept(name, b"[7, 7]\n")

    def failing(content: bytes, index: int) -> float | None:
        return None if content == b"[7, 7]\n" else total(content, index)

    better = court.propose(name, b"[5, 5]\n", "bob")
    court.look(better)
    court.measure(failing)
    court.look(better)
    before = court.store.problems.fields(name)
    court.audit(name, failing)
    after = court.store.problems.records(name)[-1]
    assert not after.exact
    court.store.problems.update(name, head=before["head"], best=before["best"])
    court.store.connection.text.rpop(f"ar:records:{name}")
    court.desk.settle()
    assert structs.replace(court.store.problems.records(name)[-1], when=after.when) == after
    assert court.state(best) is ExperimentState.REVERTED


def test_with_noise_an_audit_has_evidence_and_a_score_from_other_pairs(court: Court, noisy: Files) -> None:
    noisy["problem.toml"] = noisy["problem.toml"].replace(b"max_pairs = 40", b"max_pairs = 200")
    name = court.opened(noisy, sd=0.1)
    good = court.accept(name, b"[4, 4]\n", spread)
    bad = court.accept(name, b"[6, 6]\n", spread)
    seen: list[tuple[bytes, int]] = []

    def faded(content: bytes, index: int) -> float:
        seen.append((content, index))
        # What is published is lower than what decided, so that it can be told which pairs a number is from.
        return spread(content, index) - (10 if content == b"[6, 6]\n" else 0.5 * (index >= PUBLICATION))

    court.store.problems.update(name, audit_asked=True)
    court.audit(name, faded)
    assert (court.state(bad), court.state(good)) == (ExperimentState.REVERTED, ExperimentState.ACCEPTED)
    told = trailers(court, name)
    assert float(told["Evidence"]) >= 1 / ALPHA
    fresh = sum(content == b"[4, 4]\n" and index >= PUBLICATION for content, index in seen)
    assert fresh >= 5
    assert float(told["Score"].split()[0]) == pytest.approx(7.5, abs=0.1)
    assert len(told["Seeds"].split()) == fresh
    assert float(field(court, name, "best")) == pytest.approx(7.5, abs=0.1)
    x = court.store.experiments.get(bad)
    assert x is not None
    assert x.reason is Reason.NOT_REPRODUCED


def test_nothing_is_accepted_upon_a_best_that_was_found_worse(court: Court, folder: Folder) -> None:
    """Else a problem with many accepts would begin its audit again and again, and never take anything back."""
    name = court.opened(folder("sums"))
    for n in range(4, 8):
        court.accept(name, f"[{n}, 4]\n".encode())
    fades = {b"[50, 0]\n": 50.0}

    def score(content: bytes, index: int) -> float:
        return fades.get(content, total(content, index))

    bad = court.accept(name, b"[50, 0]\n", score)
    fades[b"[50, 0]\n"] = 1.0
    court.store.problems.update(name, audit_asked=True)
    better = court.propose(name, b"[2, 1.5]\n", "bob")
    court.desk.look_around()
    court.measure(score)
    court.desk.look_at_experiment(f"audit-{name}")
    audit = court.store.audits.get(name)
    assert audit is not None
    assert audit.doubted
    for _ in range(5):
        court.desk.look_at_experiment(better)
    assert court.state(better) is ExperimentState.VERIFYING
    court.audit(name, score)
    assert court.state(bad) is ExperimentState.REVERTED
    assert field(court, name, "best") == "11.0"
    court.settle_all(better)
    assert court.state(better) is ExperimentState.REJECTED, "it was better only than what had faded"


def test_what_waits_for_an_audit_holds_no_other_problem_up(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    court.accept(name, b"[4, 4]\n")
    court.store.problems.update(name, audit_asked=True)
    court.desk.look_around()
    audit = court.store.audits.get(name)
    assert audit is not None
    held = [court.propose(name, f"[9, {n}]\n".encode(), f"eve-{n}") for n in range(30)]
    court.desk.look_around()
    started = [x for x in held if court.state(x) is ExperimentState.VERIFYING]
    assert 0 < len(started) < len(held), "every place is taken"
    court.store.audits.put(replace(audit, doubted=True))
    other = court.opened(folder("others"))
    free = court.propose(other, b"[4, 4]\n", "bob")
    court.desk.look_around()
    assert court.state(free) is ExperimentState.VERIFYING
    assert [x for x in held if court.state(x) is ExperimentState.VERIFYING] == started


def test_the_window_of_an_audit_stays_while_accepts_move_the_problems(court: Court, noisy: Files) -> None:
    noisy["problem.toml"] = noisy["problem.toml"].replace(b"max_pairs = 40", b"max_pairs = 200")
    name = court.opened(noisy, sd=0.1)
    court.accept(name, b"[4, 4]\n", spread)
    court.store.problems.update(name, audit_asked=True)
    court.desk.look_around()
    begun = court.store.audits.get(name)
    assert begun is not None
    assert begun.window_low is not None
    court.accept(name, b"[40, 40]\n", spread)
    now = court.store.audits.get(name)
    assert now is None or (now.window_low, now.window_high) == (begun.window_low, begun.window_high)
    assert field(court, name, "state") == ProblemState.OPEN
