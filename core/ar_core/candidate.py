"""The one-file rule: a candidate is the whole bytes of the one mutable file, never a patch.

Not here: whether it is any good (the sandbox measures, ``acceptance`` decides).
"""

import hashlib
from dataclasses import dataclass

from ar_core.text import is_bidirectional, is_control, is_hidden


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFinding:
    """Why the bytes may not be a candidate: one sentence and what to change."""

    message: str
    hint: str


def sha256(data: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of ``data``: the name of a blob."""
    return hashlib.sha256(data).hexdigest()


def content_hash(data: bytes) -> str:
    """Return the hash under which two candidates count as the same file.

    Line ends, trailing space on a line and trailing empty lines do not make a new candidate.
    """
    text = data.decode("utf-8", errors="surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
    lines = [line.rstrip(" \t") for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return sha256("\n".join(lines).encode("utf-8", errors="surrogateescape"))


def check_policy(data: bytes, max_bytes: int) -> PolicyFinding | None:
    """Return why ``data`` breaks the rules of a mutable file, or ``None`` when it keeps them."""
    if len(data) > max_bytes:
        return oversize(len(data), max_bytes)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return PolicyFinding(
            message=f"the file is not UTF-8 text (byte {error.start})", hint="send a text file in UTF-8"
        )
    lines = text.replace("\r\n", "\n").split("\n")
    for line_number, line in enumerate(lines, start=1):
        if line.isascii() and line.isprintable():
            continue
        for character in line:
            finding = _check_character(character, line_number)
            if finding is not None:
                return finding
    return None


def oversize(size: int, max_bytes: int) -> PolicyFinding:
    """Return the finding for a file of ``size`` bytes where ``max_bytes`` are allowed."""
    return PolicyFinding(
        message=f"the file has {size} bytes, over the limit of {max_bytes}",
        hint=f"make it at most {max_bytes} bytes",
    )


def _check_character(character: str, line: int) -> PolicyFinding | None:
    name = f"U+{ord(character):04X}"
    # A lone carriage return: on a terminal, what follows is written over what came before.
    if is_control(character) or character == "\r":
        return PolicyFinding(
            message=f"line {line} has the control character {name}",
            hint="remove it; only text is a candidate",
        )
    if is_bidirectional(character):
        return PolicyFinding(
            message=f"line {line} has the bidirectional character {name}, which hides text from reviewers",
            hint="remove it",
        )
    if is_hidden(character):
        return PolicyFinding(
            message=f"line {line} has the invisible character {name}, which hides text from reviewers",
            hint="remove it",
        )
    return None
