"""What the tuner has to know of a language: its comments, strings and words, and how a file shows its own.

Not here: grammar. A file is read as a row of tokens; whether a change still parses is for ``validate``.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath


class Parser(StrEnum):
    """The cheapest check that a file is still well formed."""

    JSON = "json"
    TOML = "toml"
    PYTHON = "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One family of files. The weights say how promising a kind of change is before anything was tried."""

    name: str
    token: re.Pattern[str]
    parser: Parser | None = None
    numbers: float = 1.0
    lines: float = 0.0
    chunks: float = 0.0
    booleans: frozenset[str] = frozenset()
    sign_after_space: bool = False
    """``1 -2`` holds a negative number here, not a difference."""
    bare_runs: bool = False
    """Numbers that follow each other without brackets belong together."""


_TRIPLE = r'"""[\s\S]*?(?:"""|\Z)|' + r"'''[\s\S]*?(?:'''|\Z)"
_DOUBLE = r'"(?:\\[\s\S]|[^"\\\n])*"?'
_SINGLE = r"'(?:\\[\s\S]|[^'\\\n])*'?"
_HASH = r"\#[^\n]*"
_BLOCK = r"/\*[\s\S]*?(?:\*/|\Z)"
_SLASHES = r"//[^\n]*"
_DASHES = r"--[^\n]*"
_NOTHING = r"(?!)"
_WORD = r"[^\W\d]\w*"


def _tokens(*, comment: str, string: str, word: str = _WORD, unit: str = "") -> re.Pattern[str]:
    """Return the pattern of one language. Dates, versions and numbers with leading zeros are words of their own."""
    number = r"(?<![\w.])(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return re.compile(
        rf"(?P<comment>{comment})|(?P<string>{string})|(?P<odd_date>[0-9]+(?:[-:][0-9]+){{2,}})"
        rf"|(?P<number>{number}(?={unit}(?!\w|\.\w)))|(?P<odd>\d[\w.]*)"
        rf"|(?P<word>{word})|(?P<newline>\n)|(?P<operator>[=!<>:]=|->|\.\.+|[^\w\s])"
    )


_PYTHON = Language(
    name="python",
    token=_tokens(comment=_HASH, string=f"{_TRIPLE}|{_DOUBLE}|{_SINGLE}"),
    parser=Parser.PYTHON,
    lines=0.15,
    booleans=frozenset({"True", "False"}),
)
_JSON = Language(
    name="json",
    token=_tokens(comment=_NOTHING, string=_DOUBLE),
    parser=Parser.JSON,
    booleans=frozenset({"true", "false"}),
)
_TOML = Language(
    name="toml",
    token=_tokens(comment=_HASH, string=f"{_TRIPLE}|{_DOUBLE}|{_SINGLE}"),
    parser=Parser.TOML,
    lines=0.1,
    booleans=frozenset({"true", "false"}),
)
_CONFIG = Language(
    name="config",
    token=_tokens(comment=_HASH, string=f"{_DOUBLE}|{_SINGLE}"),
    lines=0.5,
    chunks=0.05,
    booleans=frozenset({"true", "false"}),
)
_SQL = Language(
    name="sql",
    token=_tokens(comment=f"{_DASHES}|{_BLOCK}", string=f"{_DOUBLE}|{_SINGLE}"),
    lines=0.5,
    chunks=0.2,
)
_CSS = Language(
    name="css",
    token=_tokens(
        comment=_BLOCK,
        string=rf"{_DOUBLE}|{_SINGLE}|\#[\w-]+",
        word=r"-?[^\W\d][\w-]*|--[\w-]+",
        unit="(?:%|[a-zA-Z]{1,5})?",
    ),
    numbers=0.5,
    lines=1.0,
    chunks=0.5,
    sign_after_space=True,
)
_CODE = Language(
    name="code",
    token=_tokens(comment=f"{_SLASHES}|{_BLOCK}", string=f"{_DOUBLE}|{_SINGLE}"),
    lines=0.3,
    chunks=0.05,
    booleans=frozenset({"true", "false"}),
)
PLAIN = Language(
    name="plain",
    token=_tokens(comment=_NOTHING, string=_NOTHING),
    numbers=0.1,
    lines=0.3,
    chunks=1.0,
    sign_after_space=True,
    bare_runs=True,
)

_BY_SUFFIX = {
    ".py": _PYTHON,
    ".json": _JSON,
    ".toml": _TOML,
    ".sql": _SQL,
    **dict.fromkeys((".css", ".scss", ".less"), _CSS),
    **dict.fromkeys((".ini", ".cfg", ".conf", ".env", ".yaml", ".yml", ".sh", ".mk", ".r", ".jl"), _CONFIG),
    **dict.fromkeys((".js", ".ts", ".c", ".h", ".cc", ".cpp", ".cu", ".rs", ".go", ".java"), _CODE),
}
_BY_NAME = {"dockerfile": _CONFIG, "containerfile": _CONFIG, "makefile": _CONFIG}


def language_of(path: str) -> Language:
    """Return the language that the file's name tells; plain text where it tells none."""
    name = PurePosixPath(path).name.lower()
    return _BY_NAME.get(name) or _BY_SUFFIX.get(PurePosixPath(name).suffix, PLAIN)
