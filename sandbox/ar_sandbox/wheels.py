"""Unpacking a wheel as plain files: nothing in it is run, and it cannot write anywhere else or without end.

Not here: which wheels (``requirements``) and where they come from (``environment_build``). A wheel is a zip file
(the binary distribution format of packaging.python.org) that somebody else made. Left out is what only an installer
would need, and what Python would run by itself when it starts: commands, data outside the packages, ``.pth`` files,
``sitecustomize`` and ``usercustomize``.
"""

import errno
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 3 * 1024**3
"""All files of an environment together, unpacked, with what each takes up by being there."""
MAX_FILES = 65_536
"""Folders count."""
PLACE_BYTES = 4096
"""What a file or folder takes up on a disk beside its bytes, about."""
_MAX_DEPTH, _MAX_PART, _MAX_NAME = 32, 240, 1024
_MAX_DIRECTORY_BYTES = 32 * 1024**2
_END, _END_BYTES, _END64, _END64_BYTES = b"PK\x05\x06", 22, b"PK\x06\x07", 20
_MAX_COMMENT = 65_536
_MANY = 0xFFFF
"""Stands for a number of entries that is written elsewhere."""
_CHUNK = 1024**2
_LIBRARIES = frozenset({"purelib", "platlib"})
_STARTED_BY_PYTHON = (".pth", ".start")
_IMPORTED_BY_PYTHON = frozenset({"sitecustomize", "usercustomize"})
"""Whatever they are: a source, a package, or something compiled."""
_DAMAGED = (
    zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, zlib.error, struct.error,
    ValueError, OverflowError,  # a place in the file that is no place in any file
)  # fmt: skip
_DAMAGED_ERRNO = frozenset({errno.EINVAL, errno.ENAMETOOLONG})


class WheelError(Exception):
    """A wheel that is not unpacked; the text says why, without the name of the wheel."""


@dataclass(slots=True)
class Budget:
    """What may still be written."""

    files: int = MAX_FILES
    bytes: int = MAX_BYTES

    def take_file(self) -> None:
        """Count one file or folder."""
        self.files -= 1
        if self.files < 0:
            raise WheelError(f"together with the others it has more than {MAX_FILES} files and folders")
        self.take(PLACE_BYTES)

    def take(self, count: int) -> None:
        """Count some bytes."""
        self.bytes -= count
        if self.bytes < 0:
            raise WheelError(f"together with the others it unpacks to more than {MAX_BYTES >> 30} GiB")


def unpack(
    wheel: Path, target: Path, budget: Budget, *, going_on: Callable[[], None], place: Callable[[str], str | None]
) -> None:
    """Write the files of ``wheel`` below ``target``; raises ``WheelError``, perhaps after some of them.

    ``place`` tells for each name where it goes (``installed``), ``None`` for nowhere. What is there already stays.
    ``going_on`` is called now and then and may raise.
    """
    try:
        with wheel.open("rb") as file:
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                if len(entries) > MAX_FILES:
                    raise WheelError("its table of contents is too large")
                for entry in entries:
                    going_on()
                    _unpack_entry(archive, entry, target, budget, going_on, place)
    except _DAMAGED as error:
        raise WheelError(f"it is a damaged archive ({type(error).__name__})") from None
    except OSError as error:
        if error.errno not in _DAMAGED_ERRNO:
            raise
        raise WheelError(f"it is a damaged archive ({error.strerror})") from None


def installed(name: str) -> str | None:
    """Return where a file of a wheel goes below the folder of packages, ``None`` where it is left out."""
    parts = name.split("/")
    if parts[0].endswith(".data"):
        if len(parts) < 3 or parts[1] not in _LIBRARIES:
            return None
        parts = parts[2:]
    if "__pycache__" in parts or (len(parts) == 1 and parts[0].lower().endswith(_STARTED_BY_PYTHON)):
        return None
    if parts[0].partition(".")[0].lower() in _IMPORTED_BY_PYTHON:
        return None
    return "/".join(parts)


def _check_directory(file: BinaryIO) -> None:
    """Refuse an archive whose table of contents is too large to be read at all."""
    size = file.seek(0, os.SEEK_END)
    # As far back as the reader below looks for the end, and the pointer to a larger table that may stand before it.
    file.seek(max(0, size - _END_BYTES - _MAX_COMMENT - _END64_BYTES))
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_BYTES:
        raise WheelError("it is not a wheel")
    entries = int.from_bytes(tail[end + 10 : end + 12], "little")
    directory = int.from_bytes(tail[end + 12 : end + 16], "little")
    larger = tail[max(0, end - _END64_BYTES) : end].startswith(_END64)
    if larger or entries == _MANY or directory > _MAX_DIRECTORY_BYTES:
        raise WheelError("its table of contents is too large")
    file.seek(0)


def _unpack_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, budget: Budget,
    going_on: Callable[[], None], place: Callable[[str], str | None],
) -> None:  # fmt: skip
    _check_entry(entry)
    if entry.is_dir():
        return
    where = place(entry.filename)
    if where is None:
        return
    budget.take_file()
    path = target / where
    mode = 0o555 if entry.external_attr >> 16 & 0o111 else 0o444
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        _make_folders(path.parent, target, budget)
        handle = os.open(path, flags, mode)
    except FileExistsError:
        if path.is_file() and path.parent.is_dir():
            return  # of another package, as the parts of a namespace sometimes have
        raise WheelError(f"{_shown(entry.filename)} is a file in one package and a folder in another") from None
    except NotADirectoryError:
        raise WheelError(f"{_shown(entry.filename)} is below something that is a file") from None
    with os.fdopen(handle, "wb") as out, archive.open(entry) as data:
        os.fchmod(out.fileno(), mode)
        while chunk := data.read(_CHUNK):
            going_on()
            budget.take(len(chunk))
            out.write(chunk)


def _make_folders(folder: Path, target: Path, budget: Budget) -> None:
    """Make the folders below ``target`` that are not there yet, each counted."""
    missing: list[Path] = []
    while folder != target and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        budget.take_file()
        path.mkdir(mode=0o755)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    """Refuse what is not a plain file or folder below the folder it is unpacked in."""
    name = entry.orig_filename
    parts = name.removesuffix("/").split("/")
    strange = "\\" in name or not name.isprintable() or name != entry.filename
    if strange or any(part in {"", ".", ".."} for part in parts):
        raise WheelError(f"it has a file that would be written elsewhere, {_shown(name)}")
    too_long = len(name.encode()) > _MAX_NAME or any(len(part.encode()) > _MAX_PART for part in parts)
    if too_long or len(parts) > _MAX_DEPTH:
        raise WheelError(f"the name {_shown(name)} is too long")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        what = "a link" if kind == stat.S_IFLNK else "not a plain file"
        raise WheelError(f"{_shown(name)} is {what}")
    if entry.flag_bits & 0x1 or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise WheelError(f"{_shown(name)} is packed in an unknown way")


def _shown(name: str) -> str:
    plain = "".join(char if char.isprintable() else "?" for char in name[:80])
    return f"“{plain}”"
