"""How the panel looks: a state, a window and a time in, lines out.

Not here: what is known (``model``), getting it onto a terminal (``live``). Pure.
"""

from dataclasses import dataclass

from rich.text import Text

from ar_core.panel.frame import FRAME_COLUMNS, FRAME_ROWS, WIDEST, fit, framed, spread
from ar_core.panel.marks import bar
from ar_core.panel.words import clock, per_second
from ar_worker.panel.model import Lease, Line, State
from ar_worker.rules import Phase

LEAST_COLUMNS, LEAST_ROWS = 36, 6
"""In a smaller window there is no panel."""
_WIDE, _MIDDLE = 74, 52
_COLOURS = {"working": "green", "waiting": "yellow", "finishing": "yellow", "stopping": "yellow"}
_HINT = "Ctrl-C gives the machine back"


def view(state: State, columns: int, rows: int, now: float) -> list[Text]:
    """Return the panel for a window of this size; one row and one column of it stay free for the cursor."""
    width, height = min(columns - 1, WIDEST), rows - 1
    if width < LEAST_COLUMNS or height < LEAST_ROWS:
        return []
    inner = width - FRAME_COLUMNS
    body = _body(state, inner, height - FRAME_ROWS, now)
    title = f"{state.run.pool} · {state.run.name}" if state.run.name else state.run.pool
    return framed(body, title=title, right=_left(state, now), below=_HINT, width=width)


def summary(state: State) -> str:
    """Return the run in one line, for when the panel is gone."""
    verdicts = f"{state.accepted} accepted, {state.held} held, {state.rejected} rejected"
    return f"in all    {state.experiments} evaluations, {_claims(state)}: {verdicts}"


def _body(state: State, inner: int, height: int, now: float) -> list[Text]:
    """Return what is in the frame; where room is short, empty rows go first, then events, then slots."""
    head, totals = _state(state, inner), _totals(state, inner, now)
    lines = [_line(line, inner) for line in state.lines]
    table = _table(state, inner, max(1, height - 2), now)
    spare = height - 2 - len(table)
    gaps = 3 if spare >= 3 + len(lines) else 0
    shown = lines[-(spare - gaps) :] if spare > gaps else []
    gap = [Text()] if gaps else []
    return [head, *gap, *table, *gap, totals, *(gap if shown else []), *shown]


def _line(line: Line, inner: int) -> Text:
    return fit(Text(line.text, style=line.colour), inner)


# --- The first and the last words


def _left(state: State, now: float) -> str:
    return "" if state.ends is None else f"{clock(state.ends - now)} left"


def _state(state: State, inner: int) -> Text:
    word, why = _words(state)
    return fit(Text.assemble((word, f"bold {_COLOURS[word]}"), f"  {why}" if why else ""), inner)


def _words(state: State) -> tuple[str, str]:
    busy = sum(lease is not None for lease in state.slots)
    match state.phase:
        case Phase.FINISHING:
            return "finishing", "no new work; what runs is completed"
        case Phase.SETTLING:
            return "finishing", "waits for receipts and verdicts"
        case Phase.STOPPING | Phase.DONE:
            return "stopping", "rooms are killed, leases go back"
    if not state.online:
        return "working" if busy else "waiting", state.wait or "connecting to the pool"
    if busy:
        return "working", f"in {busy} of {len(state.slots)} slots" if len(state.slots) > 1 else ""
    return "waiting", state.wait or "asked the pool for work"


def _totals(state: State, inner: int, now: float) -> Text:
    most = state.run.max_experiments
    count = f"{state.experiments}" if most is None else f"{state.experiments} of {most}"
    rate = f", {per_second(state.rate(now))}" if state.experiments else ""
    long = f"{count} evaluations{rate}", _verdicts(state, every=True)
    short = f"{count} tried{rate}", _verdicts(state, every=False)
    left, right = long if len(long[0]) + 2 + long[1].cell_len <= inner else short
    claims = f"{_claims(state)}: " if inner >= _WIDE else ""
    return spread(left, Text.assemble(claims, right), inner)


def _verdicts(state: State, *, every: bool) -> Text:
    """Return the counts of verdicts; without ``every`` only those above 0."""
    counts = [
        (state.accepted, "accepted", "green"),
        (state.held, "held", "yellow"),
        (state.rejected, "rejected", "red"),
    ]
    shown = [(number, word, colour) for number, word, colour in counts if every or number]
    return Text(", ").join(Text(f"{number} {word}", style=colour if number else "") for number, word, colour in shown)


def _claims(state: State) -> str:
    return f"{state.claims} claim{'' if state.claims == 1 else 's'}"


# --- One row for each slot


@dataclass(frozen=True, slots=True, kw_only=True)
class _Widths:
    """Columns of the table, in their order; those of 0 are left out."""

    slot: int = 0
    problem: int
    bar: int = 0
    time: int = 5
    tried: int = 5
    score: int = 9
    parent: int = 0

    @classmethod
    def at(cls, inner: int) -> "_Widths":
        if inner >= _WIDE:
            problem = max(16, inner // 4)
            return cls(slot=4, problem=problem, bar=inner - 47 - problem, tried=6, score=10, parent=10)
        if inner >= _MIDDLE:
            return cls(problem=inner - 39, bar=6, parent=9)
        return cls(problem=inner - 22)


def _table(state: State, inner: int, room: int, now: float) -> list[Text]:
    widths = _Widths.at(inner)
    names = {"slot": "slot", "problem": "problem", "bar": "lease", "time": "left", "tried": "tried",
             "score": "best here", "parent": "parent's"}  # fmt: skip
    head = _row(widths, {key: Text(name) for key, name in names.items()})
    head.stylize("dim")
    rows = [_slot(widths, number, lease, now) for number, lease in enumerate(state.slots, 1)]
    if room < 2:
        return rows[:room]
    if 1 + len(rows) > room:
        hidden = len(rows) - (room - 2)
        return [head, *rows[: room - 2], fit(Text(f"… and {hidden} more slots", style="dim"), inner)][:room]
    return [head, *rows]


def _slot(widths: _Widths, number: int, lease: Lease | None, now: float) -> Text:
    if lease is None:
        return _row(widths, {"slot": Text(str(number)), "problem": Text("–", style="dim")})
    left = max(0.0, lease.begun + lease.box - now)
    full, empty = bar(left / lease.box if lease.box > 0 else 0.0, widths.bar)
    return _row(
        widths,
        {
            "slot": Text(str(number)),
            "problem": Text(lease.problem),
            "bar": Text.assemble((full, "green"), (empty, "dim")),
            "time": Text(clock(left)),
            "tried": Text(str(lease.tried)),
            "score": Text(_score(lease.best), style="" if lease.best is None else "bold green"),
            "parent": Text(_score(lease.parent)),
        },
    )


def _row(widths: _Widths, cells: dict[str, Text]) -> Text:
    parts = [
        fit(cells.get(key, Text()), width, right=key not in {"slot", "problem", "bar"})
        for key in ("slot", "problem", "bar", "time", "tried", "score", "parent")
        if (width := getattr(widths, key))
    ]
    return Text("  " if widths.slot else " ").join(parts)


def _score(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.6g}"
