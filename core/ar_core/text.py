"""Strangers' text made safe to show: control, bidirectional and invisible characters, one line, bounded.

Not here: escaping for HTML, which the templates do.
"""

import unicodedata

_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset(
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u3164\uffa0"
)


_READ_WITH_DIGITS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
"""Format characters that readers see: signs that Arabic, Syriac and Kaithi write around numbers."""


def is_bidirectional(character: str) -> bool:
    """Tell whether this character can reorder the text around it."""
    return character in _BIDIRECTIONAL


def is_hidden(character: str) -> bool:
    """Tell whether a reader cannot see this character: zero width, a tag or a variation selector."""
    point = ord(character)
    if character in _INVISIBLE or 0xE0000 <= point <= 0xE0FFF or 0xFE00 <= point <= 0xFE0F:
        return True
    if 0x180B <= point <= 0x180F or 0x2065 <= point <= 0x206F or 0xFFF0 <= point <= 0xFFF8:
        return True
    return unicodedata.category(character) == "Cf" and character not in _BIDIRECTIONAL | _READ_WITH_DIGITS


def is_control(character: str) -> bool:
    """Tell whether this is a control character other than tab, line feed and carriage return."""
    return character not in "\t\n\r" and unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def printable(text: str, limit: int = 10_000) -> str:
    """Return ``text`` without control, bidirectional and invisible characters, at most ``limit`` long."""
    if text.isascii() and text.isprintable():
        kept = text
    else:
        kept = "".join(c for c in text if not (is_control(c) or is_bidirectional(c) or is_hidden(c) or c == "\r"))
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def one_line(text: str, limit: int = 200) -> str:
    """Return ``text`` as one printable line of at most ``limit`` characters, runs of space joined."""
    joined = " ".join(printable(text.replace("\t", " "), limit=100_000).split())
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"


def feedback(text: str, lines: int = 20, limit: int = 4096) -> str:
    """Return the last lines of a program's error output as the next attempt may read them."""
    last = "\n".join(printable(text[-65536:], limit=65536).splitlines()[-lines:])
    encoded = last.encode()
    return last if len(encoded) <= limit else encoded[-limit:].decode(errors="ignore")
