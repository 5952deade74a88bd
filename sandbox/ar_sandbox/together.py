"""A service's two rooms at once: the candidate's answers, the scorer's asks, and one thread watches both.

Not here: how one room is watched (``supervisor``) and what the ends of the two mean (``evaluation``).

Both rooms are made at the same time, but the scorer's command begins when there is a socket to connect to. So a
candidate may take its whole time to start, none of it is measured, and one that never listens costs no scorer.
"""

import selectors
import time
from collections.abc import Callable

from ar_sandbox.supervisor import TICK, End, Room, RoomRun

_GRACE = 0.2
"""Seconds in which a candidate whose connections broke may turn out to have died, after the scorer gave up."""
_FIRST_LOOK = 0.001
_LOOKS = 20


def serve(
    candidate: Room, scorer: Room, *, start_within: float, listens: Callable[[], bool]
) -> tuple[RoomRun, RoomRun]:
    """Run both commands until the scorer's has ended; the scorer's room was made ``held``.

    Returns how the candidate's room ended and how the scorer's did, both dead by then. ``STOPPED`` is a candidate
    that still answered at the end, as it should, and a scorer that was spared: because the candidate did not listen
    within ``start_within`` seconds or ended before, or because it broke a limit while it was measured.
    """
    with selectors.DefaultSelector() as either:
        either.register(candidate, selectors.EVENT_READ)
        either.register(scorer, selectors.EVENT_READ)
        if _listening(candidate, scorer, either, start_within, listens):
            scorer.release()
            _measure(candidate, scorer, either)
    scorer.stop(End.STOPPED, "the candidate's room had ended")
    asked = scorer.conclude()
    if asked.end is End.EXIT and asked.status != 0:
        _end_by_itself(candidate)
    candidate.stop(End.STOPPED, "the scorer had ended")
    return candidate.conclude(), asked


def _listening(
    candidate: Room, scorer: Room, either: selectors.BaseSelector, start_within: float, listens: Callable[[], bool]
) -> bool:
    """Wait for the socket; tell whether it is there, or else one of the rooms has ended."""
    while candidate.end is None and scorer.end is None:
        pause = TICK
        if candidate.started is not None:
            age = time.monotonic() - candidate.started
            if age >= start_within:
                candidate.stop(End.TIMEOUT, f"no socket at $AR_SOCKET within {start_within:g} s")
                return False
            pause = min(TICK, start_within - age, max(_FIRST_LOOK, age / _LOOKS))
        either.select(pause)
        candidate.step(0)
        scorer.step(0)
        if candidate.end is None and scorer.end is None and listens():
            return True
    return False


def _measure(candidate: Room, scorer: Room, either: selectors.BaseSelector) -> None:
    """Watch both until the scorer has ended, or the candidate has broken a limit."""
    while not scorer.step(0):
        either.select(TICK)
        if candidate.end is None and candidate.step(0):
            either.unregister(candidate)
            if candidate.end is not End.EXIT:
                return


def _end_by_itself(candidate: Room) -> None:
    """Give the candidate a moment: its death may have broken the scorer's connection before it shows."""
    deadline = time.monotonic() + _GRACE
    while (left := deadline - time.monotonic()) > 0 and not candidate.step(min(TICK, left)):
        pass
