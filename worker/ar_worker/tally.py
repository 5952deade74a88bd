"""One lease's trials on their way into reports: claims and a sample one by one, the rest counted.

Not here: when a report is due (``session``). Pure, and nothing leaves it twice.
"""

from dataclasses import replace

from ar_core.lifecycle import Reason
from ar_core.metric import Direction, improvement
from ar_worker.task import Count, LeaseName, Report, ReportKey, Trial

ONE_BY_ONE = 100
"""Trials that one lease may tell of one by one, over its whole life."""
SAMPLE = 40
"""Of these, those that are no claims."""
_SHARE = 8
"""A report takes at most this part of what is left of the sample, so that a fast machine's last hour shows too."""
SUPERSEDED = Reason.NO_IMPROVEMENT
"""Said of a candidate that was worth a claim until this lease found a better one."""


class Tally:
    """Collects trials and hands them out as reports with ascending numbers, the first 1."""

    def __init__(self, lease: LeaseName) -> None:
        self._lease = lease
        self._sequence = 0
        self._waiting: list[Trial] = []
        self._claim: Trial | None = None
        self._sampled = 0
        self._claimed = 0
        self._reasons: set[Reason] = set()

    @property
    def trials(self) -> int:
        """Trials that no report has yet."""
        return len(self._waiting) + (self._claim is not None)

    @property
    def has_claim(self) -> bool:
        """Whether a claim waits to be reported."""
        return self._claim is not None

    @property
    def reported(self) -> bool:
        """Whether there was a report already."""
        return self._sequence > 0

    def add(self, trial: Trial) -> None:
        """Take in one trial; a claim takes the place of one that waited here."""
        if trial.content is None:
            self._waiting.append(trial)
            return
        self.drop_claim()
        self._claim = trial

    def drop_claim(self) -> None:
        """Make the waiting claim, if there is one, an ordinary trial."""
        if self._claim is not None:
            self._waiting.append(replace(self._claim, content=None, reason=SUPERSEDED))
            self._claim = None

    def report(self, direction: Direction | None, *, with_claim: bool, last: bool = False) -> Report | None:
        """Return the next report of what waits, ``None`` where there is nothing to say.

        ``direction`` tells which of the scores is the best, which is in the sample. Without ``with_claim`` a
        waiting claim goes on waiting. A ``last`` report is made even when it is empty.
        """
        if last and self._claim is not None and (not with_claim or self._is_full()):
            self.drop_claim()
        claim = self._claim if with_claim and not self._is_full() else None
        if not self._waiting and claim is None and not last:
            return None
        chosen = self._sample(direction)
        counted: dict[Reason, Count] = {}
        for index, trial in enumerate(self._waiting):
            if index not in chosen:
                reason = trial.reason or SUPERSEDED
                before = counted.get(reason, Count(trials=0, seconds=0.0))
                counted[reason] = Count(trials=before.trials + 1, seconds=before.seconds + trial.seconds)
        trials = [self._waiting[index] for index in sorted(chosen)]
        if claim is not None:
            trials.append(claim)
            self._claim = None
            self._claimed += 1
        self._sampled += len(chosen)
        self._waiting = []
        self._sequence += 1
        key = ReportKey(lease=self._lease, sequence=self._sequence)
        return Report(key=key, trials=tuple(trials), counted=counted, last=last)

    def _is_full(self) -> bool:
        return self._sampled + self._claimed >= ONE_BY_ONE

    def _sample(self, direction: Direction | None) -> set[int]:
        """Choose positions: the best, the first of each kind of failure, then the newest."""
        left = min(SAMPLE - self._sampled, ONE_BY_ONE - 1 - self._sampled - self._claimed)
        room = min(max(1, left // _SHARE), left)
        if room <= 0:
            return set()
        first: dict[Reason, int] = {}
        for index, trial in enumerate(self._waiting):
            if trial.reason is not None and trial.reason not in self._reasons:
                first.setdefault(trial.reason, index)
        wanted = list(first.values())
        scored = [(trial.score, index) for index, trial in enumerate(self._waiting) if trial.score is not None]
        if scored:
            towards = direction or Direction.MAXIMIZE
            wanted.insert(0, max(scored, key=lambda pair: improvement(towards, pair[0], 0.0))[1])
        wanted.extend(range(len(self._waiting) - 1, -1, -1))
        chosen = set(list(dict.fromkeys(wanted))[:room])
        self._reasons.update(trial.reason for index in chosen if (trial := self._waiting[index]).reason is not None)
        return chosen
