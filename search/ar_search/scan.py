"""Reads a text as tokens and keeps what a search needs: numbers with names, arrays, booleans, ``tune:`` comments.

Not a parser: it reads any text, right or wrong, in one pass, and never fails.
"""

import math
import re
from dataclasses import dataclass, field

from ar_search.hints import Range, read_comment
from ar_search.languages import Language

_LONGEST_LITERAL = 40
_SHORTEST_RUN = 3
_DEEPEST_GROUP = 40
_OPEN, _CLOSE = "([{", ")]}"
_LARGEST_WHOLE = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One numeric literal as it stands, its sign included where it has one of its own."""

    start: int
    end: int
    line: int
    name: str
    value: float
    whole: bool
    signed: bool
    subscript: bool
    bounds: Range | None
    """From a comment on the line on which a bracket around it was opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGroup:
    """Numbers inside one pair of brackets and nothing else; ``flat``: no brackets within."""

    numbers: tuple[int, ...]
    flat: bool


@dataclass(slots=True)
class Scan:
    """What one pass found; ``comments`` gives the range that a comment sets for a line, counted from 0."""

    numbers: list[Found] = field(default_factory=list)
    groups: list[FoundGroup] = field(default_factory=list)
    booleans: list[tuple[int, int]] = field(default_factory=list)
    comments: dict[int, Range] = field(default_factory=dict)


@dataclass(slots=True)
class _Frame:
    """One open bracket. ``pure``: nothing but numbers, separators and pure brackets so far."""

    pure: bool
    subscript: bool
    inherited: str
    line: int = 0
    bounds: Range | None = None
    name: str = ""
    typed: bool = False
    flat: bool = True
    numbers: list[int] = field(default_factory=list)
    inner: list[FoundGroup] = field(default_factory=list)

    def forget(self) -> None:
        """An entry or statement ended: what comes next has no name yet."""
        self.name, self.typed = "", False


def scan(text: str, language: Language) -> Scan:
    """Return what ``text`` holds."""
    return _Scanner(text, language).run()


