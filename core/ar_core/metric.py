"""The one number of a problem: its direction, its printed forms and how a line of output becomes a score.

Not here: deciding whether a score is an improvement worth accepting (``acceptance``).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MAX_FEEDBACK_BYTES = 4096
MAX_FEEDBACK_LINES = 20
MAX_SECONDARY_METRICS = 32
LARGEST = 1e150
"""Of a score or secondary metric, either way: its square is a number still, and so are sums of them."""

_PLAIN_BELOW = 1e15
"""Beyond this, decimals are noise and digits would fill a page or a column."""
_GENERIC_NAMES = ("score", "combined_score")
METRIC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,63}")
_LINE = re.compile(r"^\s*(?:METRIC\s+)?([A-Za-z_][A-Za-z0-9_.\-]{0,63})\s*[:=]\s*(\S+)\s*$")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Direction(StrEnum):
    """Which way the metric gets better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @classmethod
    def parse(cls, text: str) -> "Direction":
        """Read the words people use; raises ``ValueError`` for any other."""
        word = text.strip().lower()
        if word in {"maximize", "maximise", "max", "higher"}:
            return cls.MAXIMIZE
        if word in {"minimize", "minimise", "min", "lower"}:
            return cls.MINIMIZE
        raise ValueError(f"{text!r} is not a direction; write maximize or minimize")


def improvement(direction: Direction, new: float, old: float) -> float:
    """Return how much better ``new`` is than ``old`` in the metric's unit; above 0 means better."""
    return new - old if direction is Direction.MAXIMIZE else old - new


@dataclass(frozen=True, slots=True, kw_only=True)
class MinGain:
    """The smallest gain that counts: in the metric's unit, or a fraction of the incumbent's score."""

    value: float = 0.0
    relative: bool = False

    def at(self, incumbent: float) -> float:
        """Return the gain asked for, in the metric's unit, beside an incumbent of this score."""
        return abs(incumbent) * self.value if self.relative else self.value

    def __str__(self) -> str:
        return f"{self.value * 100:g}%" if self.relative else f"{self.value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a scorer said: exactly one finite score and its secondary metrics, or why there is none."""

    score: float | None
    secondary: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


def format_number(value: float, decimals: int) -> str:
    """Show ``value`` with at most ``decimals`` decimals, trailing zeros dropped, never ``-0``; large like 1e+15."""
    if not abs(value) < _PLAIN_BELOW:
        return f"{value:.6g}"
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def read_score(stdout: str, name: str, low: float | None = None, high: float | None = None) -> Reading:
    """Find the metric ``name`` in a scorer's standard output; the last match wins.

    ``stdout`` is decoded text. Accepted: ``name: 1.5``, ``METRIC name=1.5`` and a JSON object on the last
    line (there also under ``score`` or ``combined_score``). Outside ``[low, high]`` there is no score.
    """
    lines = [line for line in stdout.splitlines() if line.strip()]
    found: dict[str, object] = {}
    for line in lines:
        match = _LINE.match(line)
        if match:
            found[match.group(1)] = _number_or_text(match.group(2))
    printed = _json_object(lines[-1]) if lines else {}
    key = next((n for n in (name, *_GENERIC_NAMES) if n in printed), name)
    found.update(printed)
    if key not in found:
        return Reading(score=None, problem=f"the scorer printed no line with {name!r}")
    score = _finite(found[key])
    if score is None:
        return Reading(score=None, problem=f"the scorer's {key!r} is not one finite number, at most {LARGEST:g}")
    if (low is not None and score < low) or (high is not None and score > high):
        return Reading(score=None, problem=f"{key} = {score!r} is outside the range [{low}, {high}]")
    secondary: dict[str, float] = {}
    for other, value in found.items():
        number = _finite(value)
        if number is not None and other not in {name, *_GENERIC_NAMES} and len(secondary) < MAX_SECONDARY_METRICS:
            secondary[other] = number
    return Reading(score=score, secondary=secondary)


def _number_or_text(text: str) -> object:
    return float(text) if _NUMBER.fullmatch(text) else text


def _json_object(line: str) -> dict[str, object]:
    text = line.strip()
    if not (text.startswith("{") and text.endswith("}")) or len(text) > 65536:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    # Only names that a guard can ask for: others may hold what no store or terminal takes.
    return {key: item for key, item in value.items() if METRIC_NAME.fullmatch(key)}


def _finite(value: object) -> float | None:
    """Return a float for a real number only, of a size whose squares are numbers too: no bool, no text."""
    if type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            return None
    if type(value) is float and abs(value) <= LARGEST:
        return value
    return None
