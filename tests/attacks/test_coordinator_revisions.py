"""A revision that changes no score goes on where the one before was; one whose files the pool's best does not fit."""

from collections.abc import Callable

from tests.attacks.court import Court, Files, total

from ar_coordinator.evidence import CONTINUES
from ar_core.candidate import content_hash
from ar_core.lifecycle import ExperimentState, ProblemState
from ar_core.records import LeaderboardRow, ProblemCard

Folder = Callable[..., Files]


def card(court: Court, name: str) -> ProblemCard:
    found = court.store.problems.card(name)
    assert found is not None
    return found


def row(court: Court, name: str) -> LeaderboardRow:
    (found,) = court.store.problems.leaderboard(name)
    return found


def test_an_unchanged_folder_changes_nothing(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    court.accept(name, b"[4, 4]\n")
    before = court.store.problems.fields(name)
    repository = court.desk._histories.repository(name)
    head = repository.head()
    # Its start is not the best any more, and does not come back; nor does another one come in.
    for numbers in (b"[1, 2]\n", b"[50, 50]\n"):
        court.publish({**folder("sums"), "numbers.json": numbers})
        court.desk.look_at_problem(name)
        court.desk.look_around()
        assert court.store.problems.fields(name) == before
    assert (repository.head(), court.waiting_batches()) == (head, [])


def test_other_words_beside_the_same_scores(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    court.accept(name, b"[4, 4]\n")
    lost = court.propose(name, b"[0, 1]\n")
    court.settle_all(lost)
    assert court.state(lost) is ExperimentState.REJECTED
    before, records, credit = card(court, name), court.store.problems.records(name), row(court, name)

    court.publish({**folder("sums", title="Better told"), "program.md": b"# Told better\n"})
    assert court.waiting_batches() == [], "it is not measured"
    court.desk.look_at_problem(name)
    after = card(court, name)
    assert (after.revision, after.title, after.state) == (2, "Better told", ProblemState.OPEN)
    assert (
        (after.baseline, after.best, after.accepted) == (before.baseline, before.best, before.accepted) == (3, 8, 1)
    )
    assert court.store.problems.records(name) == records
    assert row(court, name) == credit
    assert credit.gain == 5
    assert "its scores go on" in after.findings[0].message

    # Whoever clones gets the new words beside the best version, under a commit that says what it is.
    repository = court.desk._histories.repository(name)
    tree = repository.read_tree(after.head)
    assert (tree["program.md"], tree["numbers.json"]) == (b"# Told better\n", b"[4, 4]\n")
    log = repository.log()
    assert (log[0].commit, log[0].trailers[CONTINUES], log[0].trailers["Revision"]) == (after.head, "1", "2")
    assert (log[0].trailers["Score"], log[0].trailers["Locked-Digest"]) == ("8.0 [n=2]", after.locked_digest)
    assert after.locked_digest != before.locked_digest

    # What was tried counts as tried, and credit is summed over both.
    assert court.store.experiments.known(name, 2, content_hash(b"[0, 1]\n")) == lost
    court.accept(name, b"[6, 6]\n")
    assert (row(court, name).gain, row(court, name).share) == (9, 1)
    tree = repository.read_tree(card(court, name).head)
    assert (tree["program.md"], tree["numbers.json"]) == (b"# Told better\n", b"[6, 6]\n")

    # A scorer that changed is another matter.
    court.publish({**folder("sums", title="Better told"), "score.py": folder("sums")["score.py"] + b"# Other.\n"})
    court.measure()
    court.desk.look_at_problem(name)
    assert (card(court, name).revision, card(court, name).baseline, card(court, name).best) == (3, 12, 12)
    assert row(court, name).gain == 0


def test_what_is_being_compared_ends_before_other_words_come(court: Court, folder: Folder) -> None:
    """Else a publisher could have a comparison begun anew whenever it looks bad."""
    name = court.opened(folder("sums"))
    x = court.propose(name, b"[4, 4]\n")
    court.look()
    court.publish(folder("sums", title="Sums"))
    later = court.propose(name, b"[6, 6]\n")
    court.desk.look_at_problem(name)
    assert (card(court, name).revision, court.state(x), court.state(later)) == (
        1, ExperimentState.VERIFYING, ExperimentState.QUEUED,
    )  # fmt: skip
    court.measure()
    court.look(x)
    assert court.state(x) is ExperimentState.ACCEPTED
    court.desk.look_at_problem(name)
    assert (card(court, name).revision, card(court, name).title, card(court, name).best) == (2, "Sums", 8)
    court.settle_all(later)
    assert card(court, name).best == 12


def test_a_referee_that_was_killed_after_the_commit_makes_no_other(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    court.accept(name, b"[4, 4]\n")
    key, connection = f"ar:problem:{name}", court.store.connection.raw
    court.publish(folder("sums", title="Sums"))
    kept = {each: connection.dump(each) for each in (key, f"{key}:next")}
    court.desk.look_at_problem(name)
    head = card(court, name).head
    for each, value in kept.items():
        connection.restore(each, 0, value, replace=True)
    court.desk.settle()
    assert (card(court, name).revision, card(court, name).head) == (2, head)
    assert court.desk._histories.repository(name).head() == head


def test_an_audit_looks_behind_other_words(court: Court, folder: Folder) -> None:
    """A best version that goes on failing is taken back, also where other words stand beside it since."""
    name = court.opened(folder("sums"))
    good = court.accept(name, b"[4, 4]\n")
    bad = court.accept(name, b"[7, 7]\n")
    court.publish({**folder("sums"), "program.md": b"# Other words\n"})
    court.desk.look_at_problem(name)
    assert card(court, name).revision == 2

    def failing(content: bytes, index: int) -> float | None:
        return None if content == b"[7, 7]\n" else total(content, index)

    better = court.propose(name, b"[9, 9]\n")
    court.look(better)
    court.measure(failing)
    court.look(better)
    assert card(court, name).state is ProblemState.OPEN, "an accepted version that fails is no reason to pause"
    court.audit(name, failing)
    assert (court.state(good), court.state(bad)) == (ExperimentState.ACCEPTED, ExperimentState.REVERTED)
    assert (card(court, name).best_experiment, card(court, name).revision) == (good, 2)
    tree = court.desk._histories.repository(name).read_tree(card(court, name).head)
    assert (tree["program.md"], tree["numbers.json"]) == (b"# Other words\n", b"[4, 4]\n")


def test_a_best_version_that_a_revision_cannot_score_is_named(court: Court, folder: Folder) -> None:
    name = court.opened(folder("sums"))
    court.accept(name, b"[4, 4]\n")
    files = {**folder("sums"), "score.py": b"raise SystemExit(1)\n"}
    court.publish(files)
    court.measure(refuse="run 1 of the baseline ended with crash")
    court.desk.look_at_problem(name)
    (finding,) = card(court, name).findings
    assert (
        finding.message == "with the pool's best file so far as numbers.json: run 1 of the baseline ended with crash"
    )
    assert f"ar-pool best {name} -o numbers.json" in finding.fix
    assert (card(court, name).revision, card(court, name).best) == (1, 8)
    # Where the folder's own file is the best one, it is that which failed.
    court.publish({**files, "numbers.json": b"[4, 4]\n"})
    court.measure(refuse="run 1 of the baseline ended with crash")
    court.desk.look_at_problem(name)
    assert card(court, name).findings[0].message == "run 1 of the baseline ended with crash"
