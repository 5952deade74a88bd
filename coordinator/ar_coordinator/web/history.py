"""A problem's records with the numbers that people call them by: accepts count from 1, a baseline is 0.

Not here: experiments that were not accepted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ar_coordinator.store.problems import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One record and its number; ``baseline`` tells that it begins a revision."""

    number: int
    record: Record

    @property
    def baseline(self) -> bool:
        """Tell whether this is a revision's first version and not an accepted experiment."""
        return not self.record.experiment and not self.record.reverts


def steps(records: Sequence[Record]) -> list[Step]:
    """Number the records, oldest first; a baseline does not count, nor a step that takes others back."""
    found: list[Step] = []
    accepted = 0
    for record in records:
        counts = bool(record.experiment) and not record.reverts
        accepted += counts
        found.append(Step(number=accepted if counts or record.reverts else 0, record=record))
    return found


def find(records: Sequence[Record], number: int) -> Step | None:
    """Return the record of this number; 0 is the newest baseline."""
    found = (step for step in reversed(steps(records)) if step.number == number and not step.record.reverts)
    return next(found, None)


def of_experiment(records: Sequence[Record], experiment_id: str) -> Step | None:
    """Return the record that an experiment became, if it did."""
    return next((step for step in steps(records) if step.record.experiment == experiment_id), None)


def of_commit(records: Sequence[Record], commit: str) -> Step | None:
    """Return the record that a commit holds, if there is one."""
    return next((step for step in steps(records) if commit and step.record.commit == commit), None)
