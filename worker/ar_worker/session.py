"""The worker's side of a session as a pure state machine: events in, actions out, no clock and no connection.

Not here: performing the actions (``loop``). Whole histories can be replayed in memory. ``now`` is in seconds of a
clock that never goes back; after each event the caller comes back with ``Tick`` at ``wake_at`` at the latest.
"""

from collections.abc import Iterable
from random import Random

from ar_core.candidate import sha256
from ar_core.errors import PoolError
from ar_core.records import Experiment
from ar_worker import actions as do
from ar_worker import announcements
from ar_worker import events as on
from ar_worker.held import Held
from ar_worker.link import Link
from ar_worker.rules import Phase, Rules
from ar_worker.tally import Tally
from ar_worker.task import LeaseName, Report, Task
from ar_worker.unconfirmed import Unconfirmed

PREFETCH_SECONDS = 3.0
"""This long before the first box ends, the next task is asked for."""
CLAIM_PATIENCE_SECONDS = 30.0
"""A better claim is held back this long while the last one of the same lease waits for its verdict."""
CLAIM_SOON_SECONDS = 1.0
"""A claim that nothing holds back is reported this long after the report before it."""
CLAIM_FIRST_SECONDS = 0.25
"""A lease's first report, if it has a claim, comes this long after its begin, for others to build on."""
VERDICT_SECONDS = 10.0
"""At the end, verdicts are waited for this long."""
FLUSH_SECONDS = 1.5
"""After Ctrl-C, receipts are waited for this long."""
_FAILED_FIRST, _FAILED_LONGEST = 1.0, 60.0
_TROUBLE = 3
_UPGRADE = "upgrade_needed"
_PASSING = frozenset({"AR-A100", "AR-A102", "AR-A103", "AR-A105", "AR-C605", "AR-C609"})
"""Failures of a stream that may pass by themselves."""


