"""Reading a problem's folder: regular files only, no link, and no more than a problem may have.

Not here: what the files mean (``ar_core.manifest``).
"""

import os
import stat
from pathlib import Path

from ar_core.errors import PoolError
from ar_core.manifest import MAX_BUNDLE_BYTES, MAX_FILES
from ar_core.paths import MAX_DEPTH
from ar_core.problem import MANIFEST_NAME
from ar_core.text import one_line

_IGNORED = frozenset({".git", "__pycache__", ".venv"})
_IGNORED_ENDS = (".pyc",)


def load_folder(path: Path) -> dict[str, bytes]:
    """Return the files of the folder ``path``: relative path with slashes to content.

    Version control, virtual environments and Python's caches are left out. Raises ``PoolError`` AR-P302 for a
    link, something else than a file, too many files or bytes, or a folder without ``problem.toml``.
    """
    if not path.is_dir():
        raise _refuse(f"{path} is not a folder")
    files: dict[str, bytes] = {}
    try:
        _load(path, "", files, 0)
    except OSError as error:
        raise _refuse(f"{error.filename or path}: {error.strerror}") from None
    if MANIFEST_NAME not in files:
        raise PoolError("AR-P302", f"{path} has no {MANIFEST_NAME}", hint="start one with `ar-pool init DIR`")
    return files


def _load(folder: Path, prefix: str, files: dict[str, bytes], size: int) -> int:
    """Add what is below ``folder`` to ``files``; return how many bytes there are now."""
    if prefix.count("/") > MAX_DEPTH:
        raise _refuse(f"folders more than {MAX_DEPTH} deep")
    for entry in sorted(folder.iterdir()):
        name = entry.name
        if name in _IGNORED or name.endswith(_IGNORED_ENDS):
            continue
        mode = entry.lstat().st_mode
        if stat.S_ISDIR(mode):
            size = _load(entry, f"{prefix}{name}/", files, size)
            continue
        if not stat.S_ISREG(mode):
            what = "a link" if stat.S_ISLNK(mode) else "not a regular file"
            raise _refuse(f"{one_line(prefix + name)} is {what}", "replace it by the file itself")
        if len(files) >= MAX_FILES:
            raise _refuse(f"more than {MAX_FILES} files", "pack data into fewer files")
        data = _read(entry, MAX_BUNDLE_BYTES - size)
        size += len(data)
        files[prefix + name] = data
    return size


def _read(path: Path, at_most: int) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        data = file.read(at_most + 1)
    if len(data) > at_most:
        raise _refuse(f"more than {MAX_BUNDLE_BYTES >> 20} MiB in all", "make the data smaller")
    return data


def _refuse(detail: str, hint: str = "") -> PoolError:
    return PoolError("AR-P302", detail, hint=hint)
