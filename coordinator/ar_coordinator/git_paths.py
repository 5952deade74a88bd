"""Which file names may enter a repository of the pool: names that mean the same file on every machine.

Not here: reading or writing files; nothing in this module touches a disk.
"""

import re
import unicodedata
from collections.abc import Iterable

from ar_core.text import is_bidirectional, is_control, is_hidden

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
MAX_DEPTH = 16

# What NTFS calls .git, .gitmodules and .gitattributes when it makes short names, its hashed form included.
_SHORT_GIT_NAME = re.compile(r"gi[a-z0-9]{1,4}~[0-9]+")
# These change what a clone writes to disk (filters, encodings, other repositories), so that the reader of a
# clone would not have the bytes that were measured.
_GIT_FILES = frozenset({".git", ".gitattributes", ".gitmodules"})
_SHOWN_CHARACTERS = 80


class PathRefusedError(ValueError):
    """A file name that may not enter a repository; the message says which and why."""


def check_path(path: str) -> None:
    """Raise ``PathRefusedError`` unless ``path`` is a plain relative path with ``/`` between its names."""
    if not path:
        raise PathRefusedError("a file name is empty; every file needs a name")
    for character in path:
        if character in "\t\n\r" or is_control(character):
            raise _refused(path, f"it has the control character U+{ord(character):04X}")
        if is_bidirectional(character) or is_hidden(character):
            raise _refused(path, f"it has the invisible character U+{ord(character):04X}")
    if "\\" in path or ":" in path:
        raise _refused(path, "a backslash or colon means something else on Windows")
    if unicodedata.normalize("NFC", path) != path:
        raise _refused(path, "it is not in Unicode's composed form (NFC)")
    if len(path.encode("utf-8")) > MAX_PATH_BYTES:
        raise _refused(path, f"it is longer than {MAX_PATH_BYTES} bytes")
    names = path.split("/")
    if len(names) > MAX_DEPTH:
        raise _refused(path, f"it is more than {MAX_DEPTH} folders deep")
    for name in names:
        _check_name(path, name)


def check_paths(paths: Iterable[str]) -> None:
    """Raise ``PathRefusedError`` unless all are good and no two are one file on some machine.

    Two names that differ in case only would overwrite each other in a clone on macOS or Windows.
    """
    places: dict[str, str] = {}
    files: set[str] = set()
    for path in sorted(paths):
        check_path(path)
        names = path.split("/")
        for depth in range(1, len(names) + 1):
            place = "/".join(names[:depth])
            folded = unicodedata.normalize("NFC", place.casefold())
            other = places.setdefault(folded, place)
            if other != place:
                raise _refused(path, f"it differs from {_shown(other)} in upper and lower case only")
            if depth < len(names) and folded in files:
                raise _refused(path, f"{_shown(place)} is a file already")
        if folded in files:
            raise _refused(path, "it is there twice")
        files.add(folded)


def _check_name(path: str, name: str) -> None:
    if name in {"", ".", ".."}:
        raise _refused(path, "it must stay inside its folder, without empty names, . or ..")
    if len(name.encode("utf-8")) > MAX_NAME_BYTES:
        raise _refused(path, f"one of its names is longer than {MAX_NAME_BYTES} bytes")
    if name[-1] in ". " or name[0] == " ":
        raise _refused(path, "a name begins with a space, or ends with a space or dot, which Windows drops")
    folded = name.casefold()
    if folded in _GIT_FILES or _SHORT_GIT_NAME.fullmatch(folded):
        raise _refused(path, "git gives this name a meaning of its own; leave the file out or rename it")


def _refused(path: str, why: str) -> PathRefusedError:
    return PathRefusedError(f"the file name {_shown(path)} cannot be kept: {why}")


def _shown(path: str) -> str:
    short = path if len(path) <= _SHOWN_CHARACTERS else path[: _SHOWN_CHARACTERS - 1] + "…"
    return ascii(short)
