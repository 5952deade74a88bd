"""Which relative paths a problem's files may have: nothing that leaves the folder or that trips git.

Not here: touching the file system.
"""

import re
import unicodedata

MAX_PATH_BYTES = 255
MAX_DEPTH = 16
_SHORT_GIT = re.compile(r"git~[0-9]+")
_GIT_NAMES = frozenset({".git", ".gitmodules", ".gitattributes"})


def path_problem(path: str) -> str | None:
    """Return why ``path`` may not name a file of a problem, or ``None`` when it may."""
    if not path or len(path.encode(errors="replace")) > MAX_PATH_BYTES:
        return f"a path has 1 to {MAX_PATH_BYTES} bytes"
    if path.startswith("/") or "\\" in path or (len(path) > 1 and path[1] == ":"):
        return "a path is relative, with forward slashes"
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in path):
        return "a path has no control or invisible characters"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"a path is at most {MAX_DEPTH} folders deep"
    for part in parts:
        if part in {"", ".", ".."}:
            return "a path stays inside its folder, without empty parts, '.' or '..'"
        folded = "".join(c for c in unicodedata.normalize("NFKC", part).lower() if c.isprintable())
        # Windows drops spaces and dots at the end, and what follows a colon names a stream of the same file.
        bare = folded.partition(":")[0].rstrip(" .")
        if bare in _GIT_NAMES or _SHORT_GIT.fullmatch(bare):
            return "names that git gives a meaning to are not allowed"
        if part != part.rstrip(" ."):
            return "a name does not end in a space or a dot"
    return None


def within(path: str, entry: str) -> bool:
    """Tell whether ``path`` is the entry ``entry`` or lies below it (``data/`` covers ``data/a``)."""
    folder = entry.rstrip("/")
    return path == folder or path.startswith(folder + "/")
