"""What the pool has not answered yet: reports without a receipt, and claims without a verdict.

Not here: sending anything (``session``), and the disk (``report_store``). Pure.
"""

from collections.abc import Iterable

from ar_core.lifecycle import SETTLED, ExperimentState
from ar_core.records import Experiment
from ar_worker import events as on
from ar_worker.task import LeaseName, Report, ReportKey

_REMEMBERED_VERDICTS = 10_000


class Unconfirmed:
    """The books on both; each report is confirmed once, each verdict told once, a claim that is held twice."""

    def __init__(self, earlier: Iterable[Report]) -> None:
        """``earlier``: reports of an earlier run."""
        self._reports = {report.key: report for report in earlier}
        self._earlier = frozenset(self._reports)
        self._claims: dict[str, str] = {}
        self._judged: dict[str, ExperimentState] = {}

    @property
    def reports(self) -> list[ReportKey]:
        """The reports without a receipt, by lease and number."""
        return sorted(self._reports)

    @property
    def claims(self) -> int:
        """How many claims wait for their verdict, as far as they were confirmed."""
        return len(self._claims)

    def add(self, report: Report) -> None:
        """Note a report that was made."""
        self._reports[report.key] = report

    def drop(self, lease: LeaseName) -> list[ReportKey]:
        """Forget the reports of a lease that the pool will not have; return them."""
        keys = [key for key in self._reports if key.lease == lease]
        for key in keys:
            del self._reports[key]
        return keys

    def received(self, event: on.Received) -> dict[str, str] | None:
        """Note a receipt; return its claims, identifier to content hash, or ``None`` when it came before."""
        report = self._reports.pop(event.key, None)
        if report is None:
            return None
        if len(event.ids) != len(report.trials):
            return {}
        told = zip(event.ids, report.trials, strict=True)
        claims = {name: trial.content_hash for name, trial in told if name and trial.content is not None}
        # The verdict on a claim of an earlier run may have been told to that run.
        if event.key not in self._earlier:
            self._claims.update({name: event.key.lease.id for name in claims if name not in self._judged})
        return claims

    def judged(self, experiment: Experiment) -> str | None:
        """Note a verdict; return its lease (empty where it is not known), or ``None`` for no news.

        The pool says it again after a line broke, since it cannot know what arrived.
        """
        if experiment.state not in SETTLED or self._judged.get(experiment.id) not in {None, ExperimentState.HELD}:
            return None
        if self._judged.pop(experiment.id, None) is experiment.state:
            self._judged[experiment.id] = experiment.state
            return None
        # On one that is held a person decides, which is told too.
        self._judged[experiment.id] = experiment.state
        if len(self._judged) > _REMEMBERED_VERDICTS:
            del self._judged[next(iter(self._judged))]
        return self._claims.pop(experiment.id, "")
