"""What may cross from the candidate's room to the scorer's: plain files, few and small, behind no link.

Not here: the size of the whole, which the file system of ``$AR_OUT`` limits by itself.

The candidate's room is dead when this looks, so that what was looked at is what the scorer reads.
"""

import os
import stat

from ar_sandbox.policy import MAX_OUT_FILES

_MAX_DEPTH = 8
_FILE_READABLE = stat.S_IRUSR
_FOLDER_READABLE = stat.S_IRUSR | stat.S_IXUSR


def refused(root: int, name: str) -> str | None:
    """Return why the folder ``name`` below the descriptor ``root`` may not cross, or ``None`` when it may."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    top = os.open(name, flags, dir_fd=root)
    try:
        reason, _ = _look(top, _MAX_DEPTH, MAX_OUT_FILES)
        return reason
    finally:
        os.close(top)


def _look(folder: int, depth: int, left: int) -> tuple[str | None, int]:
    """Return a reason, and how many more entries would be allowed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            left -= 1
            if left < 0:
                return f"AR_OUT has more than {MAX_OUT_FILES} files", left
            status = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
            reason = _reason(status, depth)
            if reason is None and stat.S_ISDIR(status.st_mode):
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                below = os.open(entry.name, flags, dir_fd=folder)
                try:
                    reason, left = _look(below, depth - 1, left)
                finally:
                    os.close(below)
            if reason is not None:
                return reason, left
    return None, left


def _reason(status: os.stat_result, depth: int) -> str | None:
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        if depth <= 1:
            return f"AR_OUT has folders more than {_MAX_DEPTH} deep"
        if mode & _FOLDER_READABLE != _FOLDER_READABLE:
            return "AR_OUT has a folder that cannot be read"
        return None
    if stat.S_ISLNK(mode):
        return "AR_OUT has a link; only regular files may cross"
    if not stat.S_ISREG(mode):
        return "AR_OUT has something that is not a regular file"
    if status.st_nlink != 1:
        return "AR_OUT has a file with two names; only regular files may cross"
    if not mode & _FILE_READABLE:
        return "AR_OUT has a file that cannot be read"
    return None
