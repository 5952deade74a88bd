"""One problem's git repository: the published folder, then one signed commit for each accepted improvement.

Not here: the decision to accept, the failed experiments (``ledger``), hidden files (``registry``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ar_coordinator.evidence import parse_trailers
from ar_coordinator.git_objects import GitObject, PoolIdentity, blob, commit, is_oid, signed_parts
from ar_coordinator.git_paths import check_path, check_paths
from ar_coordinator.git_store import GitStore, RepositoryError
from ar_coordinator.ledger import LEDGER
from ar_core.signing import PublicKey, verify_ssh_signature

MAIN = "refs/heads/main"
# The file by which git's own servers know that a repository may be served; the registry has none.
EXPORT_MARKER = "git-daemon-export-ok"

_SERVED_CONFIG = (
    ("uploadpack.hideRefs", "refs"),
    ("uploadpack.hideRefs", "!refs/heads"),
    # Shown, so that it can be fetched by name; a plain clone asks for branches and tags only.
    ("uploadpack.hideRefs", f"!{LEDGER}"),
    ("uploadpack.allowFilter", "false"),
)
_LOG_FORMAT = "%H%x00%P%x00%an%x00%at%x00%B"
_LOG_FIELDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRecord:
    """One commit of ``main`` as a reader sees it; ``time`` is UTC, ``trailers`` is its last paragraph."""

    commit: str
    parents: tuple[str, ...]
    author: str
    time: datetime
    subject: str
    trailers: Mapping[str, str]


class MissingFileError(RepositoryError):
    """A commit has no file by this name."""


class ProblemRepository:
    """The bare repository of one problem at ``path``; every method is durable when it returns."""

    def __init__(self, path: Path, pool: PoolIdentity) -> None:
        self.store = GitStore(path)
        self.pool = pool

    @property
    def path(self) -> Path:
        """Where the repository is: what ``git upload-pack`` serves."""
        return self.store.path

    def exists(self) -> bool:
        """Tell whether there is a repository at the path."""
        return self.store.exists()

    def create(self, files: Mapping[str, bytes], message: bytes, author: str, when: datetime) -> str:
        """Make the repository with one root commit that holds ``files``; returns the commit.

        ``files`` maps relative paths to bytes, **without** the hidden ones. Raises ``PathRefusedError`` for a
        name that may not be kept and ``StaleHeadError`` if the problem has commits already; a repository
        that was made but has none (a crash between the two) is completed.
        """
        check_paths(files)
        GitStore.create(self.path, _SERVED_CONFIG)
        (self.path / EXPORT_MARKER).touch()
        return self._publish(None, files, message, author, when)

    def publish_revision(
        self, expected_head: str, files: Mapping[str, bytes], message: bytes, author: str, when: datetime
    ) -> str:
        """Replace the whole tree by ``files`` in a commit on ``expected_head``; returns the commit."""
        check_paths(files)
        return self._publish(expected_head, files, message, author, when)

    def commit_accept(
        self,
        expected_head: str,
        mutable_path: str,
        content: bytes,
        message: bytes,
        author: str,
        when: datetime,
    ) -> str:
        """Commit new bytes of the mutable file on ``expected_head``; returns the commit.

        Only that file changes. Raises ``StaleHeadError`` when ``main`` has moved (nothing is committed then)
        and ``MissingFileError`` when the parent has no such file.
        """
        check_path(mutable_path)
        (before,) = self.store.read([f"{_oid(expected_head)}:{mutable_path}"])
        if before is None or before.kind != "blob":
            raise MissingFileError(f"{mutable_path!a} is not a file of commit {expected_head[:12]}")
        file = blob(content)
        root, trees = self.store.edit(expected_head, {mutable_path: file.oid})
        return self._commit([file, *trees], root, expected_head, message, author, when)

    def head(self) -> str | None:
        """Return the commit ``main`` is at, or ``None`` before the first."""
        return self.store.ref(MAIN) if self.exists() else None

    def read_file(self, commit: str, path: str) -> bytes:
        """Return a file's bytes in a commit; raises ``MissingFileError``."""
        check_path(path)
        (item,) = self.store.read([f"{_oid(commit)}:{path}"])
        if item is None or item.kind != "blob":
            raise MissingFileError(f"{path!a} is not a file of commit {commit[:12]}")
        return item.data

    def read_tree(self, commit: str) -> dict[str, bytes]:
        """Return every file of a commit: path → bytes."""
        files = self.store.files(commit)
        objects = self.store.read_many([oid for _path, oid in files])
        return {path: item.data for (path, _oid), item in zip(files, objects, strict=True)}

    def log(self, since: str | None = None, limit: int | None = None) -> list[CommitRecord]:
        """Return the commits of ``main``, newest first: those after ``since``, at most ``limit``."""
        head = self.head()
        if head is None:
            return []
        arguments = ["log", "-z", f"--format=tformat:{_LOG_FORMAT}", "--encoding=UTF-8", "--no-mailmap"]
        arguments += [] if limit is None else [f"--max-count={limit:d}"]
        arguments += ["--end-of-options", head]
        arguments += [] if since is None else [f"^{_oid(since)}"]
        fields = self.store.run([*arguments, "--"]).decode("utf-8").split("\0")[:-1]
        return [_record(*fields[start : start + _LOG_FIELDS]) for start in range(0, len(fields), _LOG_FIELDS)]

    def is_signed(self, commit: str, key: PublicKey) -> bool:
        """Tell whether a commit carries this key's signature over its present content."""
        (item,) = self.store.read([_oid(commit)])
        if item is None or item.kind != "commit" or item.oid != commit:
            return False
        payload, signature = signed_parts(item.data)
        return verify_ssh_signature(key, "git", payload, signature)

    def remove_stale_locks(self) -> list[Path]:
        """Remove what a killed git left behind; only for the holder of the data directory's lock."""
        return self.store.remove_stale_locks() if self.store.exists() else []

    def _publish(
        self, expected: str | None, files: Mapping[str, bytes], message: bytes, author: str, when: datetime
    ) -> str:
        blobs = {path: blob(data) for path, data in files.items()}
        root, trees = self.store.edit(None, {path: item.oid for path, item in blobs.items()})
        return self._commit([*blobs.values(), *trees], root, expected, message, author, when)

    def _commit(
        self,
        objects: list[GitObject],
        root: GitObject,
        expected: str | None,
        message: bytes,
        author: str,
        when: datetime,
    ) -> str:
        made = commit(
            tree_oid=root.oid,
            parents=(expected,) if expected else (),
            author=author,
            pool=self.pool,
            when=when,
            message=message,
        )
        self.store.write([*objects, made])
        self.store.move_ref(MAIN, made.oid, expected)
        return made.oid


def _record(commit: str, parents: str, author: str, seconds: str, message: str) -> CommitRecord:
    return CommitRecord(
        commit=commit,
        parents=tuple(parents.split()),
        author=author,
        time=datetime.fromtimestamp(int(seconds), UTC),
        subject=message.split("\n", 1)[0],
        trailers=parse_trailers(message),
    )


def _oid(text: str) -> str:
    if not is_oid(text):
        raise ValueError(f"{text[:50]!a} is not the full hash of a commit")
    return text
