"""What the way to a commit looks at besides the bet: whole scores, warm caches, the pairs that count; in one process.

Not here: the rules themselves (``tests/core``) and what is told of hidden files.
"""

from collections.abc import Callable

import pytest
from tests.attacks.court import Court, Files, Score, total

from ar_coordinator.evidence import Evidence
from ar_coordinator.work_order import PairResult, PairsOrder, PairsResult, SideResult, decode_order, encode
from ar_core.lifecycle import ExperimentState, Reason
from ar_core.records import Experiment

Folder = Callable[..., Files]
FRESH = 1_000_000
BETTER = b"[3.3]\n"


def settled(court: Court, name: str, score: Score, content: bytes = BETTER) -> Experiment:
    x = court.propose(name, content)
    court.settle_all(x, score=score)
    found = court.store.experiments.get(x)
    assert found is not None
    return found


def with_rules(files: Files, rules: str) -> Files:
    """Give a problem other rules of acceptance, and a metric without ends."""
    head, _, _ = files["problem.toml"].decode().partition("[acceptance]\n")
    manifest = head.replace("range = [0.0, 1000.0]\n", "") + f"[acceptance]\n{rules}\n"
    return {**files, "problem.toml": manifest.encode()}


@pytest.mark.parametrize("at", [4, FRESH + 2], ids=["in the comparison", "on the fresh pairs"])
@pytest.mark.parametrize("lucky", [3.3, 1e300], ids=["", "with a lucky hit"])
def test_rare_losses_beyond_the_window_are_no_gain(court: Court, folder: Folder, at: int, lucky: float) -> None:
    name = court.opened(with_rules(folder("rare"), 'noise = "seed"'), sd=0.1)

    def score(content: bytes, index: int) -> float:
        if content != BETTER:
            return 3.0
        return -97.0 if index == at else lucky if index in {1, FRESH + 1} else 3.3

    found = settled(court, name, score)
    assert (found.state, found.reason) == (ExperimentState.REJECTED, Reason.NOT_REPRODUCED)
    if lucky > 4 or at < FRESH:
        assert found.explanation == "Better within the window, but not on average: rare runs are far worse."


@pytest.mark.parametrize("incumbents", [0.0, -97.0], ids=["a small loss", "a loss that both have"])
def test_a_gain_with_a_loss_that_does_not_outweigh_it_stays_a_gain(
    court: Court, folder: Folder, incumbents: float
) -> None:
    name = court.opened(with_rules(folder("shared"), 'noise = "seed"'), sd=0.1)

    def score(content: bytes, index: int) -> float:
        if content == BETTER:
            return (0.0 if incumbents == 0 else -97.0) if index == 4 else 3.3
        return incumbents if index == 7 and incumbents else 3.0

    assert settled(court, name, score).state is ExperimentState.ACCEPTED


def test_a_shorter_file_may_lose_no_more_on_average_than_within_the_window(court: Court, folder: Folder) -> None:
    rules = 'noise = "seed"\nsimpler = true\nmin_gain = 0.5\nwindow = [2.0, 4.0]'
    name = court.opened(with_rules(folder("shorter"), rules), sd=0.1)
    short = b"[3]\n"
    found = settled(court, name, lambda content, index: -97.0 if content == short and index == 4 else 3.0, short)
    assert (found.state, found.reason) == (ExperimentState.REJECTED, Reason.NOT_REPRODUCED)
    assert found.explanation == "As good within the window, but not on average: rare runs are far worse."
    assert settled(court, name, lambda _content, _index: 3.0, b"[ 3]").reason is Reason.SIMPLER


def test_cold_runs_of_a_fresh_batch_are_not_published(court: Court, folder: Folder) -> None:
    name = court.opened(with_rules(folder("cold"), 'noise = "timing"'), sd=0.1)

    def score(content: bytes, index: int) -> float:
        # The score is a rate. Two cold runs and an outlier are the most of five.
        return 0.1 if content == BETTER and index in {FRESH, FRESH + 1, FRESH + 4} else total(content, index)

    found = settled(court, name, score)
    assert found.published is not None
    assert (found.published.score, found.published.pairs) == (3.3, 5)
    stated = Evidence.from_trailers(dict(court.desk._histories.repository(name).log()[0].trailers))
    assert stated.score.n == len(stated.seeds) == 5


def post(court: Court, secondary: Callable[[bytes, int], float]) -> None:
    """Measure what waits, with a second metric."""
    for batch in court.waiting_batches():
        claim = court.store.batches.claim(batch, "by-hand")
        assert claim is not None
        order = decode_order(claim.spec)
        assert isinstance(order, PairsOrder)

        def side(blob: str, index: int) -> SideResult:
            content = court.store.blobs.get(blob)
            more = {"memory": secondary(content, index)}
            return SideResult(outcome="ok", score=total(content, index), secondary=more, feedback="", seconds=0.1)

        pairs = [
            PairResult(index=i, candidate=side(order.candidate, i), incumbent=side(order.incumbent, i))
            for i in (pair.index for pair in order.pairs)
        ]
        assert court.store.batches.finish(claim, encode(PairsResult(verifier="by-hand", pairs=pairs, seconds=0.1)))


@pytest.mark.parametrize(("guzzles_at", "state"), [
    ({0, 1, 13}, ExperimentState.ACCEPTED), ({2}, ExperimentState.REJECTED),
], ids=["in pairs that do not count", "in one that counts"])  # fmt: skip
def test_a_guard_looks_at_the_pairs_that_decided(
    court: Court, folder: Folder, guzzles_at: set[int], state: ExperimentState
) -> None:
    guard = 'guards = [{ metric = "memory", max_regression = "50%" }]'
    name = court.opened(with_rules(folder("guarded"), f'noise = "timing"\n{guard}'), sd=0.1)
    x = court.propose(name, BETTER)
    for _ in range(8):
        court.look(x)
        post(court, lambda content, index: 100.0 if content == BETTER and index in guzzles_at else 1.0)
    court.look(x)
    assert court.state(x) is state
