"""Trials on their way into reports: each once, claims and the best one by one, the rest counted."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ar_core.lifecycle import Reason
from ar_core.metric import Direction
from ar_worker.tally import ONE_BY_ONE, Tally
from ar_worker.task import LeaseName, Report, Trial

LEASE = LeaseName(id="l-1", fencing=7)


def trial(number: int, reason: Reason | None = Reason.NO_IMPROVEMENT) -> Trial:
    scored = reason in {None, Reason.NO_IMPROVEMENT}
    return Trial(
        content_hash=f"{number:064x}", score=float(number) if scored else None, reason=reason, note="",
        parent_score=0.0, seconds=0.5, content=b"bytes" if reason is None else None,
    )  # fmt: skip


def report(tally: Tally, *, with_claim: bool = True, last: bool = False) -> Report:
    made = tally.report(Direction.MAXIMIZE, with_claim=with_claim, last=last)
    assert made is not None
    return made


def test_the_best_and_each_kind_of_failure_are_told_one_by_one() -> None:
    tally = Tally(LEASE)
    for number in range(200):
        tally.add(trial(number % 150))
    tally.add(trial(900, Reason.CRASH))
    tally.add(trial(901, Reason.TIMEOUT))
    tally.add(trial(902, Reason.CRASH))
    made = report(tally)
    assert 149.0 in {one.score for one in made.trials}
    assert {Reason.CRASH, Reason.TIMEOUT} <= {one.reason for one in made.trials}
    assert made.experiments == 203
    assert sum(count.seconds for count in made.counted.values()) == 0.5 * (203 - len(made.trials))


def test_where_less_is_better_the_best_is_the_least() -> None:
    tally = Tally(LEASE)
    for number in range(50, 100):
        tally.add(trial(number))
    tally.add(trial(3))
    for number in range(100, 150):
        tally.add(trial(number))
    made = tally.report(Direction.MINIMIZE, with_claim=True)
    assert made is not None
    assert 3.0 in {one.score for one in made.trials}


def test_nothing_to_say_is_no_report_but_for_the_last() -> None:
    tally = Tally(LEASE)
    assert tally.report(None, with_claim=True) is None
    last = report(tally, last=True)
    assert (last.experiments, last.last, last.key.sequence) == (0, True, 1)


def test_a_claim_that_has_to_wait_waits_and_the_last_report_takes_it() -> None:
    tally = Tally(LEASE)
    tally.add(trial(1, None))
    assert tally.report(Direction.MAXIMIZE, with_claim=False) is None
    assert tally.trials == 1
    assert [one.content for one in report(tally, last=True).trials] == [b"bytes"]


def test_a_better_claim_makes_the_one_before_an_ordinary_trial() -> None:
    tally = Tally(LEASE)
    tally.add(trial(1, None))
    tally.add(trial(2, None))
    made = report(tally)
    assert {(one.score, one.content) for one in made.trials} == {(1.0, None), (2.0, b"bytes")}
    assert all(one.reason is not None for one in made.trials if one.content is None)


moves = st.lists(
    st.sampled_from([None, Reason.NO_IMPROVEMENT, Reason.CRASH, Reason.TIMEOUT, "report", "hold", "drop"]),
    max_size=400,
)


@settings(deadline=None)
@given(moves=moves)
def test_every_trial_is_in_exactly_one_report_and_few_one_by_one(moves: list[Reason | str | None]) -> None:
    tally = Tally(LEASE)
    made, added = [], 0
    for move in [*moves, "last"]:
        if move in {"report", "hold", "last"}:
            one = tally.report(Direction.MAXIMIZE, with_claim=move != "hold", last=move == "last")
            made += [one] if one is not None else []
        elif move == "drop":
            tally.drop_claim()
        else:
            tally.add(trial(added, None if move is None else Reason(move)))
            added += 1
    assert sum(one.experiments for one in made) == added
    assert [one.key.sequence for one in made] == list(range(1, len(made) + 1))
    told = [one for report in made for one in report.trials]
    assert len(told) == len({one.content_hash for one in told}) <= ONE_BY_ONE
    assert all(sum(one.content is not None for one in report.trials) <= 1 for report in made)
    assert tally.trials == 0
