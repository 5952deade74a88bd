"""How the demo's panel looks: a state, a window and a time in, lines out.

Not here: what is known (``demo_model``), getting it onto a terminal (``demo_panel``). Pure.
"""

from rich.text import Text

from ar_coordinator.demo_model import Problem, State, Volunteer
from ar_core.panel.frame import FRAME_COLUMNS, FRAME_ROWS, WIDEST, fit, framed, spread
from ar_core.panel.marks import curve
from ar_core.panel.words import clean, clock, per_second

LEAST_COLUMNS, LEAST_ROWS = 36, 10
_SCORES = 30


def view(state: State, columns: int, rows: int, now: float) -> list[Text]:
    """Return the panel for a window of this size; one row and one column of it stay free for the cursor."""
    width, height = min(columns - 1, WIDEST), rows - 1
    if width < LEAST_COLUMNS or height < LEAST_ROWS:
        return []
    inner, room = width - FRAME_COLUMNS, height - FRAME_ROWS
    body: list[Text] = []
    for problem in state.problems:
        body += _problem(problem, state, inner, now)
    body += [_volunteer(one, inner, over=state.over) for one in state.volunteers]
    lines = [fit(clean(line), inner) for line in state.lines]
    gaps = room - len(body) - len(lines) >= 2
    if gaps:
        first = 2 * len(state.problems)
        body[first:first] = [Text()]
    left = room - len(body) - (1 if gaps else 0)
    shown = lines[-left:] if left > 0 else []
    body += [Text()] if gaps and shown else []
    word = "over" if state.over else f"{clock(state.ends - now)} left"
    return framed([*body, *shown][:room], title="demo pool", right=word, below=state.web, width=width)


def _problem(problem: Problem, state: State, inner: int, now: float) -> list[Text]:
    """Draw one problem: name and counts, then its scores and the best over the time."""
    head = spread(Text(clean(problem.name), style="bold"), problem.counts, inner)
    if not problem.tried and not problem.accepted and problem.baseline == problem.best == 0:
        return [head, fit(Text("  …", style="dim"), inner)]
    scores = Text(f"  {clean(problem.scores)}  ")
    scores.append(problem.change, style="green" if problem.accepted else "")
    start = max(_SCORES, scores.cell_len) + 2
    width = max(0, inner - start)
    drawn = Text(_best(problem, state, width, now), style="green")
    return [head, fit(fit(scores, start) + drawn, inner)]


def _best(problem: Problem, state: State, width: int, now: float) -> str:
    """Draw the best over the time; the whole width is the whole time."""
    if not width or state.ends <= state.begun:
        return ""
    step = (state.ends - state.begun) / width
    passed = min(width, max(1, int((now - state.begun) / step)))
    return curve(problem.best_at([state.begun + step * (column + 1) for column in range(passed)]), width)


def _volunteer(one: Volunteer, inner: int, *, over: bool) -> Text:
    rate = f", {per_second(one.rate)}" if one.rate > 0 and not over else ""
    return spread(Text(f"{one.name:8}{one.tried} tried{rate}"), Text(clean(one.problem), style="dim"), inner)
