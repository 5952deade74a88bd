"""Ways to a commit that is no gain, or to a pool that stands still, and what audits do about them; in one process."""

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import pytest
from tests.attacks.court import Court, Files, total

from ar_coordinator.histories import Histories
from ar_coordinator.judgement import ALPHA
from ar_coordinator.openings import Opening, Openings
from ar_coordinator.store.experiments import Experiments
from ar_core.acceptance import strict_level
from ar_core.lifecycle import ExperimentState, ProblemState, Reason

Folder = Callable[..., Files]


def with_rule(files: Files, line: str) -> Files:
    """Add a line to the manifest's table ``acceptance``."""
    manifest = files["problem.toml"].replace(b"[acceptance]\n", f"[acceptance]\n{line}\n".encode())
    assert manifest != files["problem.toml"]
    return {**files, "problem.toml": manifest}


def field(court: Court, name: str, key: str) -> str:
    return court.store.problems.field(name, key) or ""


def test_what_was_taken_back_is_nobodys_parent(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    court.accept(name, b"[4, 4]\n")
    fades = {b"[9, 0]\n": 50.0, b"[9, 0, 1]\n": 60.0}

    def score(content: bytes, index: int) -> float:
        return fades.get(content, total(content, index))

    bad = [court.accept(name, content, score) for content in fades]
    fades.update(dict.fromkeys(fades, 1.0))
    court.store.problems.update(name, audit_asked=True)
    court.audit(name, score)
    assert {court.state(x) for x in bad} == {ExperimentState.REVERTED}
    opening = Openings(court.store, Random(1))._read_one(name, datetime.now(UTC))
    assert isinstance(opening, Opening)
    given = {court.store.blobs.get(version.blob): version.score for version in opening.frontier.versions}
    assert given == {b"[4, 4]\n": 8.0, b"[1, 2]\n": 3.0}


def test_an_audit_that_cannot_be_measured_waits(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    court.accept(name, b"[4, 4]\n")
    court.store.problems.update(name, audit_asked=True)
    orders = 0
    for _ in range(10):
        court.desk.look_around()
        orders += len(court.waiting_batches())
        court.measure(trouble="the disk is full")
        court.desk.look_at_experiment(f"audit-{name}")
    assert orders == 1


def test_an_audit_that_is_due_outlives_a_kill(court: Court, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    name = court.opened(folder("sums"))
    court.accept(name, b"[4, 4]\n")
    court.store.problems.update(name, audit_asked=True)
    with monkeypatch.context() as patch:
        patch.setattr(type(court.store.audits), "put", kill)
        with pytest.raises(Killed):
            court.desk.look_around()
    court.audit(name)
    assert field(court, name, "audit_passed") == field(court, name, "head")


@pytest.mark.parametrize("other", [None, 7.0], ids=["fails", "scores less"])
def test_a_file_that_holds_only_now_and_then_is_taken_back_and_stops_nobody(
    court: Court, folder: Folder, other: float | None
) -> None:
    name = court.opened(folder("sums"))
    good = court.accept(name, b"[4, 4]\n")
    lucky = True

    def score(content: bytes, index: int) -> float | None:
        if content != b"[9, 9]\n" or lucky:
            return total(content, index)
        return other if index % 2 else 18.0

    flaky = court.accept(name, b"[9, 9]\n", score)
    lucky = False
    better = court.propose(name, b"[5, 5]\n", "bob")
    court.look(better)
    court.measure(score)
    court.look(better)
    court.audit(name, score)
    assert field(court, name, "state") == ProblemState.OPEN
    assert (court.state(flaky), court.state(good)) == (ExperimentState.REVERTED, ExperimentState.ACCEPTED)
    assert (field(court, name, "best"), field(court, name, "accepted")) == ("8.0", "1")
    court.store.experiments.wait_until(better, 0)
    court.settle_all(better, score=score)
    assert court.state(better) is ExperimentState.ACCEPTED


def test_a_published_file_that_does_not_repeat_pauses_its_problem(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    x = court.propose(name, b"[5, 5]\n")
    court.look(x)
    court.measure(lambda content, index: total(content, index) + (index if content == b"[1, 2]\n" else 0))
    court.look(x)
    assert field(court, name, "state") == ProblemState.PAUSED
    assert court.state(x) is ExperimentState.QUEUED


def test_a_release_is_for_the_bytes_that_were_looked_at(court: Court, folder: Folder) -> None:
    name = court.opened(with_rule(folder("sums"), 'max_plausible_gain = "100%"'))
    x = court.propose(name, b"[9, 2]\n", parent=field(court, name, "head"))
    court.settle_all(x)
    assert court.state(x) is ExperimentState.HELD
    for content in (b"[1, 4]\n", b"[2, 7]\n", b"[3, 12]\n"):
        court.accept(name, content)
    assert court.store.experiments.move(x, ExperimentState.HELD, ExperimentState.QUEUED, released=True, reason=None)
    court.settle_all(x, score=lambda content, index: 99.0 if content == b"[11, 12]\n" else total(content, index))
    assert court.store.experiments.field(x, "rebased_from")
    assert court.state(x) is ExperimentState.HELD


def test_a_problem_that_is_withdrawn_accepts_nothing_any_more(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    x = court.propose(name, b"[4, 4]\n")
    court.look(x)
    assert court.state(x) is ExperimentState.VERIFYING
    court.store.problems.set_state(name, ProblemState.OPEN, ProblemState.WITHDRAWN)
    court.settle_all(x)
    assert court.state(x) is ExperimentState.WITHDRAWN
    assert field(court, name, "accepted") in {"", "0"}


def test_accepts_from_before_earn_a_strict_log_nothing(court: Court, noisy: Files) -> None:
    name = court.opened(noisy, sd=0.1)
    for content in (b"[9, 9]\n", b"[20, 20]\n"):
        court.accept(name, content)
    assert court.opened(with_rule(noisy, "strict = true"), sd=0.1) == name
    levels = []
    for content in (b"[40, 40]\n", b"[1, 1]\n", b"[2, 1]\n"):
        x = court.propose(name, content)
        court.settle_all(x)
        levels.append(float(court.store.experiments.field(x, "alpha") or 0))
    assert levels == [strict_level(ALPHA, 1, 0), strict_level(ALPHA, 2, 1), strict_level(ALPHA, 3, 1)]


def test_trouble_in_the_middle_buys_no_second_chance(court: Court, noisy: Files) -> None:
    name = court.opened(noisy, sd=1.0)
    x = court.propose(name, b"[1, 2.5]\n")
    levels = []
    for trouble in ("", "a process would not die", "", "a process would not die"):
        court.store.experiments.wait_until(x, 0)
        court.look(x)
        levels.append(float(court.store.experiments.field(x, "alpha") or 0))
        court.measure(lambda content, index: total(content, index) + index % 3, trouble=trouble)
        court.look(x)
    assert levels[0] == ALPHA
    assert float(court.store.experiments.field(x, "alpha") or 0) < ALPHA


def test_a_pause_in_the_middle_buys_no_second_chance(court: Court, noisy: Files) -> None:
    name = court.opened(noisy, sd=1.0)
    x = court.propose(name, b"[1, 2.5]\n")
    levels = []
    for _ in range(4):
        court.look(x)
        levels.append(float(court.store.experiments.field(x, "alpha") or 0))
        court.measure(lambda content, index: total(content, index) + index % 3)
        court.store.problems.set_state(name, ProblemState.OPEN, ProblemState.PAUSED)
        court.look(x)
        assert court.state(x) is ExperimentState.QUEUED
        court.store.problems.set_state(name, ProblemState.PAUSED, ProblemState.OPEN)
    assert levels == [ALPHA, ALPHA / 2, ALPHA / 6, ALPHA / 12]


def test_a_pause_before_anything_was_seen_costs_nothing(court: Court, noisy: Files) -> None:
    name = court.opened(noisy, sd=1.0)
    x = court.propose(name, b"[1, 2.5]\n")
    court.look(x)
    court.store.problems.set_state(name, ProblemState.OPEN, ProblemState.PAUSED)
    court.look(x)
    court.store.problems.set_state(name, ProblemState.PAUSED, ProblemState.OPEN)
    court.look(x)
    assert court.store.experiments.attempt(x) == 2
    assert float(court.store.experiments.field(x, "alpha") or 0) == ALPHA


@pytest.mark.parametrize("second", ["the same", "a loss"])
def test_a_failure_behind_a_commit_loses_no_version(
    court: Court, folder: Folder, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    """Git has the new version, and what went wrong then is no reason to measure it again or to stand still."""

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    name = court.opened(folder("sums"))
    x = court.propose(name, b"[4, 4]\n")
    with monkeypatch.context() as patch:
        patch.setattr(Histories, "apply_accept", fail)
        court.look(x)
        patch.setattr(Histories, "reconcile", fail)
        court.settle_all(x)
    assert court.state(x) is ExperimentState.QUEUED
    head = court.desk._histories.repository(name).head()
    assert head != field(court, name, "head")
    court.store.experiments.wait_until(x, 0)
    court.settle_all(x, score=lambda content, index: total(content, index) if second == "the same" else 1.0)
    assert court.state(x) is ExperimentState.ACCEPTED
    assert (field(court, name, "head"), field(court, name, "best")) == (head, "8.0")
    court.accept(name, b"[5, 5]\n")


def test_what_git_says_was_accepted_is_accepted(
    court: Court, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = court.opened(folder("sums"))
    x = court.propose(name, b"[4, 4]\n")
    with monkeypatch.context() as patch:
        patch.setattr(Experiments, "accept", lambda *_, **__: "stale")
        court.settle_all(x)
    assert court.store.experiments.move(x, ExperimentState.VERIFYING, ExperimentState.QUEUED)
    assert court.store.experiments.move(x, ExperimentState.QUEUED, ExperimentState.WITHDRAWN)
    court.desk.settle()
    assert court.state(x) is ExperimentState.ACCEPTED
    assert (field(court, name, "best"), field(court, name, "accepted")) == ("8.0", "1")


def test_a_rebased_file_that_is_only_shorter_earns_nothing(court: Court, folder: Folder) -> None:
    name = court.opened(with_rule(folder("sums"), "simpler = true"))
    court.accept(name, b"[10, 2]\n")
    parent = field(court, name, "head")
    court.accept(name, b"[10, 90]\n")
    a_little = {b"[9, 2]\n": 12.25, b"[9, 90]\n": 100.25}
    stale = court.propose(name, b"[9, 2]\n", "mallory", parent)
    court.settle_all(stale, score=lambda content, index: a_little.get(content, total(content, index)))
    found = court.store.experiments.get(stale)
    assert found is not None
    assert (found.state, found.reason) == (ExperimentState.ACCEPTED, Reason.SIMPLER)
    assert court.store.experiments.field(stale, "rebased_from")
    standings = {row.contributor: (row.accepted, row.gain) for row in court.store.problems.leaderboard(name)}
    assert standings == {"eve": (2, 97.0), "mallory": (1, 0.0)}


def test_a_loss_on_an_old_version_is_not_tried_on_todays_best(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    head = field(court, name, "head")
    court.accept(name, b"[4, 9]\n")
    stale = court.propose(name, b"[0.5, 2]\n", parent=head)
    court.settle_all(stale)
    assert court.state(stale) is ExperimentState.REJECTED
    assert court.store.experiments.field(stale, "rebased_from") is None


def test_stale_changes_that_lead_to_one_file_have_it_measured_once(court: Court, folder: Folder) -> None:
    """Each of them would be another chance for a file that is no better."""
    name = court.opened(folder("sums"))
    first = field(court, name, "head")
    court.accept(name, b"[1, 4]\n")
    second = field(court, name, "head")
    court.accept(name, b"[1, 9]\n")
    stale = [court.propose(name, content, who, parent) for content, who, parent in (
        (b"[3, 2]\n", "eve", first), (b"[3, 4]\n", "mallory", second),
    )]  # fmt: skip
    lame = {b"[3, 9]\n": 5.0}
    measured: list[bytes] = []

    def score(content: bytes, index: int) -> float:
        measured.append(content)
        return lame.get(content, total(content, index))

    court.settle_all(*stale, score=score)
    assert {court.state(x) for x in stale} == {ExperimentState.REJECTED}
    assert measured.count(b"[3, 9]\n") == 2, "a pair of runs, for one of the two"


def test_a_kill_while_a_file_is_rebased_asks_the_same_question_only_once(
    court: Court, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    name = court.opened(folder("sums"))
    head = field(court, name, "head")
    court.accept(name, b"[4, 9]\n")
    stale = court.propose(name, b"[3, 2]\n", parent=head)
    court.look(stale)
    court.measure()
    runs = int(field(court, name, "runs"))
    with monkeypatch.context() as patch:
        patch.setattr(type(court.store.batches), "forget", kill)
        with pytest.raises(Killed):
            court.look(stale)
    court.desk.settle()
    court.settle_all(stale)
    assert (court.state(stale), field(court, name, "best")) == (ExperimentState.ACCEPTED, "15.0")
    assert (field(court, name, "runs"), field(court, name, "runs_rebased")) == (str(runs + 8), "4")


def test_an_audit_asks_no_more_of_a_shorter_file_than_its_accept_did(court: Court, noisy: Files) -> None:
    noisy["problem.toml"] = noisy["problem.toml"].replace(b"max_pairs = 40", b"max_pairs = 200")
    name = court.opened(with_rule(noisy, "simpler = true\nwindow = [2.0, 4.0]"), sd=0.1)
    short = {b"[3]\n": 2.75}

    def score(content: bytes, index: int) -> float:
        return short.get(content, total(content, index)) + Random(f"{content!r} {index}").gauss(0, 0.02)

    x = court.accept(name, b"[3]\n", score)
    found = court.store.experiments.get(x)
    assert found is not None
    assert found.reason is Reason.SIMPLER
    court.store.problems.update(name, audit_asked=True)
    court.audit(name, score)
    assert court.state(x) is ExperimentState.ACCEPTED
    assert field(court, name, "audit_passed") == field(court, name, "head")


def test_only_what_a_rebased_file_took_counts_against_rebasing(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    head = field(court, name, "head")
    court.accept(name, b"[4, 9]\n")
    stale = court.propose(name, b"[3, 2]\n", parent=head)
    court.settle_all(stale)
    assert (court.state(stale), field(court, name, "best")) == (ExperimentState.ACCEPTED, "15.0")
    assert (field(court, name, "runs"), field(court, name, "runs_rebased")) == ("12", "4")


def test_a_commit_that_redis_never_heard_of_tells_its_spread_too(
    court: Court, noisy: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    def score(content: bytes, index: int) -> float:
        return total(content, index) + Random(f"{content!r} {index}").gauss(0, 0.02)

    name = court.opened(noisy, sd=1.0)
    x = court.propose(name, b"[9, 9]\n")
    with monkeypatch.context() as patch:
        patch.setattr(Experiments, "accept", kill)
        with pytest.raises(Killed):
            court.settle_all(x, score=score)
    court.desk.settle()
    assert court.state(x) is ExperimentState.ACCEPTED
    assert 0.001 < float(field(court, name, "best_sd")) < 0.1