class _Scanner:
    def __init__(self, text: str, language: Language) -> None:
        self._text = text
        self._language = language
        self._found = Scan()
        self._frames = [_Frame(pure=False, subscript=False, inherited="")]
        self._line = 0
        self._line_has_code = False
        self._tune: Range | None = None
        self._before: re.Match[str] | None = None
        self._minus: re.Match[str] | None = None
        self._run: list[int] = []

    def run(self) -> Scan:
        for token in self._language.token.finditer(self._text):
            kind = (token.lastgroup or "").partition("_")[0]
            if kind == "comment":
                self._comment(token)
            elif kind == "newline":
                self._newline()
            else:
                self._code(kind, token)
        while len(self._frames) > 1:
            self._close()
        self._end_run()
        self._end_line()
        self._found.groups += self._frames[0].inner
        self._found.groups.sort(key=lambda group: group.numbers)
        return self._found

    def _comment(self, token: re.Match[str]) -> None:
        bounds = read_comment(token.group())
        lines = token.group().count("\n")
        self._tune = bounds or self._tune
        if lines:
            self._line += lines
            self._line_has_code = False

    def _newline(self) -> None:
        self._end_line()
        self._line += 1
        self._line_has_code = False
        if len(self._frames) == 1:
            self._frames[0].forget()

    def _end_line(self) -> None:
        if not self._line_has_code:
            # A comment on a line of its own is about the line that follows.
            return
        if self._tune is not None:
            self._found.comments[self._line] = self._tune
            self._tune = None
        frame = self._frames[-1]
        if frame.line == self._line and len(self._frames) > 1:
            frame.bounds = self._found.comments.get(self._line, frame.bounds)

    def _code(self, kind: str, token: re.Match[str]) -> None:
        self._line_has_code = True
        frame = self._frames[-1]
        minus, self._minus = self._minus, None
        word = token.group()
        if kind == "number":
            self._number(token, minus)
        elif kind == "operator" and word in _OPEN:
            self._open(token)
        elif kind == "operator" and word in _CLOSE:
            self._close()
        elif kind == "operator" and word in ",;":
            frame.forget()
        elif kind == "operator" and word == "-":
            self._minus = token if self._is_sign(token) else None
            frame.pure = frame.pure and self._minus is not None
            if self._minus is None:
                self._end_run()
        else:
            self._end_run()
            frame.pure = False
            if kind == "operator" and word in ":=":
                self._named(word)
            elif kind == "word" and word in self._language.booleans:
                self._found.booleans.append(token.span())
        self._line += word.count("\n")
        self._before = token

    def _named(self, operator: str) -> None:
        before, frame = self._before, self._frames[-1]
        if before is None or before.lastgroup not in {"word", "string", "odd"}:
            return
        # In ``x: float = 5`` the name is x.
        if operator == "=" and frame.typed:
            return
        frame.name = before.group().strip("\"'")
        frame.typed = operator == ":"

    def _number(self, token: re.Match[str], minus: re.Match[str] | None) -> None:
        literal, frame = token.group(), self._frames[-1]
        value = float(literal) if len(literal) <= _LONGEST_LITERAL else math.inf
        whole = literal.isdigit()
        if not math.isfinite(value) or (whole and value > _LARGEST_WHOLE):
            frame.pure = False
            self._end_run()
            return
        behind_minus = minus is None and self._before is not None and self._before.group() == "-"
        if frame.pure:
            frame.numbers.append(len(self._found.numbers))
        elif len(self._frames) == 1 and self._language.bare_runs:
            self._run.append(len(self._found.numbers))
        self._found.numbers.append(
            Found(
                start=minus.start() if minus else token.start(),
                end=token.end(),
                line=self._line,
                name=frame.name or frame.inherited,
                value=-value if minus else value,
                whole=whole,
                signed=not behind_minus,
                subscript=frame.subscript,
                bounds=frame.bounds,
            )
        )

    def _is_sign(self, token: re.Match[str]) -> bool:
        place, before = token.end(), self._before
        if not self._text[place : place + 1].isdigit() and self._text[place : place + 1] != ".":
            return False
        if before is None or (before.lastgroup == "operator" and before.group() not in _CLOSE):
            return True
        spaced = self._text[token.start() - 1 : token.start()].isspace()
        return spaced and self._language.sign_after_space

    def _open(self, token: re.Match[str]) -> None:
        outer, before = self._frames[-1], self._before
        self._end_run()
        follows = before is not None and before.end() == token.start()
        called = follows and before is not None and (before.lastgroup == "word" or before.group() in _CLOSE)
        name = outer.name or outer.inherited
        pure = not called and len(self._frames) < _DEEPEST_GROUP
        subscript = called and token.group() == "["
        self._frames.append(
            _Frame(pure=pure, subscript=subscript, inherited=name, line=self._line, bounds=outer.bounds)
        )

    def _close(self) -> None:
        if len(self._frames) == 1:
            self._end_run()
            return
        frame = self._frames.pop()
        outer = self._frames[-1]
        outer.flat = False
        if not frame.pure:
            outer.pure = False
            # The shorter list goes into the longer one, else deep brackets would take for ever.
            outer.inner, shorter = sorted((outer.inner, frame.inner), key=len, reverse=True)
            outer.inner += shorter
            return
        outer.inner += _groups(frame)
        if outer.pure:
            # Brackets of numbers in brackets of numbers are one group, such as a list of points.
            outer.numbers += frame.numbers

    def _end_run(self) -> None:
        if len(self._run) >= _SHORTEST_RUN:
            self._found.groups.append(FoundGroup(numbers=tuple(self._run), flat=True))
        self._run.clear()


def _groups(frame: _Frame) -> list[FoundGroup]:
    if len(frame.numbers) < 2:
        return []
    return [FoundGroup(numbers=tuple(frame.numbers), flat=frame.flat)]
