"""The pool's private memory in git: identities, hashed tokens, bans, settings and the hidden files of problems.

Not here: what those files mean, and anything public. This repository is never served: it lacks the marker
that git's servers ask for, hides every ref, and its folder is closed to other users.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from ar_coordinator.git_objects import PoolIdentity, blob, commit
from ar_coordinator.git_paths import check_path, check_paths
from ar_coordinator.git_store import GitStore, StaleHeadError

MAIN = "refs/heads/main"

_PRIVATE_CONFIG = (("uploadpack.hideRefs", "refs"), ("uploadpack.hideRefs", "HEAD"), ("http.uploadpack", "false"))


class Registry:
    """The registry repository at ``path``, made when it is first opened; for one writer."""

    def __init__(self, path: Path, pool: PoolIdentity) -> None:
        self.store = GitStore(path)
        self.pool = pool
        if not self.store.exists():
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
            GitStore.create(path, _PRIVATE_CONFIG)

    def head(self) -> str | None:
        """Return the latest commit, or ``None`` before the first."""
        return self.store.ref(MAIN)

    def write(
        self,
        changes: Mapping[str, bytes | None],
        message: str,
        when: datetime,
        *,
        expected_head: str | None = None,
    ) -> str | None:
        """Apply all changes (path → new bytes, ``None`` removes) in one signed commit; returns it.

        ``None`` is returned when nothing would change. ``message`` is one line by the pool. With
        ``expected_head`` the changes apply only on that commit. Raises ``StaleHeadError`` when somebody else
        wrote meanwhile and ``PathRefusedError`` for a name that may not be kept.
        """
        check_paths(changes)
        head = self.head()
        if expected_head is not None and head != expected_head:
            raise StaleHeadError(MAIN, expected_head, head)
        blobs = {path: blob(data) for path, data in changes.items() if data is not None}
        wanted = {path: blobs[path].oid if path in blobs else None for path in changes}
        root, trees = self.store.edit(head, wanted)
        if head is not None and self._root_of(head) == root.oid:
            return None
        made = commit(
            tree_oid=root.oid,
            parents=(head,) if head else (),
            author=self.pool.name,
            pool=self.pool,
            when=when,
            message=message.encode("utf-8").rstrip(b"\n") + b"\n",
        )
        self.store.write([*blobs.values(), *trees, made])
        self.store.move_ref(MAIN, made.oid, head)
        return made.oid

    def read(self, path: str) -> bytes | None:
        """Return a file's present bytes, or ``None`` where there is no such file."""
        check_path(path)
        head = self.head()
        if head is None:
            return None
        (item,) = self.store.read([f"{head}:{path}"])
        return item.data if item is not None and item.kind == "blob" else None

    def read_all(self, prefix: str = "") -> dict[str, bytes]:
        """Return path → bytes of all files below a folder, in a fixed number of processes."""
        files = self._files(prefix)
        objects = self.store.read_many([oid for _path, oid in files])
        return {path: item.data for (path, _oid), item in zip(files, objects, strict=True)}

    def remove_stale_locks(self) -> Sequence[Path]:
        """Remove what a killed git left behind; only for the holder of the data directory's lock."""
        return self.store.remove_stale_locks()

    def _files(self, prefix: str) -> Sequence[tuple[str, str]]:
        folder = prefix.rstrip("/")
        if folder:
            check_path(folder)
        head = self.head()
        if head is None:
            return []
        return self.store.files(head, [folder] if folder else [])

    def list(self, prefix: str = "") -> Sequence[str]:
        """Return the paths of all files below a folder (``problems/NAME/``; empty: of all), sorted."""
        return [path for path, _oid in self._files(prefix)]

    def _root_of(self, head: str) -> str | None:
        (item,) = self.store.read([f"{head}:"])
        return item.oid if item else None
