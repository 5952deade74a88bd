"""Row 35: learning the hidden files by asking. The same attacks, answered with every digit and by the ladder.

The hidden files are a few hundred yes-or-no questions with answers by a coin, so that nobody's share of right answers
is really above one half: whatever a file scores beyond that, it was fitted to them.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from ar_coordinator import judgement, release
from ar_coordinator.work_order import PairResult, SideResult
from ar_core.acceptance import Ladder, Verdict, step_of
from ar_core.metric import Direction, MinGain
from ar_core.problem import Acceptance, Evaluation, Files, Kind, Metric, Noise, Problem

Guess = Sequence[bool]
Ask = Callable[[Guess], float]

QUESTIONS, ASKED = 1000, 500
STEP = 0.05
"""About three standard deviations of a guess."""
TRUTH = 0.5
PROBLEM = Problem(
    name="yes-or-no", title="Yes or no",
    files=Files(program="program.md", mutable="answers.json", hidden=("hidden/",)),
    metric=Metric(name="right", direction=Direction.MAXIMIZE, low=0.0, high=1.0),
    evaluation=Evaluation(kind=Kind.DATA, score=("./score",), time_budget=1.0, score_timeout=1.0),
    acceptance=Acceptance(noise=Noise.NONE, min_gain=MinGain(value=STEP)),
)  # fmt: skip
BY_LADDER = Ladder(step=step_of(hidden=True, noise=Noise.NONE, min_gain=MinGain(value=STEP), baseline=TRUTH))
IN_FULL = Ladder()


@dataclass
class Pool:
    """The pool's own rules over hidden answers: it judges a guess beside the best, and tells what it may."""

    answers: Guess
    ladder: Ladder
    best: Guess
    told_of_best: float = 0.0
    told: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.told_of_best = self.ladder.score(self.right(self.best))

    def right(self, guess: Guess) -> float:
        """Return the share of right answers, which only the pool can."""
        return sum(a == b for a, b in zip(guess, self.answers, strict=True)) / len(self.answers)

    def ask(self, guess: Guess) -> float:
        """Propose a guess; what it scores as far as one is told, else what the best is published with."""
        mine, theirs = self._side(guess), self._side(self.best)
        pairs = [PairResult(index=n, candidate=mine, incumbent=theirs) for n in range(2)]
        judged = judgement.judge(PROBLEM, None, pairs)
        if judged.decision.verdict is Verdict.ACCEPT:
            told = release.of_accept(PROBLEM, self.ladder, judged)
            assert told.verified is not None
            self.best, self.told_of_best = guess, told.verified
        else:
            told = release.of_others(PROBLEM, self.ladder, judged)
        answer = self.told_of_best if told.verified is None else told.verified
        self.told.append(answer)
        return answer

    def _side(self, guess: Guess) -> SideResult:
        return SideResult(outcome="ok", score=self.right(guess), secondary={}, feedback="", seconds=0.1)


def boost(ask: Ask, rng: random.Random) -> Guess:
    """Guess at random, keep what scores better than a coin, and let the kept ones vote (Blum & Hardt, 4.1)."""
    asked = [[rng.random() < 0.5 for _ in range(QUESTIONS)] for _ in range(ASKED)]
    answers = [ask(guess) for guess in asked]
    kept = [guess for guess, answer in zip(asked, answers, strict=True) if answer > TRUTH]
    votes = [sum(column) for column in zip(*kept, strict=True)] if kept else [0] * QUESTIONS
    return [2 * vote > len(kept) for vote in votes]


def one_by_one(ask: Ask, rng: random.Random) -> Guess:
    """Turn one answer after another, and turn it back if the score fell."""
    guess = [rng.random() < 0.5 for _ in range(QUESTIONS)]
    before = ask(guess)
    for turned in range(ASKED):
        guess = [answer != (n == turned) for n, answer in enumerate(guess)]
        after = ask(guess)
        if after < before:
            guess = [answer != (n == turned) for n, answer in enumerate(guess)]
        else:
            before = after
    return guess


def attacked(attack: Callable[[Ask, random.Random], Guess], ladder: Ladder, seed: int) -> tuple[Pool, float]:
    """Return the pool after an attack, and what the outcome scores on the hidden questions."""
    rng = random.Random(seed)
    answers, first = ([rng.random() < 0.5 for _ in range(QUESTIONS)] for _ in range(2))
    pool = Pool(answers=answers, ladder=ladder, best=first)
    outcome = attack(pool.ask, rng)
    pool.ask(outcome)
    return pool, pool.right(outcome)


@pytest.mark.parametrize("attack", [boost, one_by_one])
@pytest.mark.parametrize("seed", range(3))
def test_row_35_many_questions_do_not_fit_a_file_to_the_hidden_ones(
    attack: Callable[[Ask, random.Random], Guess], seed: int
) -> None:
    pool, fitted = attacked(attack, IN_FULL, seed)
    assert fitted > TRUTH + 3 * STEP, "with every digit the attack works: without this, the test would show nothing"
    assert pool.told_of_best > TRUTH + 3 * STEP

    pool, fitted = attacked(attack, BY_LADDER, seed)
    assert fitted < TRUTH + 1.5 * STEP, "what the ladder tells is worth no more than luck"
    assert pool.told_of_best <= TRUTH + 2 * STEP
    assert {round(answer / STEP, 9) % 1 for answer in pool.told} == {0.0}
    assert len(set(pool.told)) <= 3, "and there are few different answers to learn from"
