"""Reading a problem's folder: regular files only, no link, and no more than a problem may have.

Not here: what the files mean (``ar_core.manifest``).
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from ar_core.errors import PoolError
from ar_core.manifest import MAX_BUNDLE_BYTES, MAX_FILES
from ar_core.paths import MAX_DEPTH
from ar_core.problem import MANIFEST_NAME
from ar_core.text import one_line
from ar_sandbox.report import Finding

_IGNORED = frozenset({".git", "__pycache__", ".venv"})
_IGNORED_ENDS = (".pyc",)
_MOST_FINDINGS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The files of a folder (relative path with slashes to content), and what no problem may have.

    With findings some files may be missing: what is found is left out, and beyond a limit nothing more is read.
    """

    files: dict[str, bytes]
    findings: tuple[Finding, ...]


def load_folder(path: Path) -> dict[str, bytes]:
    """Return the files of the folder ``path`` as ``read_folder`` does; a finding is a ``PoolError`` AR-P302."""
    folder = read_folder(path)
    for finding in folder.findings:
        raise PoolError("AR-P302", finding.message, hint=finding.fix)
    return folder.files


def read_folder(path: Path) -> Folder:
    """Return what is in the folder ``path``.

    Version control, virtual environments and Python's caches are left out. A link, something else than a file, too
    many files or bytes are findings. Raises ``PoolError`` AR-P302 where there is no folder or no ``problem.toml``,
    and AR-A106 for what cannot be read.
    """
    if not path.is_dir():
        raise PoolError("AR-P302", f"{path} is not a folder", hint="name a folder with a problem.toml")
    if not os.path.lexists(path / MANIFEST_NAME):
        raise PoolError("AR-P302", f"{path} has no {MANIFEST_NAME}", hint="start one with `ar-pool init DIR`")
    reading = _Reading()
    try:
        reading.add(path, "")
    except _EnoughError:
        pass
    except OSError as error:
        raise PoolError("AR-A106", f"{error.filename or path}: {error.strerror}") from None
    return Folder(files=reading.files, findings=tuple(reading.findings))


class _EnoughError(Exception):
    """There is more than a problem may have; nothing more is read."""


@dataclass(slots=True)
class _Reading:
    files: dict[str, bytes] = field(default_factory=dict)
    size: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, folder: Path, prefix: str) -> None:
        """Add what is below ``folder``."""
        if prefix.count("/") > MAX_DEPTH:
            self._find(f"{one_line(prefix)} is more than {MAX_DEPTH} folders deep", "use fewer folders")
            return
        for entry in sorted(folder.iterdir()):
            name = entry.name
            if name in _IGNORED or name.endswith(_IGNORED_ENDS):
                continue
            mode = entry.lstat().st_mode
            if stat.S_ISDIR(mode):
                self.add(entry, f"{prefix}{name}/")
            elif stat.S_ISREG(mode):
                self._add_file(entry, prefix + name)
            else:
                what = "a link" if stat.S_ISLNK(mode) else "not a regular file"
                self._find(f"{one_line(prefix + name)} is {what}", "replace it by the file itself")

    def _add_file(self, entry: Path, path: str) -> None:
        if len(self.files) >= MAX_FILES:
            self._find(f"more than {MAX_FILES} files", "pack data into fewer files")
            raise _EnoughError
        at_most = MAX_BUNDLE_BYTES - self.size
        data = _read(entry, at_most)
        if len(data) > at_most:
            self._find(f"more than {MAX_BUNDLE_BYTES >> 20} MiB in all", "make the data smaller")
            raise _EnoughError
        self.size += len(data)
        self.files[path] = data

    def _find(self, message: str, fix: str) -> None:
        self.findings.append(Finding(check="files", severity="error", message=message, fix=fix))
        if len(self.findings) >= _MOST_FINDINGS:
            raise _EnoughError


def _read(path: Path, at_most: int) -> bytes:
    """Return a file's bytes, at most one more than ``at_most``."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        return file.read(at_most + 1)
