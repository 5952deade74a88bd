"""What a commit on ``main`` states about itself, as values and as the trailers of its message.

Not here: deciding anything, and git; these are values and text only.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ar_core.lifecycle import Reason
from ar_core.metric import format_number
from ar_core.text import one_line

NOTE_LIMIT = 100
TEXT_LIMIT = 200
NO_PARENT = "root"
NO_CLAIM = "none"
EXACT = "exact"
HIGH = "high"
"""The integrity that no trailer states."""
CONTINUES = "Continues"
"""The trailer of a revision's commit that changes no score."""

_TRAILER = re.compile(r"([A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)*): (.*)")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_PROBLEM = re.compile(r"[a-z0-9-]{3,64}")
_DIGEST = re.compile(r"[A-Za-z0-9:+/=-]{1,100}")
_SEED = re.compile(r"[A-Za-z0-9+/=_-]{1,100}")
_INTEGRITY = re.compile("high|low")
_NUMBER = r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_SCORE = re.compile(
    rf"(?P<value>{_NUMBER})(?: (?P<unit>.+))? \[n=(?P<n>\d+)(?:; (?P<low>{_NUMBER}) to (?P<high>{_NUMBER}))?\]"
)


class EvidenceError(ValueError):
    """Trailers that are missing or not of the form the pool writes; the message names the trailer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A verified score: the number, its unit, how many runs, and the interval of their mean if known."""

    value: float
    unit: str = ""
    n: int = 1
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", one_line(self.unit, TEXT_LIMIT))
        object.__setattr__(self, "value", _finite("score", self.value))
        if self.n < 1:
            raise EvidenceError("Score: at least one run is needed")
        if self.interval is not None:
            low, high = self.interval
            object.__setattr__(self, "interval", (_finite("interval", low), _finite("interval", high)))

    def __str__(self) -> str:
        """The plain number at full precision, then unit, n and interval after a space."""
        unit = f" {self.unit}" if self.unit else ""
        interval = f"; {self.interval[0]!r} to {self.interval[1]!r}" if self.interval else ""
        return f"{self.value!r}{unit} [n={self.n}{interval}]"

    @classmethod
    def parse(cls, text: str) -> "Score":
        """Read what ``str`` wrote; raises ``EvidenceError`` otherwise."""
        match = _SCORE.fullmatch(text)
        if match is None:
            raise EvidenceError("Score: does not begin with a number and end with the number of runs")
        interval = None
        if match["low"] is not None:
            interval = (float(match["low"]), float(match["high"]))
        return cls(value=float(match["value"]), unit=match["unit"] or "", n=int(match["n"]), interval=interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What the first commit of a revision states: the baseline that the first improvement has to beat."""

    problem: str
    revision: int
    score: Score
    locked_digest: str
    seeds: tuple[str, ...] = ()
    integrity: str = HIGH
    step: float | None = None
    """What the scores of this revision are rounded to; ``None`` where they are as they were measured."""
    continues: int | None = None
    """The revision before it where nothing changed that scores depend on; then ``score`` is that of its best."""

    def __post_init__(self) -> None:
        _check_common(self.problem, self.revision, self.locked_digest)
        if self.continues is not None and not 1 <= self.continues < self.revision:
            raise EvidenceError("Continues: is a revision before this one")
        _check("Integrity", _INTEGRITY, self.integrity)
        for seed in self.seeds:
            _check("Seeds", _SEED, seed)
        if self.step is not None and _finite("step", self.step) <= 0:
            raise EvidenceError("Rounded-To: must be above 0")

    def to_message(self, note: str = "", *, decimals: int | None = None) -> bytes:
        """Return the commit message; ``note`` defaults to "Publish NAME"."""
        subject = _subject(note, f"Publish {self.problem}", self.score, decimals)
        trailers = {
            "Problem": self.problem,
            "Revision": str(self.revision),
            "Score": str(self.score),
            "Locked-Digest": self.locked_digest,
        }
        if self.step is not None:
            trailers["Rounded-To"] = repr(self.step)
        if self.continues is not None:
            trailers[CONTINUES] = str(self.continues)
        if self.seeds:
            trailers["Seeds"] = " ".join(self.seeds)
        if self.integrity != HIGH:
            trailers["Integrity"] = self.integrity
        return _message(subject, trailers)

    @classmethod
    def from_trailers(cls, trailers: Mapping[str, str]) -> "Publication":
        """Read the trailers of a commit; raises ``EvidenceError`` when one is missing or damaged."""
        return cls(
            problem=_get(trailers, "Problem"),
            revision=_integer("Revision", _get(trailers, "Revision")),
            score=Score.parse(_get(trailers, "Score")),
            locked_digest=_get(trailers, "Locked-Digest"),
            seeds=tuple(trailers.get("Seeds", "").split()),
            integrity=trailers.get("Integrity", HIGH),
            step=number_of(trailers, "Rounded-To") if "Rounded-To" in trailers else None,
            continues=_integer(CONTINUES, trailers[CONTINUES]) if CONTINUES in trailers else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an accepted improvement states. Texts are made one clean line when the value is made.

    ``claimed`` is ``None`` for a proposal without a number; ``evidence`` is the e-value, ``None`` if exact;
    ``parent_experiment`` is ``None`` where the parent is the published file; ``gain`` and ``baseline`` are in
    the metric's unit, from the same runs as ``score``.
    """

    experiment: str
    problem: str
    revision: int
    contributor: str
    worker: str
    agent: str
    score: Score
    baseline: float
    claimed: float | None
    gain: float
    pairs: int
    evidence: float | None
    verifier: str
    locked_digest: str
    parent_experiment: str | None = None
    seeds: tuple[str, ...] = ()
    reason: Reason | None = None
    """``simpler`` or ``rebased``."""
    integrity: str = HIGH
    """``low`` where the candidate prints its own score."""

    def __post_init__(self) -> None:
        _check_common(self.problem, self.revision, self.locked_digest)
        _check("Integrity", _INTEGRITY, self.integrity)
        if self.reason not in {None, Reason.SIMPLER, Reason.REBASED}:
            raise EvidenceError("Reason: an accept has none but simpler and rebased")
        for field in ("contributor", "worker", "agent", "verifier"):
            object.__setattr__(self, field, one_line(getattr(self, field), TEXT_LIMIT) or "unknown")
        for field in ("baseline", "gain"):
            object.__setattr__(self, field, _finite(field, getattr(self, field)))
        for field in ("claimed", "evidence"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, _finite(field, value))
        _check("Experiment", _ID, self.experiment)
        if self.parent_experiment is not None:
            _check("Parent-Experiment", _ID, self.parent_experiment)
            if self.parent_experiment == NO_PARENT:
                raise EvidenceError(f"Parent-Experiment: {NO_PARENT!r} is not an experiment; use None")
        if self.pairs < 0:
            raise EvidenceError("Pairs: cannot be negative")
        for seed in self.seeds:
            _check("Seeds", _SEED, seed)

    def to_message(self, note: str, *, decimals: int | None = None) -> bytes:
        """Return the commit message: what was tried and the score, then the trailers as the last paragraph.

        ``note`` is a stranger's text: it becomes part of the one subject line and can never be a trailer.
        ``decimals`` is the metric's, for the subject only; the trailer keeps full precision.
        """
        trailers = {
            "Experiment": self.experiment,
            "Problem": self.problem,
            "Revision": str(self.revision),
            "Contributor": self.contributor,
            "Worker": self.worker,
            "Agent": self.agent,
            "Score": str(self.score),
            "Baseline": repr(self.baseline),
            "Claimed": NO_CLAIM if self.claimed is None else repr(self.claimed),
            "Gain": repr(self.gain),
            "Pairs": str(self.pairs),
            "Evidence": EXACT if self.evidence is None else repr(self.evidence),
            "Verifier": self.verifier,
            "Locked-Digest": self.locked_digest,
            "Parent-Experiment": self.parent_experiment or NO_PARENT,
        }
        if self.seeds:
            trailers["Seeds"] = " ".join(self.seeds)
        if self.reason is not None:
            trailers["Reason"] = self.reason.value
        if self.integrity != HIGH:
            trailers["Integrity"] = self.integrity
        return _message(_subject(note, "Improve", self.score, decimals), trailers)

    @classmethod
    def from_trailers(cls, trailers: Mapping[str, str]) -> "Evidence":
        """Read the trailers of a commit; raises ``EvidenceError`` when one is missing or damaged."""
        claimed, evidence = _get(trailers, "Claimed"), _get(trailers, "Evidence")
        parent = _get(trailers, "Parent-Experiment")
        return cls(
            experiment=_get(trailers, "Experiment"),
            problem=_get(trailers, "Problem"),
            revision=_integer("Revision", _get(trailers, "Revision")),
            contributor=_get(trailers, "Contributor"),
            worker=_get(trailers, "Worker"),
            agent=_get(trailers, "Agent"),
            score=Score.parse(_get(trailers, "Score")),
            baseline=_number("Baseline", _get(trailers, "Baseline")),
            claimed=None if claimed == NO_CLAIM else _number("Claimed", claimed),
            gain=_number("Gain", _get(trailers, "Gain")),
            pairs=_integer("Pairs", _get(trailers, "Pairs")),
            evidence=None if evidence == EXACT else _number("Evidence", evidence),
            verifier=_get(trailers, "Verifier"),
            locked_digest=_get(trailers, "Locked-Digest"),
            parent_experiment=None if parent == NO_PARENT else parent,
            seeds=tuple(trailers.get("Seeds", "").split()),
            reason=_reason(trailers.get("Reason")),
            integrity=trailers.get("Integrity", HIGH),
        )


def parse_trailers(message: str) -> dict[str, str]:
    """Return the trailers of a commit message: its last paragraph, if every line of that is one.

    The first paragraph is the subject and never counts, whatever it looks like.
    """
    paragraphs = re.split(r"\n\n+", message.strip("\n"))
    if len(paragraphs) < 2:
        return {}
    found: dict[str, str] = {}
    for line in paragraphs[-1].split("\n"):
        match = _TRAILER.fullmatch(line)
        if match is None:
            return {}
        found.setdefault(match[1], match[2].strip())
    return found


def commit_message(what: str, score: Score, decimals: int, trailers: Mapping[str, str]) -> bytes:
    """Return a message of one line on what was done and the score it came to, and trailers."""
    return _message(_subject(what, what, score, decimals), trailers)


def trailer_of(trailers: Mapping[str, str], name: str) -> str:
    """Return a trailer; raises ``EvidenceError`` when it is missing."""
    return _get(trailers, name)


def number_of(trailers: Mapping[str, str], name: str) -> float:
    """Return a trailer that is a finite number; raises ``EvidenceError``."""
    return _number(name, _get(trailers, name))


def _subject(note: str, default: str, score: Score, decimals: int | None) -> str:
    # git ends a message at a line that begins with "---", and skips one that begins with "#".
    tried = one_line(note, NOTE_LIMIT).lstrip("-# ").rstrip(": ") or default
    number = repr(score.value) if decimals is None else format_number(score.value, decimals)
    return f"{tried}: {number}{' ' + score.unit if score.unit else ''}"


def _message(subject: str, trailers: Mapping[str, str]) -> bytes:
    lines = [subject, "", *(f"{name}: {value}" for name, value in trailers.items()), ""]
    return "\n".join(lines).encode("utf-8")


def _check_common(problem: str, revision: int, locked_digest: str) -> None:
    _check("Problem", _PROBLEM, problem)
    _check("Locked-Digest", _DIGEST, locked_digest)
    if revision < 1:
        raise EvidenceError("Revision: begins at 1")


def _check(trailer: str, pattern: re.Pattern[str], text: str) -> None:
    if not pattern.fullmatch(text):
        raise EvidenceError(f"{trailer}: {text[:60]!a} is not of the expected form")


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise EvidenceError(f"{name.capitalize()}: must be a finite number")
    return float(value)


def _reason(word: str | None) -> Reason | None:
    if word is None:
        return None
    try:
        return Reason(word)
    except ValueError:
        raise EvidenceError(f"Reason: {word[:40]!r} is not a reason") from None


def _get(trailers: Mapping[str, str], name: str) -> str:
    value = trailers.get(name)
    if not value:
        raise EvidenceError(f"{name}: this trailer is missing")
    return value


def _integer(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise EvidenceError(f"{name}: {text[:60]!a} is not a whole number")
    return int(text)


def _number(name: str, text: str) -> float:
    if not re.fullmatch(_NUMBER, text):
        raise EvidenceError(f"{name}: {text[:60]!a} is not a number")
    return float(text)
