"""The session as a pure machine: hand-written histories, and invariants over arbitrary ones."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ar_core.candidate import sha256
from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState, Reason
from ar_core.metric import Direction
from ar_core.records import Experiment
from ar_worker import actions as do
from ar_worker import events as on
from ar_worker.rules import Phase, Rules
from ar_worker.session import CLAIM_FIRST_SECONDS, CLAIM_PATIENCE_SECONDS, CLAIM_SOON_SECONDS, Session
from ar_worker.task import LeaseName, Report, ReportKey, Task, Trial

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
GONE = on.Disconnected(error=PoolError("AR-A102"))
WELCOME = on.Welcomed(progress_interval=20, report_interval=5, slots=8)


def lease(number: int) -> LeaseName:
    return LeaseName(id=f"l-{number}", fencing=number)


def task(number: int, **changes: Any) -> Task:
    values: dict[str, Any] = {
        "lease": lease(number), "problem": "packing", "revision": 1, "bundle": "b" * 64, "parent_blob": "p" * 64,
        "parent": "c" * 40, "parent_score": 1.0, "box": 300.0,
    }  # fmt: skip
    return Task(**(values | changes))


def trial(number: int, *, claim: bool = False) -> Trial:
    return Trial(
        content_hash=f"{number:064x}", score=float(number), reason=None if claim else Reason.NO_IMPROVEMENT,
        note="", parent_score=0.0, seconds=0.1, content=f"{number}".encode() if claim else None,
    )  # fmt: skip


def of(kind: type, actions: list[do.Action]) -> list[Any]:
    return [action for action in actions if isinstance(action, kind)]


def events(actions: list[do.Action]) -> list[str]:
    return [action.event for action in of(do.Announce, actions)]


def online(rules: Rules | None = None, *earlier: Report) -> tuple[Session, list[do.Action]]:
    session = Session(rules or Rules(slots=1), 0.0, Random(1), earlier)
    assert session.start() == [do.Connect()]
    session.handle(on.Connected(), 0.0)
    return session, session.handle(WELCOME, 0.0)


def working(rules: Rules | None = None) -> Session:
    session, _ = online(rules)
    session.handle(on.Granted(task=task(1)), 0.0)
    session.handle(on.Prepared(lease=lease(1), direction=Direction.MAXIMIZE, parent_score=0.0), 0.0)
    return session


def experiment(name: str, state: ExperimentState = ExperimentState.ACCEPTED) -> Experiment:
    return Experiment(id=name, problem="packing", revision=1, state=state, created=NOW, updated=NOW)


def test_a_wait_that_was_told_while_a_lease_ran_is_told_when_it_is_over() -> None:
    """Else its owner sees nothing happen and no reason, and `ar-worker status` says that it works."""
    session = working()
    assert events(session.handle(on.Told(seconds=3600.0, reasons=("cool_down",)), 290.0)) == []
    over = session.handle(on.Evaluated(lease=lease(1), trial=trial(1)), 301.0)
    assert events(over) == ["scored", "released", "waiting"]
    assert of(do.Announce, over)[-1].fields == {"seconds": 3589.0, "reasons": ["cool_down"]}
    # The pool may change its mind; then it is asked for more as usual.
    session.handle(on.Granted(task=task(2)), 400.0)
    again = session.handle(on.Failed(lease=lease(2), why="no room"), 401.0)
    assert "waiting" not in events(again)


def test_what_the_owner_has_not_agreed_to_goes_back_and_is_not_asked_for_again() -> None:
    session, _ = online()
    session.handle(on.Granted(task=task(1, revision=2)), 0.0)
    declined = on.Declined(lease=lease(1), why="asks for more", declined=(("packing", 2),))
    actions = session.handle(declined, 1.0)
    kinds = [type(action) for action in actions]
    # In this order: a lease that is free again must not be given back to the same machine.
    assert kinds == [do.Decline, do.GiveBack, do.Announce, do.AskForWork]
    assert of(do.Decline, actions) == [do.Decline(declined=(("packing", 2),))]
    assert of(do.Announce, actions)[0].fields["reason"] == "asks for more"
    # A pool that gives it all the same is not asked again at once.
    session.handle(on.Granted(task=task(2, revision=2)), 1.0)
    assert do.AskForWork not in [type(action) for action in session.handle(replace(declined, lease=lease(2)), 1.0)]
    session.handle(GONE, 2.0)
    session.handle(on.Tick(), 60.0)
    assert session.handle(on.Connected(), 60.0) == [do.SayHello(resume=(), declined=(("packing", 2),))]


def test_a_machine_greets_then_asks_for_what_its_slots_can_take() -> None:
    session = Session(Rules(slots=3), 0.0, Random(1))
    session.start()
    assert session.handle(on.Connected(), 0.0) == [do.SayHello(resume=())]
    assert session.handle(WELCOME, 0.0) == [do.AskForWork(slots=3)]
    granted = session.handle(on.Granted(task=task(1)), 0.0)
    assert of(do.Prepare, granted) == [do.Prepare(slot=0, task=task(1))]
    assert of(do.AskForWork, granted) == []


def test_it_asks_for_no_task_in_advance_where_the_pool_gives_no_more_than_there_are_slots() -> None:
    session = Session(Rules(slots=1), 0.0, Random(1))
    session.start()
    session.handle(on.Connected(), 0.0)
    session.handle(on.Welcomed(progress_interval=20, report_interval=5, slots=1), 0.0)
    session.handle(on.Granted(task=task(1)), 0.0)
    session.handle(on.Prepared(lease=lease(1), direction=Direction.MAXIMIZE, parent_score=0.0), 0.0)
    for second in range(285, 305):
        assert of(do.AskForWork, session.handle(on.Tick(), float(second))) == []


def test_a_wait_is_told_to_the_owner_only_where_the_machine_is_idle() -> None:
    session, _ = online(Rules(slots=2))
    session.handle(on.Granted(task=task(1)), 0.0)
    assert session.handle(on.Told(seconds=5.0, reasons=("quota",)), 0.0) == []


def test_an_experiment_is_kept_before_it_is_sent_and_forgotten_after_its_receipt() -> None:
    session = working()
    actions = session.handle(on.Evaluated(lease=lease(1), trial=trial(1)), 6.0)
    kept, sent = of(do.KeepReport, actions), of(do.SendReport, actions)
    key = ReportKey(lease=lease(1), sequence=1)
    assert [keep.report.key for keep in kept] == [send.key for send in sent] == [key]
    assert actions.index(kept[0]) < actions.index(sent[0])
    assert session.unacknowledged == 1
    received = session.handle(on.Received(key=kept[0].report.key, experiments=1, ids=("x-1",)), 6.1)
    assert of(do.DropReport, received)
    assert of(do.Announce, received)[0].fields["experiments"] == 1
    assert session.unacknowledged == 0
    assert session.handle(on.Received(key=kept[0].report.key, experiments=1, ids=("x-1",)), 6.2) == []


def test_reports_are_batched() -> None:
    session = working()
    for number in range(1, 40):
        assert of(do.KeepReport, session.handle(on.Evaluated(lease=lease(1), trial=trial(number)), number / 10)) == []
    assert session.wake_at(4.0) == 5.0
    (kept,) = of(do.KeepReport, session.handle(on.Tick(), 5.0))
    assert kept.report.experiments == 39
    assert 39.0 in {one.score for one in kept.report.trials}


def test_reports_of_an_earlier_run_are_sent_again() -> None:
    key = ReportKey(lease=lease(9), sequence=4)
    session, actions = online(None, Report(key=key, trials=(trial(1),)))
    assert of(do.SendReport, actions) == [do.SendReport(key=key)]
    assert session.unacknowledged == 1


def test_a_lease_that_the_pool_took_back_for_good_takes_its_reports_with_it() -> None:
    key = ReportKey(lease=lease(9), sequence=4)
    session, _ = online(None, Report(key=key, trials=(trial(1),)))
    assert session.handle(on.Cancelled(lease=lease(9), reason="lost"), 1.0) == [do.DropReport(key=key)]
    assert session.unacknowledged == 0


def test_after_a_break_the_held_leases_are_resumed_and_the_reports_sent_again() -> None:
    session = working()
    session.handle(on.Evaluated(lease=lease(1), trial=trial(1)), 6.0)
    broken = session.handle(GONE, 7.0)
    assert of(do.Kill, broken) == []
    retry = session.wake_at(7.0)
    assert retry is not None
    assert 7.0 < retry <= 8.0
    assert of(do.Connect, session.handle(on.Tick(), retry)) == [do.Connect()]
    assert session.handle(on.Connected(), 8.0) == [do.SayHello(resume=(lease(1),))]
    again = session.handle(WELCOME, 8.0)
    assert of(do.SendReport, again) == [do.SendReport(key=ReportKey(lease=lease(1), sequence=1))]
    assert of(do.AskForWork, again) == []


def test_the_first_connection_that_fails_ends_the_run_with_its_error() -> None:
    session = Session(Rules(slots=1), 0.0, Random(1))
    session.start()
    (end,) = of(do.Exit, session.handle(GONE, 1.0))
    assert end.error is not None
    assert end.error.code == "AR-A102"


@pytest.mark.parametrize("code", ["AR-I209", "AR-I201", "AR-A104", "AR-I206"])
def test_a_refusal_ends_the_run(code: str) -> None:
    session = working()
    actions = session.handle(on.Disconnected(error=PoolError(code)), 1.0)
    assert of(do.Kill, actions) == [do.Kill(slot=0, lease=lease(1))]
    assert of(do.Exit, actions)[0].error.code == code


def test_waits_grow_while_the_pool_is_away() -> None:
    session = working()
    waits = []
    now = 0.0
    for _ in range(12):
        session.handle(GONE, now)
        retry = session.wake_at(now)
        while retry is not None and not of(do.Connect, session.handle(on.Tick(), retry)):
            retry = session.wake_at(retry)
        assert retry is not None
        waits.append(retry - now)
        now = retry
    assert waits[0] <= 1.0
    assert max(waits) <= 30.0
    assert min(waits[-3:]) >= 15.0


def test_after_a_wait_it_asks_again() -> None:
    session, _ = online()
    told = session.handle(on.Told(seconds=12.0, reasons=("paused",)), 1.0)
    assert events(told) == ["waiting"]
    assert session.wake_at(1.0) == 13.0
    assert session.handle(on.Tick(), 12.0) == []
    assert session.handle(on.Tick(), 13.0) == [do.AskForWork(slots=1)]


def test_the_next_task_is_asked_for_before_the_last_box_ends_and_waits_for_the_slot() -> None:
    session = working()
    wake = session.wake_at(250.0)
    assert wake is not None
    for _ in range(20):
        actions = session.handle(on.Tick(), wake)
        if of(do.AskForWork, actions):
            break
        wake = session.wake_at(wake)
        assert wake is not None
    assert 290.0 < wake < 300.0
    granted = session.handle(on.Granted(task=task(2)), 298.0)
    assert of(do.Prepare, granted) == []
    over = session.handle(on.Evaluated(lease=lease(1), trial=trial(1)), 301.0)
    assert of(do.Prepare, over) == [do.Prepare(slot=0, task=task(2))]
    assert of(do.KeepReport, over)[0].report.last


def test_a_task_too_many_goes_back() -> None:
    session = working()
    session.handle(on.Granted(task=task(2)), 1.0)
    assert of(do.GiveBack, session.handle(on.Granted(task=task(3)), 1.0))[0].lease == lease(3)


def test_a_better_claim_waits_for_the_verdict_on_the_one_before() -> None:
    session = working()
    first = session.handle(on.Evaluated(lease=lease(1), trial=trial(1, claim=True)), 6.0)
    (kept,) = of(do.KeepReport, first)
    session.handle(on.Received(key=kept.report.key, experiments=1, ids=("x-1",)), 6.5)
    held_back = session.handle(on.Evaluated(lease=lease(1), trial=trial(2, claim=True)), 12.0)
    assert [one for keep in of(do.KeepReport, held_back) for one in keep.report.trials if one.content] == []
    session.handle(on.Judged(experiment=experiment("x-1", ExperimentState.REJECTED)), 13.0)
    (later,) = of(do.KeepReport, session.handle(on.Tick(), 20.0))
    assert [one.content for one in later.report.trials] == [b"2"]


def test_a_better_claim_does_not_wait_for_ever() -> None:
    session = working()
    session.handle(on.Evaluated(lease=lease(1), trial=trial(1, claim=True)), 6.0)
    session.handle(on.Evaluated(lease=lease(1), trial=trial(2, claim=True)), 7.0)
    (late,) = of(do.KeepReport, session.handle(on.Tick(), 6.0 + CLAIM_PATIENCE_SECONDS))
    assert [one.content for one in late.report.trials] == [b"2"]


def test_a_claim_that_nothing_holds_back_goes_soon() -> None:
    session = working()
    session.handle(on.Evaluated(lease=lease(1), trial=trial(1)), 0.1)
    session.handle(on.Evaluated(lease=lease(1), trial=trial(2, claim=True)), 0.2)
    assert of(do.KeepReport, session.handle(on.Tick(), CLAIM_FIRST_SECONDS - 0.01)) == []
    assert session.wake_at(CLAIM_FIRST_SECONDS - 0.01) == CLAIM_FIRST_SECONDS
    (first,) = of(do.KeepReport, session.handle(on.Tick(), CLAIM_FIRST_SECONDS))
    assert [one.content for one in first.report.trials if one.content] == [b"2"]
    session.handle(on.Received(key=first.report.key, experiments=2, ids=("x-0", "x-1")), 0.3)
    session.handle(on.Judged(experiment=experiment("x-1", ExperimentState.ACCEPTED)), 0.4)
    # The lease's next claim lets a second pass, in which a better one may come.
    soon = CLAIM_FIRST_SECONDS + CLAIM_SOON_SECONDS
    session.handle(on.Evaluated(lease=lease(1), trial=trial(3, claim=True)), 0.5)
    assert of(do.KeepReport, session.handle(on.Tick(), soon - 0.01)) == []
    (second,) = of(do.KeepReport, session.handle(on.Tick(), soon))
    assert [one.content for one in second.report.trials if one.content] == [b"3"]
    # Without a claim the next one comes in its time.
    session.handle(on.Evaluated(lease=lease(1), trial=trial(4)), soon + 1)
    assert of(do.KeepReport, session.handle(on.Tick(), soon + 2)) == []


def test_somebody_elses_better_version_is_run_next_but_its_own_is_no_news() -> None:
    session = working()
    session.handle(on.Evaluated(lease=lease(1), trial=trial(5, claim=True)), 0.10)
    session.handle(on.Improved(problem="packing", blob=sha256(b"5")), 0.10)
    session.handle(on.Improved(problem="other", blob="e" * 64), 0.10)
    assert of(do.Rebase, session.handle(on.Evaluated(lease=lease(1), trial=trial(2)), 0.12)) == []
    session.handle(on.Improved(problem="packing", blob="f" * 64), 0.14)
    rebase = session.handle(on.Evaluated(lease=lease(1), trial=trial(3)), 0.16)
    assert of(do.Rebase, rebase) == [do.Rebase(slot=0, lease=lease(1), blob="f" * 64)]
    after = session.handle(on.Rebased(lease=lease(1), claim_stands=False), 0.18)
    assert of(do.Evaluate, after) == [do.Evaluate(slot=0, lease=lease(1))]
    (kept,) = of(do.KeepReport, session.handle(on.Tick(), 5.0))
    assert [one.content for one in kept.report.trials if one.content] == []
    assert kept.report.experiments == 3


def test_the_budget_is_exact_and_ends_the_run_with_every_report_confirmed() -> None:
    session, _ = online(Rules(slots=1, max_experiments=2))
    session.handle(on.Granted(task=task(1)), 0.0)
    session.handle(on.Prepared(lease=lease(1), direction=Direction.MAXIMIZE, parent_score=0.0), 0.0)
    session.handle(on.Evaluated(lease=lease(1), trial=trial(1)), 0.1)
    last = session.handle(on.Evaluated(lease=lease(1), trial=trial(2)), 0.2)
    assert of(do.Evaluate, last) == of(do.Exit, last) == []
    (kept,) = of(do.KeepReport, last)
    assert (kept.report.experiments, kept.report.last) == (2, True)
    end = session.handle(on.Received(key=kept.report.key, experiments=2, ids=("x-1", "x-2")), 0.3)
    assert isinstance(end[-1], do.Exit)
    assert end[-1].error is None
    assert of(do.SayGoodbye, end)


def test_at_the_end_a_claim_gets_some_time_for_its_verdict() -> None:
    session = working(Rules(slots=1, max_experiments=1))
    (kept,) = of(do.KeepReport, session.handle(on.Evaluated(lease=lease(1), trial=trial(1, claim=True)), 0.2))
    received = session.handle(on.Received(key=kept.report.key, experiments=1, ids=("x-1",)), 0.3)
    assert of(do.Exit, received) == []
    judged = session.handle(on.Judged(experiment=experiment("x-1")), 1.0)
    assert events(judged) == ["verdict", "stopped"]


def test_at_the_end_an_absent_verdict_is_not_waited_for_long() -> None:
    session = working(Rules(slots=1, seconds=60.0))
    assert of(do.Kill, session.handle(on.Tick(), 60.0)) == [do.Kill(slot=0, lease=lease(1))]
    assert session.phase in {Phase.SETTLING, Phase.DONE}


def test_without_work_it_ends_when_its_owner_said_so() -> None:
    session, _ = online(Rules(slots=1, idle_seconds=30.0))
    session.handle(on.Told(seconds=100.0, reasons=("paused",)), 0.0)
    assert session.wake_at(0.0) == 30.0
    assert of(do.Exit, session.handle(on.Tick(), 30.0))


def test_finishing_completes_the_evaluation_that_runs() -> None:
    session = working()
    assert of(do.Kill, session.handle(on.FinishRequested(), 1.0)) == []
    done = session.handle(on.Evaluated(lease=lease(1), trial=trial(1)), 2.0)
    assert of(do.Evaluate, done) == []
    assert of(do.KeepReport, done)[0].report.last


def test_a_stop_kills_reports_and_gives_back_and_waits_only_shortly() -> None:
    session = working()
    session.handle(on.Evaluated(lease=lease(1), trial=trial(1)), 1.0)
    actions = session.handle(on.StopRequested(), 2.0)
    assert of(do.Kill, actions) == [do.Kill(slot=0, lease=lease(1))]
    assert of(do.GiveBack, actions)[0].lease == lease(1)
    assert of(do.KeepReport, actions)[0].report.experiments == 1
    wake = session.wake_at(2.0)
    assert wake is not None
    assert wake <= 4.0
    assert of(do.Exit, session.handle(on.Tick(), wake))


def test_a_stop_without_a_pool_ends_at_once() -> None:
    session = working()
    session.handle(GONE, 1.0)
    assert of(do.Exit, session.handle(on.StopRequested(), 2.0))


def test_a_task_that_cannot_be_worked_on_goes_back_and_is_not_asked_for_at_once() -> None:
    session, _ = online()
    session.handle(on.Granted(task=task(1)), 0.0)
    failed = session.handle(on.Failed(lease=lease(1), why="the parent has no score"), 0.5)
    assert of(do.GiveBack, failed) == [do.GiveBack(lease=lease(1), reason="the parent has no score")]
    assert of(do.AskForWork, failed) == []
    wake = session.wake_at(0.5)
    assert wake is not None
    assert wake > 1.0
    assert of(do.AskForWork, session.handle(on.Tick(), wake))


def test_a_pool_that_wants_a_newer_version_ends_the_run_with_that() -> None:
    session, _ = online()
    told = session.handle(on.Told(seconds=60.0, reasons=("upgrade_needed",)), 0.0)
    assert of(do.Exit, told)[0].error.code == "AR-A104"


# --- Arbitrary histories


class History:
    """Plays a pool and slots that answer what the session asked, in any order and any time, and keeps the books."""

    def __init__(self, slots: int, most: int, budget: int | None) -> None:
        self.session = Session(Rules(slots=slots, max_experiments=budget), 0.0, Random(1))
        self.slots, self.most, self.now = slots, most, 0.0
        self.steps: dict[int, list[do.Action]] = {}
        self.on_disk: dict[ReportKey, Report] = {}
        self.sent: list[ReportKey] = []
        self.evaluated: list[str] = []
        self.counted = 0
        self.acknowledged = 0
        self.leases = self.trials = self.asked = 0
        self.link = "off"
        self.stopped = self.exited = False
        self.claims: dict[str, list[float]] = {}
        self.take(self.session.start())

    def event(self, event: on.Event) -> None:
        self.take(self.session.handle(event, self.now))

    def take(self, actions: list[do.Action]) -> None:
        for action in actions:
            assert not self.exited
            if self.stopped:
                assert not isinstance(action, do.Evaluate | do.Prepare | do.Rebase | do.AskForWork | do.Connect)
            self.one(action)
        assert len(self.session.held) <= self.slots + 1
        assert self.session.running <= self.slots

    def one(self, action: do.Action) -> None:
        match action:
            case do.Connect():
                assert self.link == "off"
                self.link = "connecting"
            case do.SayHello():
                assert action.resume == self.session.held
            case do.AskForWork():
                assert self.link == "on"
                assert 0 < action.slots <= self.slots or self.session.phase is not Phase.RUNNING
                self.asked = action.slots
            case do.Prepare():
                assert self.steps.get(action.slot, []) == []
                self.steps[action.slot] = [action]
            case do.Evaluate() | do.Rebase():
                assert self.steps.get(action.slot, []) == []
                self.steps[action.slot] = [action]
            case do.Kill():
                self.steps[action.slot] = []
            case do.KeepReport():
                self.keep(action.report)
            case do.SendReport():
                assert self.link == "on"
                assert action.key in self.on_disk
                self.sent.append(action.key)
            case do.DropReport():
                del self.on_disk[action.key]
            case do.Exit():
                self.exited = True

    def keep(self, report: Report) -> None:
        assert report.key not in self.on_disk
        claims = [one for one in report.trials if one.content is not None]
        assert len(claims) <= 1
        if claims and not report.last and not self.stopped:
            before = self.claims.setdefault(report.key.lease.id, [])
            assert not before or self.now >= before[-1] + CLAIM_PATIENCE_SECONDS
            before.append(self.now)
        self.on_disk[report.key] = report
        self.counted += report.experiments

    def step(self, choice: int, minutes: float) -> None:
        self.now += minutes
        if self.exited:
            return
        (self.link_moves, self.pool_moves, self.slot_moves, self.pool_moves, self.slot_moves, self.slot_moves)[
            choice % 6
        ](choice // 6)

    def link_moves(self, choice: int) -> None:
        if self.link == "connecting" and choice % 4:
            self.link = "on"
            self.event(on.Connected())
            self.event(on.Welcomed(progress_interval=20, report_interval=5, slots=self.most))
        elif self.link == "on" and choice % 4 == 0:
            self.link, self.sent, self.asked = "off", [], 0
            self.event(GONE)
        else:
            self.event(on.Tick())

    def pool_moves(self, choice: int) -> None:
        if self.link != "on":
            self.event(on.Tick())
        elif choice % 3 == 0 and self.asked:
            self.asked -= 1
            self.leases += 1
            self.event(on.Granted(task=task(self.leases)))
        elif choice % 3 == 1 and self.sent:
            key = self.sent.pop(choice % len(self.sent))
            report = self.on_disk.get(key)
            if report is not None:
                self.acknowledged += report.experiments
                ids = tuple(f"x-{key.lease.id}-{key.sequence}-{n}" for n in range(len(report.trials)))
                self.event(on.Received(key=key, experiments=report.experiments, ids=ids))
        elif choice % 7 == 2 and self.session.held:
            name = self.session.held[choice % len(self.session.held)]
            self.event(on.Cancelled(lease=name, reason="paused"))
        elif choice % 7 == 5:
            self.event(on.Improved(problem="packing", blob=f"{choice:064x}"))
        else:
            self.event(on.Tick())

    def slot_moves(self, choice: int) -> None:
        busy = [slot for slot, steps in self.steps.items() if steps]
        if not busy:
            self.event(on.Tick())
            return
        slot = busy[choice % len(busy)]
        (action,) = self.steps[slot]
        self.steps[slot] = []
        match action:
            case do.Prepare():
                name = action.task.lease
                good = choice % 5 != 0
                prepared = on.Prepared(lease=name, direction=Direction.MAXIMIZE, parent_score=0.0)
                self.event(prepared if good else on.Failed(lease=name, why="no"))
            case do.Evaluate() if choice % 11 == 3:
                self.event(on.Evaluated(lease=action.lease, trial=None))
            case do.Evaluate() if choice % 11 == 4:
                self.event(on.Failed(lease=action.lease, why="sandbox"))
            case do.Evaluate():
                self.trials += 1
                self.event(on.Evaluated(lease=action.lease, trial=trial(self.trials, claim=choice % 3 == 0)))
            case do.Rebase():
                self.event(on.Rebased(lease=action.lease, claim_stands=choice % 2 == 0))


steps = st.lists(st.tuples(st.integers(0, 2000), st.floats(0, 4)), max_size=120)


@settings(max_examples=150, deadline=None)
@given(moves=steps, slots=st.integers(1, 3), most=st.integers(1, 4), budget=st.none() | st.integers(1, 20))
def test_no_experiment_is_lost_or_counted_twice(
    moves: list[tuple[int, float]], slots: int, most: int, budget: int | None
) -> None:
    history = History(slots, most, budget)
    for choice, seconds in moves:
        history.step(choice, seconds)
    if budget is not None:
        assert history.trials <= budget
    history.stopped = True
    if not history.exited:
        history.event(on.StopRequested())
    # Every trial that a slot finished is in exactly one report, and every report is on disk or confirmed.
    assert history.counted == history.trials
    left = sum(report.experiments for report in history.on_disk.values())
    assert history.acknowledged + left == history.trials
    for _ in range(5):
        if not history.exited:
            history.now = history.session.wake_at(history.now) or history.now + 1
            history.event(on.Tick())
    assert history.exited
    assert all(steps == [] for steps in history.steps.values())


@settings(max_examples=100, deadline=None)
@given(moves=steps, slots=st.integers(1, 3))
def test_time_alone_never_makes_it_spin(moves: list[tuple[int, float]], slots: int) -> None:
    history = History(slots, 4, None)
    for choice, seconds in moves:
        history.step(choice, seconds)
    for _ in range(10):
        wake = history.session.wake_at(history.now)
        if wake is None or history.exited:
            return
        before = history.now
        history.now = max(wake, history.now)
        history.event(on.Tick())
        after = history.session.wake_at(history.now)
        assert after is None or after > before
