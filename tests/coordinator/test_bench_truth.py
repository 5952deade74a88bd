"""The bench of truth counts what the pool spends, and tells a broken promise.

Not here: its figures, which running it whole makes, and the rules (``tests/core``).
"""

import importlib
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ar_coordinator.measuring import fresh_pairs, more_pairs

BENCH = Path(__file__).parent.parent / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("bench_truth")


def family(bench: Any, name: str, *, candidate: float) -> Any:
    """Return a family in which the candidate always scores the same, beside an incumbent of 1."""
    found = next(each for each in (*bench.MAIN, *bench.OTHERS) if each.name == name)
    return replace(found, draw=lambda rng, _gain: (candidate, 1 + rng.uniform(0, 1e-6)), explicit=None)


@pytest.mark.parametrize(("name", "candidate", "accepted", "runs"), [
    # 13 pairs, of which two warm up, come in batches of 5, 2, 3 and 4; then 7 pairs, of which two warm up.
    ("times with spikes", 0.5, True, 2 * 14 + 2 * 7),
    ("times with spikes", 1.5, False, 2 * 10),
    # The good end is half of the window away: 16 pairs, in batches of 3, 2, 3, 4 and 6; then 5.
    ("normal", 2.0, True, 2 * 18 + 2 * 5),
    ("normal", 0.5, False, 2 * 8),
])  # fmt: skip
def test_all_runs_are_counted(bench: Any, name: str, candidate: float, runs: int, *, accepted: bool) -> None:
    verified = bench.pool_rule(family(bench, name, candidate=candidate), random.Random(1), 0.0)
    assert (verified.accepted, verified.committed, verified.evaluations) == (accepted, accepted, runs)


def test_batches_and_fresh_pairs_are_the_pools(bench: Any) -> None:
    for each in bench.MAIN:
        problem, sizes = each.problem, [0]
        while sizes[-1] < 60:
            sizes.append(sizes[-1] + more_pairs(problem, sizes[-1]))
        assert [bench.measured(problem, needed) for needed in range(61)] == [
            min(size for size in sizes if size >= needed) for needed in range(61)
        ]
    assert [fresh_pairs(each.problem, 40) for each in bench.MAIN] == [10, 10, 10, 12]


def test_windows_come_from_the_incumbents_own_runs(bench: Any) -> None:
    drawn: list[float] = []

    def draw(rng: random.Random, gain: float) -> tuple[float, float]:
        assert gain == 0, "before any candidate is seen"
        drawn.append(rng.gauss(10, 1))
        return 0.0, drawn[-1]

    for each in bench.MAIN[:3]:
        drawn.clear()
        window = replace(each, draw=draw).window(random.Random(2))
        assert len(drawn) == 5
        assert window.low + window.high == pytest.approx(2 * sum(drawn) / 5)
        assert window.low < min(drawn) < max(drawn) < window.high
    assert bench.MAIN[3].window(random.Random(3)) is None


def test_more_false_accepts_than_promised_fail_the_bench(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    monkeypatch.setattr(bench, "keep", lambda _name, figures: kept.update(figures))
    monkeypatch.setattr("sys.argv", ["bench_truth.py", "20"])
    monkeypatch.setattr(bench, "mixed", lambda _n: [{"rule": "none"}])
    cheap = bench.Family(name="cheap", draw=lambda rng, gain: (gain, rng.uniform(-1e-6, 1e-6)))
    better = bench.Family(name="better", draw=lambda rng, _gain: (1.0, rng.uniform(-1e-6, 1e-6)))
    warned = replace(better, name="warned", promised=False)
    for families, code, within in (
        ((cheap, warned), 0, [True, None]), ((cheap, better), 1, [True, False]),
    ):  # fmt: skip
        monkeypatch.setattr(bench, "MAIN", (replace(families[0], gains=(0.5,)),))
        monkeypatch.setattr(bench, "OTHERS", families[1:])
        assert bench.main() == code
        assert [row["within"] for row in kept["no_ops"]] == within
        assert kept["within"] is (code == 0)
