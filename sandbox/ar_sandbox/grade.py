"""Grades of a machine's rooms, and which are good enough for somebody.

Not here: earning one (``probe``).
"""

from collections.abc import Mapping
from enum import StrEnum

from ar_core.errors import PoolError

VARIABLE = "AR_MIN_GRADE"
"""The environment variable in which an owner demands a grade of his own machine; ``B`` without it."""


class Grade(StrEnum):
    """How far a machine's rooms can be trusted: ``A`` has kernel limits for a whole room, ``B`` a watcher."""

    A = "A"
    B = "B"
    C = "C"
    NONE = "none"

    def reaches(self, least: "Grade") -> bool:
        """Tell whether this is as good as ``least`` or better."""
        order = list(Grade)
        return order.index(self) <= order.index(least)


def demanded(variables: Mapping[str, str]) -> Grade:
    """Return the grade that this machine's owner wants at least, never below B; raises ``PoolError`` AR-A101."""
    word = variables.get(VARIABLE) or Grade.B
    if word not in {Grade.A, Grade.B}:
        raise PoolError("AR-A101", f"{VARIABLE} is A or B, not {word[:80]!r}")
    return Grade(word)


def refuse_below(least: Grade, grade: Grade, reason: str) -> None:
    """Raise ``PoolError`` AR-S500 where ``grade``, earned for ``reason``, is not good enough."""
    if not grade.reaches(least):
        raise PoolError(
            "AR-S500",
            f"this machine's sandbox earns grade {grade}, and {least} is the least: {reason}",
            hint="`ar-worker doctor` and `ar-coordinator doctor` say what to do about it",
        )
