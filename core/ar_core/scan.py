"""What in a candidate's text a reviewer should look at twice: code that is made at run time, or that cannot be read.

Not here: a gate. Rooms keep strangers' code apart, and a number decides; nobody is refused for what this finds, and
who wants to hide from it can. It reads words and not Python's syntax, because a parser can be brought down by the
text that it is given.
"""

import re
from dataclasses import dataclass

MOST = 20
"""Flags that are returned at most."""
_LONGEST_LINE = 2000
"""A line longer than this is not written for people; what is behind is not looked at."""
_WORDS = {
    "runs text as code": r"(?:(?<!\.)(?:exec|eval|compile)|runpy|marshal|InteractiveInterpreter)\b",
    "calls into C or other machine code": r"(?:ctypes|cffi|_ctypes|mmap|LoadLibrary|CDLL)\b",
    "reads objects that run code": r"(?:pickle|cPickle|dill|cloudpickle|shelve|joblib)\b",
    "unpacks text": r"(?:base64|b64decode|b85decode|binascii|unhexlify|fromhex|codecs|zlib|lzma|bz2|rot13|rot_13)\b",
    "imports by name": r"(?:__import__|importlib|import_module|__loader__|__builtins__|builtins)\b",
    "looks inside the interpreter": r"(?:_getframe|get_objects|get_referrers|settrace|setprofile|__globals__|"
    r"__subclasses__|f_locals|f_globals|__code__)\b",
    "starts other programs": r"(?:subprocess|Popen|os\.system|os\.exec\w*|os\.fork|os\.spawn\w*|multiprocessing)\b",
    "asks for the network": r"(?:socket|urllib|requests|httpx|http\.client|ftplib|smtplib)\b",
}
_SUSPECT = re.compile("|".join(rf"(?P<w{n}>(?<![\w]){pattern})" for n, pattern in enumerate(_WORDS.values())))
_SAYINGS = tuple(_WORDS)
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{200,}|(?:\\x[0-9a-fA-F]{2}){40,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One hint: the line it is about, from 1, and what is there, in a few words."""

    line: int
    what: str


def scan(content: bytes) -> tuple[Flag, ...]:
    """Return hints about the text of a program, at most ``MOST``, each kind once for a line; for data, none fit."""
    found: list[Flag] = []
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        for what in dict.fromkeys(_hints(line)):
            if len(found) == MOST:
                return tuple(found)
            found.append(Flag(line=number, what=what))
    return tuple(found)


def _hints(line: str) -> list[str]:
    hints = ["a line too long to read"] if len(line) > _LONGEST_LINE else []
    line = line[:_LONGEST_LINE]
    hints += [_SAYINGS[int((match.lastgroup or "w0")[1:])] for match in _SUSPECT.finditer(line)]
    if _BLOB.search(line):
        hints.append("text that nobody can read")
    return hints