class Session:
    """See the module. ``unacknowledged`` are reports of an earlier run that the pool has not confirmed."""

    def __init__(
        self, rules: Rules, now: float, rng: Random, unacknowledged: Iterable[Report] = (),
        declined: tuple[tuple[str, int], ...] = (),
    ) -> None:  # fmt: skip
        """``rng`` spreads reconnections, so that a pool that comes back is not stormed.

        ``declined`` are the revisions of problems that the owner has not agreed to.
        """
        self.phase = Phase.RUNNING
        self.experiments = 0
        """Evaluated in this run."""
        self._rules, self._rng = rules, rng
        self._link = Link()
        self._held: dict[str, Held] = {}
        self._free = list(range(rules.slots))
        self._unconfirmed = Unconfirmed(unacknowledged)
        self._declined = declined
        self._started = 0
        self._failed_tasks = 0
        self._idle_since = now
        self._end = None if rules.seconds is None else now + rules.seconds
        self._deadline: float | None = None
        self._why = ""
        self._out: list[do.Action] = []

    # --- What others may ask

    @property
    def held(self) -> tuple[LeaseName, ...]:
        """The leases in hand."""
        return tuple(held.task.lease for held in self._held.values())

    @property
    def running(self) -> int:
        """How many of them are in a slot."""
        return self._rules.slots - len(self._free)

    @property
    def unacknowledged(self) -> int:
        """Reports that the pool has not confirmed."""
        return len(self._unconfirmed.reports)

    @property
    def online(self) -> bool:
        """Whether the pool listens."""
        return self._link.online

    def wake_at(self, now: float) -> float | None:
        """Return when the next ``Tick`` is due at the latest; ``None`` when only events can change anything."""
        times = [self._deadline, self._link.retry_at]
        if self.phase is Phase.RUNNING:
            times.append(self._end)
            if self._rules.idle_seconds is not None and not self._held:
                times.append(self._idle_since + self._rules.idle_seconds)
            if self._link.online and self._link.wait_until and self._can_take() > self._link.asked:
                times.append(self._link.wait_until)
            first = self._first_box_end()
            if self._link.online and not self._free and first is not None and first - PREFETCH_SECONDS > now:
                times.append(first - PREFETCH_SECONDS)
        if self._link.online and self._held:
            times.append(self._link.next_progress)
        times += [held.next_report for held in self._held.values() if held.tally.trials]
        known = [time for time in times if time is not None]
        return min(known) if known else None

    # --- Events

    def handle(self, event: on.Event, now: float) -> list[do.Action]:
        """Return what has to be done about ``event``, in this order."""
        self._out = []
        if self.phase is Phase.DONE:
            return []
        match event:
            case on.Connected():
                self._put(do.SayHello(resume=self.held, declined=self._declined))
            case on.Disconnected():
                self._disconnected(event.error, now)
            case on.Welcomed():
                self._welcomed(event, now)
            case on.Granted():
                self._granted(event.task, now)
            case on.Told():
                self._told(event, now)
            case on.Prepared() | on.Failed() | on.Proposed() | on.Evaluated() | on.Rebased():
                held = self._held.get(event.lease.id)
                if held is not None and held.task.lease == event.lease:
                    self._slot(event, held, now)
            case on.Declined():
                self._decline(event, now)
            case on.Received():
                self._received(event)
            case on.Judged():
                self._verdict(event.experiment)
            case on.Improved():
                self._improved(event)
            case on.Cancelled():
                self._cancelled(event, now)
            case on.FinishRequested():
                self._finish("finish", now)
            case on.StopRequested():
                self._stop(now)
            case on.Tick():
                pass
        self._timers(now)
        return self._out

    def start(self) -> list[do.Action]:
        """Return the first actions."""
        return [do.Connect()]

    def _put(self, *actions: do.Action) -> None:
        self._out.extend(actions)

    def _tell(self, event: str, **fields: object) -> None:
        self._put(do.Announce(event=event, fields=fields))

    # --- The link

    def _disconnected(self, error: PoolError, now: float) -> None:
        link = self._link
        link.lose()
        if self.phase is Phase.STOPPING:
            self._exit()
            return
        if error.code not in _PASSING or not link.ever:
            self._abandon("the pool refused", now)
            self._exit(error)
            return
        seconds = link.put_off(now, self._rng, error.retry_after or 0.0)
        self._tell("waiting", seconds=round(seconds, 3), reasons=["no_connection"])

    def _welcomed(self, event: on.Welcomed, now: float) -> None:
        self._link.take_up(event, now)
        self._put(*(do.SendReport(key=key) for key in self._unconfirmed.reports))

    def _told(self, event: on.Told, now: float) -> None:
        self._link.put_back(event, now)
        self._say_wait(now)
        if _UPGRADE in event.reasons and self.phase is Phase.RUNNING:
            self._abandon("upgrade needed", now)
            self._exit(PoolError("AR-A104", "it asks for a newer ar-worker"))

    def _say_wait(self, now: float) -> None:
        """Tell why there is no work: when the pool says so, and when the last lease ends after it said so."""
        if not self._held and self.phase is Phase.RUNNING and (waiting := self._link.waiting(now)):
            self._tell("waiting", **waiting)

    # --- Leases

    def _granted(self, task: Task, now: float) -> None:
        self._link.given()
        before = self._held.get(task.lease.id)
        if self.phase is not Phase.RUNNING or before is not None or len(self._held) > self._rules.slots:
            if before is None or before.task.lease != task.lease:
                self._put(do.GiveBack(lease=task.lease, reason="no slot is free"))
            return
        self._held[task.lease.id] = Held(task=task, tally=Tally(task.lease))
        self._tell("leased", **announcements.leased(task))
        self._fill(now)

    def _fill(self, now: float) -> None:
        """Put waiting leases into free slots."""
        if self.phase is not Phase.RUNNING:
            return
        for held in self._held.values():
            if self._free and held.slot is None:
                held.slot, held.busy = self._free.pop(0), True
                held.box_end = now + held.task.box
                held.last_report, held.next_report = now, now + self._link.report_interval
                self._put(do.Prepare(slot=held.slot, task=held.task))

    def _slot(
        self, event: on.Prepared | on.Failed | on.Proposed | on.Evaluated | on.Rebased, held: Held, now: float
    ) -> None:
        """Take in what a slot says about a lease in hand, and let it go on."""
        name = held.task.lease.id
        match event:
            case on.Proposed():
                about = {"lease": name, "problem": held.task.problem}
                self._tell("proposed", **about, content_hash=event.content_hash, note=event.note)
                return
            case on.Failed():
                held.busy = False
                self._failed(event, held, now)
                return
            case on.Prepared():
                held.direction = event.direction
                held.box_end += event.opening
            case on.Rebased():
                if not event.claim_stands:
                    held.tally.drop_claim()
            case on.Evaluated():
                if event.trial is None:
                    held.busy = False
                    self._exhausted(held, now)
                    return
                held.trouble, held.trying = 0, False
                self._count(event, held)
        held.busy = False
        self._go_on(held, now)

    def _count(self, event: on.Evaluated, held: Held) -> None:
        trial = event.trial
        if trial is None:
            return
        self.experiments += 1
        if trial.content is not None:
            self._failed_tasks = 0
            held.claimed.add(sha256(trial.content))
        held.tally.add(trial)
        if trial.content is not None and not held.claim_hash:
            # Nobody waits for a verdict: a claim goes soon, so that others can build on it.
            soon = CLAIM_SOON_SECONDS if held.tally.reported else CLAIM_FIRST_SECONDS
            held.next_report = min(held.next_report, held.last_report + soon)
        self._tell("scored", **announcements.scored(held.task, trial))

    def _exhausted(self, held: Held, now: float) -> None:
        self._back_off(now)
        self._close(held, "the agent has nothing new to try", now)

    def _failed(self, event: on.Failed, held: Held, now: float) -> None:
        """Give a lease back that cannot be worked on; the same problem will come again, so not at once."""
        if held.trying:
            self._started, held.trying = self._started - 1, False
        if held.direction is not None:
            held.trouble += 1
            if held.trouble < _TROUBLE:
                self._go_on(held, now)
                return
        self._back_off(now)
        self._close(held, event.why, now)

    def _decline(self, event: on.Declined, now: float) -> None:
        """Give a lease back that its owner has to agree to first, after the pool was told not to give it again."""
        held = self._held.get(event.lease.id)
        if held is None or held.task.lease != event.lease:
            return
        held.busy = False
        if (held.task.problem, held.task.revision) in self._declined:
            self._back_off(now)  # the pool gave it all the same
        self._declined = event.declined
        if self._link.online:
            self._put(do.Decline(declined=self._declined))
        self._close(held, event.why, now)

    def _back_off(self, now: float) -> None:
        self._failed_tasks += 1
        wait = min(_FAILED_LONGEST, _FAILED_FIRST * 2.0 ** min(self._failed_tasks, 10))
        self._link.wait_until = max(self._link.wait_until, now + wait)

    def _go_on(self, held: Held, now: float) -> None:
        """Let an idle slot take its lease's next step, or end the lease."""
        if held.slot is None or held.busy:
            return
        if self.phase is not Phase.RUNNING:
            self._close(held, self._why, now)
        elif now >= held.box_end:
            self._failed_tasks = 0
            self._close(held, "the box is over", now)
        elif self._is_spent():
            self._close(held, "all experiments are made", now)
        elif held.improved:
            held.busy = True
            self._put(do.Rebase(slot=held.slot, lease=held.task.lease, blob=held.improved))
            held.improved = ""
        else:
            held.busy = held.trying = True
            self._started += 1
            self._put(do.Evaluate(slot=held.slot, lease=held.task.lease))

    def _close(self, held: Held, why: str, now: float, *, give_back: bool = False) -> None:
        """End a lease: report what is left of it, give it back, and use its slot for the next."""
        lease = held.task.lease
        if held.busy and held.slot is not None:
            self._put(do.Kill(slot=held.slot, lease=lease))
        if held.trying:
            self._started -= 1
        del self._held[lease.id]
        if held.slot is not None:
            self._free.append(held.slot)
            self._free.sort()
        finished = not give_back and (held.tally.reported or held.tally.trials > 0)
        report = held.tally.report(held.direction, with_claim=True, last=finished)
        if report is not None:
            self._keep(report)
        if not finished and self._link.online:
            self._put(do.GiveBack(lease=lease, reason=why))
        self._tell("released", lease=lease.id, problem=held.task.problem, reason=why)
        if not self._held:
            self._idle_since = now
            self._say_wait(now)
        self._fill(now)

    def _abandon(self, why: str, now: float) -> None:
        """Give every lease back, whatever it does."""
        for held in list(self._held.values()):
            self._close(held, why, now, give_back=True)

    def _cancelled(self, event: on.Cancelled, now: float) -> None:
        held = self._held.get(event.lease.id)
        if held is not None and held.task.lease == event.lease:
            self._close(held, event.reason or "the pool took it back", now)
            return
        # The pool says it of a lease that has ended here: it will not take what is left of it either.
        self._put(*(do.DropReport(key=key) for key in self._unconfirmed.drop(event.lease)))

    def _improved(self, event: on.Improved) -> None:
        for held in self._held.values():
            if held.task.problem == event.problem and event.blob not in {held.task.parent_blob, *held.claimed}:
                held.improved = event.blob

    # --- Reports

    def _report(self, held: Held, now: float) -> None:
        held.last_report, held.next_report = now, now + self._link.report_interval
        patient = held.claim_hash and now < held.claim_sent + CLAIM_PATIENCE_SECONDS
        report = held.tally.report(held.direction, with_claim=not patient)
        if report is None:
            return
        for trial in report.trials:
            if trial.content is not None:
                held.claim_hash, held.claim_id, held.claim_sent = trial.content_hash, "", now
        self._keep(report)

    def _keep(self, report: Report) -> None:
        self._unconfirmed.add(report)
        self._put(do.KeepReport(report=report))
        if self._link.online:
            self._put(do.SendReport(key=report.key))

    def _received(self, event: on.Received) -> None:
        claims = self._unconfirmed.received(event)
        if claims is None:
            return
        self._put(do.DropReport(key=event.key))
        held = self._held.get(event.key.lease.id)
        for name, content_hash in claims.items():
            if held is not None and held.claim_hash == content_hash:
                held.claim_id = name
        if event.experiments:
            self._tell("reported", **announcements.reported(event, claims))

    def _verdict(self, experiment: Experiment) -> None:
        lease = self._unconfirmed.judged(experiment)
        if lease is None:
            return
        held = self._held.get(lease)
        if held is not None and held.claim_id == experiment.id:
            held.claim_hash = held.claim_id = ""
        self._tell("verdict", **announcements.verdict(experiment))

    # --- Endings

    def _is_spent(self) -> bool:
        return self._rules.max_experiments is not None and self._started >= self._rules.max_experiments

    def _finish(self, why: str, now: float) -> None:
        if self.phase is not Phase.RUNNING:
            return
        self.phase, self._why = Phase.FINISHING, why
        if self._link.online:
            self._put(do.AskForWork(slots=0))
        for held in list(self._held.values()):
            if held.slot is None:
                self._close(held, why, now)
            else:
                self._go_on(held, now)

    def _stop(self, now: float) -> None:
        if self.phase is Phase.STOPPING:
            return
        self.phase, self._why = Phase.STOPPING, "stopped by its owner"
        self._abandon(self._why, now)
        self._deadline = now + FLUSH_SECONDS
        self._link.retry_at = None

    def _exit(self, error: PoolError | None = None) -> None:
        if self._link.online and error is None:
            self._put(do.SayGoodbye(reason=self._why))
        self.phase, self._deadline = Phase.DONE, None
        self._tell("stopped", reason=error.message if error else self._why, experiments=self.experiments)
        self._put(do.Exit(reason=self._why, error=error))

    # --- Time

    def _timers(self, now: float) -> None:
        if self.phase is Phase.RUNNING:
            self._end_of_run(now)
        if self.phase is Phase.FINISHING and not self._held:
            self.phase, self._deadline = Phase.SETTLING, now + VERDICT_SECONDS
        if self.phase is Phase.SETTLING:
            nothing = self._link.online and not self._unconfirmed.reports and not self._unconfirmed.claims
            if nothing or (self._deadline is not None and now >= self._deadline):
                self._exit()
        elif self.phase is Phase.STOPPING:
            nothing = not self._link.online or not self._unconfirmed.reports
            if nothing or (self._deadline is not None and now >= self._deadline):
                self._exit()
        if self.phase in {Phase.DONE, Phase.STOPPING}:
            return
        self._reports_due(now)
        self._link_due(now)

    def _end_of_run(self, now: float) -> None:
        if self._end is not None and now >= self._end:
            self._finish("the time is over", now)
            for held in list(self._held.values()):
                self._close(held, self._why, now)
        elif self._is_spent() and not self._held:
            self._finish("all experiments are made", now)
        elif (
            self._rules.idle_seconds is not None
            and not self._held
            and now >= self._idle_since + self._rules.idle_seconds
        ):
            self._finish("there was nothing to do", now)

    def _reports_due(self, now: float) -> None:
        for held in self._held.values():
            if held.tally.trials and now >= held.next_report:
                self._report(held, now)

    def _link_due(self, now: float) -> None:
        link = self._link
        if link.retry_at is not None and now >= link.retry_at:
            link.retry_at = None
            self._put(do.Connect())
        if not link.online:
            return
        if self._held and now >= link.next_progress:
            link.next_progress = now + link.progress_interval
            self._put(do.SayProgress(leases=self.held))
        if self.phase is not Phase.RUNNING or now < link.wait_until:
            return
        link.wait_until, link.reasons = 0.0, ()
        wanted = self._can_take(now)
        if wanted > link.asked:
            link.asked = wanted
            self._put(do.AskForWork(slots=wanted))

    def _can_take(self, now: float | None = None) -> int:
        """Return how many leases could be started now, or a moment from now."""
        if self._is_spent():
            return 0
        waiting = sum(held.slot is None for held in self._held.values())
        wanted = len(self._free) - waiting
        first = self._first_box_end()
        soon = now is not None and first is not None and now >= first - PREFETCH_SECONDS
        if soon and not self._free and waiting == 0 and self._link.leases_at_most > len(self._held):
            wanted = 1
        if self._rules.max_experiments is not None:
            wanted = min(wanted, self._rules.max_experiments - self._started)
        return max(0, wanted)

    def _first_box_end(self) -> float | None:
        return min((held.box_end for held in self._held.values() if held.slot is not None), default=None)
