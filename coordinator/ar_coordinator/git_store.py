"""A bare git repository through git's own plumbing: read and write objects, move a ref by compare-and-swap.

Not here: what problems, ledger and registry keep in it. Nothing a stranger wrote is ever an argument of git;
it travels on standard input, or inside objects.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO

from gitdb.base import OStream
from gitdb.pack import PackEntity

from ar_coordinator.git_objects import GitObject, TreeEntries, edit_tree, folders_of, is_oid, parse_tree
from ar_core.errors import PoolError
from ar_core.text import printable

GIT_SECONDS = 300
NO_OBJECT = "0" * 40

_REF = re.compile(r"refs/[a-z0-9][a-z0-9/-]*")
_PERMANENT_CONFIG: tuple[tuple[str, str], ...] = (
    # An accepted commit must survive a power cut: its objects ("committed") and the ref that names it.
    ("core.fsync", "committed,reference"),
    ("core.hooksPath", "/dev/null"),
    ("core.logAllRefUpdates", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("http.receivepack", "false"),
    ("receive.hideRefs", "refs"),
    ("receive.fsckObjects", "true"),
    ("transfer.fsckObjects", "true"),
    # A clone costs one thread and bounded memory, however many ask.
    ("pack.threads", "1"),
    ("pack.windowMemory", "64m"),
)


class RepositoryError(Exception):
    """Git could not do it, or a repository is not as it should be; the message says what to look at."""


class StaleHeadError(RepositoryError):
    """A ref was not where the caller thought: somebody else committed first. Read it and decide anew."""

    def __init__(self, ref: str, expected: str | None, actual: str | None) -> None:
        super().__init__(f"{ref} is at {actual or 'nothing'}, not at {expected or 'nothing'}; read it again")
        self.ref = ref
        self.expected = expected
        self.actual = actual


def require_git() -> None:
    """Raise ``PoolError`` AR-C610 where there is no git: for the start of what cannot do without."""
    if shutil.which("git") is None:
        raise PoolError("AR-C610")


def git_program() -> str:
    """Return the path of git; raises ``RepositoryError`` with what to install where there is none."""
    found = shutil.which("git")
    if found is None:
        raise RepositoryError("git is not on PATH; install git 2.36 or newer")
    return found


def git_environment() -> dict[str, str]:
    """Return the whole environment of every git process: nothing of the user's or the system's settings."""
    directories = dict.fromkeys([str(Path(git_program()).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    return {
        "PATH": os.pathsep.join(directories),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        # Our repositories may belong to another user of ours (referee and web); the paths are always ours.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_DEFAULT_HASH": "sha1",
        "GIT_DEFAULT_REF_FORMAT": "files",
    }


class GitStore:
    """One bare repository; holds no process and no file open between calls, so threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, config: Iterable[tuple[str, str]] = ()) -> "GitStore":
        """Make an empty bare repository with ``main`` as its branch; an existing one gets its settings anew."""
        path.mkdir(parents=True, exist_ok=True)
        command = [
            git_program(),
            "init",
            "--bare",
            "--quiet",
            "--initial-branch=main",
            "--template=",
            str(path),
        ]
        result = subprocess.run(command, env=git_environment(), capture_output=True, check=False, timeout=GIT_SECONDS)
        if result.returncode != 0:
            raise RepositoryError(f"git could not make the repository {path.name}: {_reason(result.stderr)}")
        store = cls(path)
        store._write_config([*_PERMANENT_CONFIG, *config])
        return store

    def exists(self) -> bool:
        """Tell whether there is a repository at the path."""
        return (self.path / "HEAD").is_file() and (self.path / "objects").is_dir()

    def ref(self, name: str) -> str | None:
        """Return the object id a ref points to, or ``None`` where there is no such ref."""
        _check_ref(name)
        try:
            text = (self.path / name).read_text("ascii").strip()
        except FileNotFoundError:
            # Packed by `git gc`, or never written.
            output = self.run(["for-each-ref", "--format=%(objectname)", name]).decode("ascii").split()
            text = output[0] if output else ""
            if not text:
                return None
        if not is_oid(text):
            raise RepositoryError(f"the ref {name} of {self.path.name} is damaged; restore it from a backup")
        return text

    def move_ref(self, name: str, new: str, expected: str | None) -> None:
        """Point a ref at ``new`` if it still is at ``expected`` (``None``: if it does not exist yet).

        Atomic across processes. Raises ``StaleHeadError`` when it is elsewhere.
        """
        _check_ref(name)
        command = f"update {name}\0{_oid(new)}\0{_oid(expected) if expected else NO_OBJECT}\0"
        try:
            self.run(["update-ref", "--stdin", "-z"], command.encode("ascii"))
        except RepositoryError:
            actual = self.ref(name)
            if actual != expected:
                raise StaleHeadError(name, expected, actual) from None
            raise

    def write(self, objects: Iterable[GitObject]) -> None:
        """Store objects durably, in one process; git checks their form and that what they name exists."""
        distinct = {item.oid: item for item in objects}
        if not distinct:
            return
        pack = BytesIO()
        streams = [
            OStream(bytes.fromhex(oid), item.kind.encode("ascii"), len(item.data), BytesIO(item.data))
            for oid, item in distinct.items()
        ]
        PackEntity.write_pack(streams, pack.write, object_count=len(streams))
        self.run(["unpack-objects", "-q", "--strict"], pack.getvalue())

    def read(self, names: Sequence[str]) -> list[GitObject | None]:
        """Return the objects by name (an id, or ``COMMIT:path`` with a checked path), ``None`` if absent."""
        if any("\n" in name for name in names):
            raise ValueError("the name of an object has no line end")
        output = self.run(["cat-file", "--batch"], "".join(f"{name}\n" for name in names).encode("utf-8"))
        return list(_parse_batch(BytesIO(output), len(names)))

    def read_many(self, oids: Sequence[str]) -> Iterator[GitObject]:
        """Yield many objects by id, in order, without holding them all in memory."""
        with tempfile.TemporaryFile() as wanted:
            wanted.write("".join(f"{_oid(oid)}\n" for oid in oids).encode("ascii"))
            wanted.seek(0)
            process = subprocess.Popen(
                self._command(["cat-file", "--batch", "--buffer"]),
                env=git_environment(),
                stdin=wanted,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert process.stdout is not None  # noqa: S101  (for the type checker: PIPE was asked for)
            try:
                for oid, item in zip(oids, _parse_batch(process.stdout, len(oids)), strict=True):
                    if item is None:
                        raise RepositoryError(f"object {oid} of {self.path.name} is missing; run git fsck there")
                    yield item
            finally:
                process.kill()
                process.stdout.close()
                process.wait()

    def files(self, commit: str, folders: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Return (path, object id) of every file of a commit, by path; only those below ``folders`` if given."""
        rows = self.run(["ls-tree", "-r", "-z", "--full-tree", _oid(commit), "--", *folders]).split(b"\0")
        found = []
        for row in rows[:-1]:
            meta, _tab, path = row.partition(b"\t")
            found.append((path.decode("utf-8"), meta.split(b" ")[2].decode("ascii")))
        return found

    def edit(self, head: str | None, changes: Mapping[str, str | None]) -> tuple[GitObject, list[GitObject]]:
        """Return ``head``'s root tree after ``changes`` (path → blob id, ``None`` removes), and all new trees."""
        folders: dict[str, TreeEntries] = {}
        if head is not None:
            asked = folders_of(changes)
            for folder, item in zip(asked, self.read([f"{_oid(head)}:{f}" for f in asked]), strict=True):
                if item is not None and item.kind == "tree":
                    folders[folder] = parse_tree(item.data)
        return edit_tree(folders, changes)

    def remove_stale_locks(self) -> list[Path]:
        """Remove what a killed git left: lock files and half-written objects; returns what was removed.

        Only for the process that holds the data directory's lock: nobody else may be using the repository.
        """
        stale = [path for path in self.path.rglob("*.lock") if path.is_file()]
        stale += self.path.glob("objects/*/tmp_*")
        stale += [path for path in (self.path / "gc.pid",) if path.exists()]
        for path in stale:
            path.unlink(missing_ok=True)
        return sorted(stale)

    def run(self, arguments: Sequence[str], stdin: bytes = b"") -> bytes:
        """Run one git command in this repository and return its output; raises ``RepositoryError``."""
        try:
            result = subprocess.run(
                self._command(arguments),
                env=git_environment(),
                input=stdin,
                capture_output=True,
                check=False,
                timeout=GIT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise RepositoryError(f"git {arguments[0]} in {self.path.name} took over {GIT_SECONDS} s") from None
        if result.returncode != 0:
            raise RepositoryError(f"git {arguments[0]} failed in {self.path.name}: {_reason(result.stderr)}")
        return result.stdout

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [git_program(), f"--git-dir={self.path}", *arguments]

    def _write_config(self, settings: Iterable[tuple[str, str]]) -> None:
        # Written as a whole: one process and one rename, where `git config` would be one process per setting.
        lines = ["[core]", "\trepositoryformatversion = 0", "\tfilemode = true", "\tbare = true"]
        for key, value in settings:
            section, _dot, name = key.partition(".")
            lines += [f"[{section}]", f'\t{name} = "{value}"']
        fresh = self.path / "config.lock"
        with fresh.open("w", encoding="ascii") as file:
            file.write("\n".join([*lines, ""]))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path / "config")


def _parse_batch(stream: IO[bytes], count: int) -> Iterator[GitObject | None]:
    for _ in range(count):
        header = stream.readline()
        if header.endswith((b" missing\n", b" ambiguous\n")):
            yield None
            continue
        words = header.split()
        if len(words) != 3:
            raise RepositoryError("git cat-file ended early; run git fsck in the repository")
        data = stream.read(int(words[2]))
        stream.read(1)
        yield GitObject(kind=words[1].decode("ascii"), data=data)


def _check_ref(name: str) -> None:
    if not _REF.fullmatch(name):
        raise ValueError(f"{name!r} is not a ref of the pool")


def _oid(text: str) -> str:
    if not is_oid(text):
        raise ValueError(f"{text[:50]!a} is not the full name of an object")
    return text


def _reason(output: bytes) -> str:
    lines = output.decode("utf-8", errors="replace").strip().splitlines()
    first = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[0] if lines else "")
    return printable(first.partition(": ")[2] or first, 300) or "it gave no reason"
