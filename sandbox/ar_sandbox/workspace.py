"""The copy of a problem's folder that a command of kind ``inprocess`` works in and may change.

Not here: the file system that it is on, whose size is the room's disk (``stage``).
"""

import os
from collections.abc import Mapping

from ar_sandbox.bwrap import NOBODY

_PAGE = 4096


def needs(files: Mapping[str, bytes]) -> tuple[int, int]:
    """Return how many bytes and how many files and folders a copy of ``files`` takes."""
    folders = {path[:end] for path in files for end, letter in enumerate(path) if letter == "/"}
    return sum(-(-len(data) // _PAGE) * _PAGE for data in files.values()), len(files) + len(folders) + 1


def fill(root: int, top: str, files: Mapping[str, bytes]) -> None:
    """Write ``files`` (path to content) into the empty folder ``top`` below the descriptor ``root``.

    They belong to the user that rooms run as. No room runs yet, so that no path can lead elsewhere.
    """
    made: set[str] = set()
    for path, data in files.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in made:
                made.add(folder)
                os.mkdir(f"{top}/{folder}", 0o755, dir_fd=root)
                _give(f"{top}/{folder}", root)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(f"{top}/{path}", flags, 0o644, dir_fd=root), "wb") as file:
            file.write(data)
        _give(f"{top}/{path}", root)


def _give(path: str, root: int) -> None:
    """An ordinary user's rooms run as that user, who owns the file already."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY, dir_fd=root, follow_symlinks=False)
