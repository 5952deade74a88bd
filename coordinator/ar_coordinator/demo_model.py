"""What the demo knows of its pool while the volunteers work: cards and counts in, a new state out.

Not here: asking the pool (``demo``), and how it looks (``demo_view``). Pure; ``now`` is in seconds of a clock that
never goes back.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ar_core.metric import format_number

_WINDOW_SECONDS = 10.0
_SHOWN_LINES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem: what it says of itself, and its best over the time as (time, score)."""

    name: str
    unit: str = ""
    decimals: int = 0
    baseline: float = 0.0
    best: float = 0.0
    accepted: int = 0
    tried: int = 0
    points: tuple[tuple[float, float], ...] = ()

    @property
    def scores(self) -> str:
        """The baseline and the best."""
        first, best = format_number(self.baseline, self.decimals), format_number(self.best, self.decimals)
        return f"{first} → {best} {self.unit}"

    @property
    def change(self) -> str:
        """The change in percent of the baseline; empty where that is 0."""
        if not self.baseline:
            return ""
        return f"{(self.best - self.baseline) / abs(self.baseline) * 100:+.1f} %"

    @property
    def counts(self) -> str:
        """How many were accepted of how many."""
        return f"{self.accepted} accepted of {self.tried} tried"

    @property
    def sentence(self) -> str:
        """All of it in a line."""
        return f"{self.name}: {self.scores} ({self.change}), {self.counts}"

    def best_at(self, times: Sequence[float]) -> list[float]:
        """Return the best score at each of these times."""
        stamps = [then for then, _ in self.points]
        places = [bisect_right(stamps, time) for time in times]
        return [self.points[place - 1][1] if place else self.baseline for place in places]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volunteer:
    """One volunteer: evaluations so far, the problem of the last one, and (time, count) of the last seconds."""

    name: str
    tried: int = 0
    problem: str = ""
    seen: tuple[tuple[float, int], ...] = ()

    @property
    def rate(self) -> float:
        """Evaluations per second of the last seconds."""
        if len(self.seen) < 2:
            return 0.0
        (first, before), (last, after) = self.seen[0], self.seen[-1]
        return (after - before) / (last - first) if last > first else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The demo from the moment its volunteers begin, until ``ends``."""

    web: str
    begun: float
    ends: float
    over: bool = False
    problems: tuple[Problem, ...] = ()
    volunteers: tuple[Volunteer, ...] = ()
    lines: tuple[str, ...] = ()


def read_card(card: Mapping[str, object]) -> Problem:
    """Return what a problem's card of the JSON API says now."""
    return Problem(
        name=str(card["problem"]),
        unit=str(card["unit"]),
        decimals=int(str(card["decimals"])),
        baseline=float(str(card["baseline"])),
        best=float(str(card["best"])),
        accepted=int(str(card["accepted"])),
        tried=int(str(card["experiments"])),
    )


def begin(web: str, problems: Sequence[str], volunteers: Sequence[str], now: float, seconds: float) -> State:
    """Return the state before anything is known."""
    return State(
        web=web,
        begun=now,
        ends=now + seconds,
        problems=tuple(Problem(name=name) for name in problems),
        volunteers=tuple(Volunteer(name=name) for name in volunteers),
    )


def looked(state: State, card: Problem, now: float) -> State:
    """Take in a card; a new best is a point and a line."""
    before = next(problem for problem in state.problems if problem.name == card.name)
    news = card.accepted != before.accepted
    after = replace(card, points=(*before.points, (now, card.best)) if news else before.points)
    lines = (*state.lines, f"{now - state.begun:5.1f} s  {card.sentence}") if news else state.lines
    problems = tuple(after if problem is before else problem for problem in state.problems)
    return replace(state, problems=problems, lines=lines[-_SHOWN_LINES:])


def counted(state: State, name: str, tried: int, problem: str, now: float) -> State:
    """Take in how many evaluations a volunteer has made."""

    def after(one: Volunteer) -> Volunteer:
        seen = [(then, count) for then, count in one.seen if then >= now - _WINDOW_SECONDS]
        return replace(one, tried=tried, problem=problem, seen=(*seen, (now, tried)))

    volunteers = tuple(after(one) if one.name == name else one for one in state.volunteers)
    return replace(state, volunteers=volunteers)
