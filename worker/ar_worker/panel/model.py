"""What the panel knows of a run: events in, a new state out.

Not here: how it looks (``view``). Pure: ``now`` is in seconds of a clock that never goes back. Text of the pool's is
cleaned on its way in, and whatever an event brings, nothing here raises.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ar_core.panel.words import clean
from ar_core.text import one_line
from ar_worker.rules import Phase
from ar_worker.sentences import wait_sentence

WINDOW_SECONDS = 60
"""The rate is that of this last while."""
LONGEST_LINE = 400
_SHOWN_LINES = 6
_MOST_WAITING = 16
_NO_CONNECTION = "no_connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is known before it begins; ``seconds`` and ``max_experiments`` are when to end."""

    pool: str
    name: str
    slots: int
    seconds: float | None = None
    max_experiments: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One lease as seen from outside; ``box`` in seconds, from ``begun`` on; scores as measured here."""

    id: str
    problem: str
    box: float
    begun: float
    tried: int = 0
    parent: float | None = None
    best: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that the panel shows. ``slots`` has a lease or ``None`` for each slot."""

    run: Run
    begun: float
    phase: Phase = Phase.RUNNING
    online: bool = False
    wait: str = ""
    """Why there is no work, as the pool or the connection has it."""
    slots: tuple[Lease | None, ...] = ()
    next: tuple[Lease, ...] = ()
    """Leases for which no slot is free yet."""
    experiments: int = 0
    recent: tuple[tuple[int, int], ...] = ()
    """How many in each of the last seconds in which there were any."""
    claims: int = 0
    accepted: int = 0
    held: int = 0
    rejected: int = 0
    lines: tuple[Line, ...] = ()

    @property
    def ends(self) -> float | None:
        """When the owner wants it to end."""
        return None if self.run.seconds is None else self.begun + self.run.seconds

    def rate(self, now: float) -> float:
        """Return the evaluations per second of the last while."""
        since = max(self.begun, now - WINDOW_SECONDS)
        count = sum(n for second, n in self.recent if second >= math.floor(since))
        return count / max(1.0, now - since)


def begin(run: Run, now: float) -> State:
    """Return the state before the first event."""
    clean = replace(run, pool=one_line(run.pool, 60), name=one_line(run.name, 60))
    return State(run=clean, begun=now, slots=(None,) * max(0, run.slots))


def noted(state: State, *, phase: Phase, online: bool) -> State:
    """Return the state with what no event tells: how far the run is, and whether the pool listens."""
    if (phase, online) == (state.phase, state.online):
        return state
    wait = "" if online and not state.online else state.wait
    return replace(state, phase=phase, online=online, wait=wait)


def told(state: State, text: str, colour: str = "") -> State:
    """Return the state with one more line of what happened."""
    line = Line(text=clean(text, LONGEST_LINE), colour=colour)
    return replace(state, lines=(*state.lines, line)[-_SHOWN_LINES:])


def take(state: State, event: str, fields: Mapping[str, object], now: float) -> State:
    """Return the state after an announced event."""
    match event:
        case "leased":
            return _leased(state, fields, now)
        case "scored":
            return _scored(state, fields, now)
        case "released":
            return _released(state, fields, now)
        case "reported":
            claims = fields.get("claims")
            return replace(state, claims=state.claims + (len(claims) if isinstance(claims, list | tuple) else 0))
        case "verdict":
            return _verdict(state, fields)
        case "waiting":
            return replace(state, wait=wait_sentence(fields.get("reasons")))
    return state


def _leased(state: State, fields: Mapping[str, object], now: float) -> State:
    problem = one_line(str(fields.get("problem", "")), 80)
    box = max(0.0, _number(fields.get("box")) or 0.0)
    lease = Lease(id=str(fields.get("lease", "")), problem=problem, box=box, begun=now)
    waiting = (*state.next, lease)[:_MOST_WAITING]
    return _filled(replace(state, next=waiting, wait=""), now)


def _filled(state: State, now: float) -> State:
    """Put the leases that wait into free slots, as the session does; their boxes begin then."""
    slots, waiting = list(state.slots), list(state.next)
    while waiting and None in slots:
        slots[slots.index(None)] = replace(waiting.pop(0), begun=now)
    return replace(state, slots=tuple(slots), next=tuple(waiting))


def _released(state: State, fields: Mapping[str, object], now: float) -> State:
    name = str(fields.get("lease", ""))
    slots = tuple(None if lease is not None and lease.id == name else lease for lease in state.slots)
    waiting = tuple(lease for lease in state.next if lease.id != name)
    return _filled(replace(state, slots=slots, next=waiting), now)


def _scored(state: State, fields: Mapping[str, object], now: float) -> State:
    name = str(fields.get("lease", ""))
    slots = tuple(_tried(lease, fields) if lease is not None and lease.id == name else lease for lease in state.slots)
    second = math.floor(now)
    recent = [(then, n) for then, n in state.recent if second - WINDOW_SECONDS <= then < second]
    recent.append((second, 1 + sum(n for then, n in state.recent if then == second)))
    return replace(state, slots=slots, recent=tuple(recent), experiments=state.experiments + 1)


def _tried(lease: Lease, fields: Mapping[str, object]) -> Lease:
    """Take in one evaluation. Only claims are better than what came before, and each than the last one."""
    parent = _number(fields.get("parent_score"))
    best = lease.best
    if best is not None and lease.parent is not None and parent is not None and parent != lease.parent:
        # Gone on from somebody else's version: what was better than the old one may not be better than that.
        best = best if (best - lease.parent) * (best - parent) > 0 else None
    if fields.get("claim"):
        best = _number(fields.get("score"))
    return replace(lease, tried=lease.tried + 1, parent=parent, best=best)


def _verdict(state: State, fields: Mapping[str, object]) -> State:
    match fields.get("status"):
        case "accepted":
            return replace(state, accepted=state.accepted + 1)
        case "held":
            return replace(state, held=state.held + 1)
        case "rejected":
            return replace(state, rejected=state.rejected + 1)
    return state


def _number(value: object) -> float | None:
    """Return a finite number, ``None`` for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
