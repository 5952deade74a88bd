"""A shorter file that is as good: accepted when shown to be so, never when it is worse by more than allowed."""

import math
import random

import pytest

from ar_core.acceptance import (
    Decision,
    Pair,
    Verdict,
    Window,
    as_good_within_noise,
    decide_betting,
    decide_exact,
    exactly_as_good,
)
from ar_core.lifecycle import Reason
from ar_core.metric import Direction, MinGain

ALPHA = 0.005
UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE
WINDOW = Window(low=0.0, high=1.0)
MARGIN = MinGain(value=0.2)
MOST = 400


def decide(pairs: list[Pair], most: int = MOST) -> Decision:
    plain = decide_betting(pairs, WINDOW, UP, MARGIN, ALPHA, most)
    return as_good_within_noise(plain, pairs, WINDOW, UP, MARGIN, ALPHA, most)


def drawn(rng: random.Random, gain: float, n: int = MOST) -> list[Pair]:
    def score(mean: float) -> float:
        return min(1.0, max(0.0, rng.gauss(mean, 0.1)))

    return [Pair(index=i, candidate=score(0.5 + gain), incumbent=score(0.5)) for i in range(n)]


@pytest.mark.parametrize(("candidate", "verdict"), [(2.0, "accept"), (2.05, "accept"), (1.99, "reject")])
def test_without_noise_it_must_not_lose_anything(candidate: float, verdict: str) -> None:
    plain = decide_exact((candidate, candidate), (2.0, 2.0), UP, MinGain(value=0.1))
    assert plain.verdict is Verdict.REJECT
    decision = exactly_as_good(plain)
    assert decision.verdict == verdict
    assert decision.reason is (Reason.SIMPLER if verdict == "accept" else Reason.NO_IMPROVEMENT)


def test_a_gain_stays_a_gain_and_an_invalid_score_stays_invalid() -> None:
    better = decide_exact((3.0, 3.0), (2.0, 2.0), UP, MinGain())
    assert exactly_as_good(better) == better
    unsteady = decide_exact((3.0, 2.0), (2.0, 2.0), UP, MinGain())
    assert exactly_as_good(unsteady) == unsteady
    assert exactly_as_good(decide_exact((1.0, 1.0), (2.0, 3.0), UP, MinGain())).verdict is Verdict.PAUSE


def test_as_good_is_found_and_what_is_futile_as_a_gain_goes_on() -> None:
    decision = decide(drawn(random.Random(1), 0.0))
    assert (decision.verdict, decision.reason) == (Verdict.ACCEPT, Reason.SIMPLER)
    assert decision.evidence >= 200
    part = drawn(random.Random(1), 0.0)[: decision.n - 1]
    assert decide_betting(part, WINDOW, UP, MARGIN, ALPHA, MOST).verdict is Verdict.REJECT
    assert decide(part).verdict is Verdict.CONTINUE


def test_a_gain_is_accepted_as_a_gain() -> None:
    decision = decide(drawn(random.Random(2), 0.45))
    assert (decision.verdict, decision.reason) == (Verdict.ACCEPT, None)


def test_what_is_much_worse_ends_early() -> None:
    decision = decide(drawn(random.Random(3), -0.4))
    assert (decision.verdict, decision.reason) == (Verdict.REJECT, Reason.NO_IMPROVEMENT)
    assert decision.n < 40


def test_neither_the_order_nor_the_batches_matter() -> None:
    rng = random.Random(4)
    for gain in (-0.2, -0.1, 0.0, 0.1, 0.2, 0.3):
        pairs = drawn(rng, gain, 120)
        settled = [d for n in range(121) if (d := decide(pairs[:n], 120)).verdict is not Verdict.CONTINUE]
        verdicts = {(d.verdict, d.reason, d.n if d.verdict is Verdict.ACCEPT else 0) for d in settled}
        assert len(verdicts) == 1
        rng.shuffle(pairs)
        assert decide(pairs, 120) == settled[-1]


@pytest.mark.parametrize("direction", [UP, DOWN])
@pytest.mark.parametrize("margin", [MARGIN, MinGain(value=0.2 / 0.3, relative=True)])
def test_what_is_worse_by_just_the_margin_is_accepted_no_more_often_than_promised(
    direction: Direction, margin: MinGain
) -> None:
    rng = random.Random(f"{direction} {margin}")
    alpha, runs, accepts = 0.1, 300, 0
    for _ in range(runs):
        pairs = [
            Pair(index=i, candidate=rng.choice((-0.2, 0.4) if direction is UP else (0.2, 0.8)), incumbent=0.3)
            for i in range(200)
        ]
        window = Window(low=-0.5, high=1.0)
        plain = decide_betting(pairs, window, direction, margin, alpha, 200)
        decision = as_good_within_noise(plain, pairs, window, direction, margin, alpha, 200)
        accepts += decision.verdict is Verdict.ACCEPT
    assert accepts <= runs * alpha + 3 * math.sqrt(runs * alpha * (1 - alpha))
