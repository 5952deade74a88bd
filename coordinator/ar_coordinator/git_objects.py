"""Git's objects as values: blobs, edited trees and signed commits, with the names that git gives them.

Not here: storing them (``git_store``) and any choice of what they contain.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from ar_coordinator.git_paths import PathRefusedError
from ar_core.signing import GIT_NAMESPACE, PrivateKey, ssh_signature
from ar_core.text import is_bidirectional, is_control, one_line

# Every file is plain: a room runs a command line, never a file's execute bit, and a bundle has bytes only.
FILE_MODE = b"100644"
TREE_MODE = b"40000"
POOL_EMAIL = "pool@pool.invalid"

_NAME_LIMIT = 100
_OID = re.compile(r"[0-9a-f]{40}")

TreeEntries = dict[str, tuple[bytes, str]]
"""The entries of one folder: name → (mode, object id)."""


@dataclass(frozen=True, kw_only=True)
class GitObject:
    """One object: its kind (blob, tree or commit) and its content without git's header."""

    kind: str
    data: bytes

    @cached_property
    def oid(self) -> str:
        """The 40 hexadecimal digits by which git names the object."""
        header = f"{self.kind} {len(self.data)}\0".encode("ascii")
        # git's name for an object, not a protection: signatures and sha256 digests are that.
        return hashlib.sha1(header + self.data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolIdentity:
    """Who commits: the pool's public name and the key it signs with."""

    name: str
    key: PrivateKey


def is_oid(text: str) -> bool:
    """Tell whether ``text`` is the full name of an object."""
    return _OID.fullmatch(text) is not None


def blob(data: bytes) -> GitObject:
    """Return the object that holds one file's bytes."""
    return GitObject(kind="blob", data=data)


def parse_tree(data: bytes) -> TreeEntries:
    """Read a tree object; raises ``ValueError`` when it is damaged."""
    entries: TreeEntries = {}
    start = 0
    while start < len(data):
        space = data.index(b" ", start)
        end = data.index(b"\0", space)
        oid = data[end + 1 : end + 21]
        if len(oid) != 20:
            raise ValueError("a tree object is cut short")
        entries[data[space + 1 : end].decode("utf-8")] = (data[start:space], oid.hex())
        start = end + 21
    return entries


def tree(entries: TreeEntries) -> GitObject:
    """Return the tree object with these entries, in git's order (a folder sorts as if it ended in ``/``)."""

    def order(item: tuple[str, tuple[bytes, str]]) -> bytes:
        name, (mode, _oid) = item
        return name.encode("utf-8") + (b"/" if mode == TREE_MODE else b"")

    rows = [
        mode + b" " + name.encode("utf-8") + b"\0" + bytes.fromhex(oid)
        for name, (mode, oid) in sorted(entries.items(), key=order)
    ]
    return GitObject(kind="tree", data=b"".join(rows))


def edit_tree(
    folders: Mapping[str, TreeEntries], changes: Mapping[str, str | None]
) -> tuple[GitObject, list[GitObject]]:
    """Return the root tree after ``changes``, and every tree object that is new.

    ``folders`` maps each existing folder on the way to a changed path (``""`` is the root) to its entries;
    ``changes`` maps a checked path to the blob's object id, or to ``None`` to remove it. Raises
    ``PathRefusedError`` where a file stands in the place of a folder, or a folder in that of a file.
    """
    made: list[GitObject] = []
    root = _edit_folder("", folders, {tuple(path.split("/")): oid for path, oid in changes.items()}, made)
    if root is None:
        root = tree({})
        made.append(root)
    return root, made


def _edit_folder(
    folder: str,
    folders: Mapping[str, TreeEntries],
    changes: Mapping[tuple[str, ...], str | None],
    made: list[GitObject],
) -> GitObject | None:
    entries = dict(folders.get(folder, {}))
    below: dict[str, dict[tuple[str, ...], str | None]] = {}
    for (name, *rest), oid in changes.items():
        is_folder = name in entries and entries[name][0] == TREE_MODE
        if rest:
            if name in entries and not is_folder:
                raise PathRefusedError(f"{folder + name!a} is a file and cannot be a folder as well")
            below.setdefault(name, {})[tuple(rest)] = oid
        elif is_folder:
            raise PathRefusedError(f"{folder + name!a} is a folder and cannot be a file as well")
        elif oid is None:
            entries.pop(name, None)
        else:
            entries[name] = (FILE_MODE, oid)
    for name, inner in below.items():
        child = _edit_folder(f"{folder}{name}/", folders, inner, made)
        if child is None:
            entries.pop(name, None)
        else:
            entries[name] = (TREE_MODE, child.oid)
    if not entries:
        return None
    result = tree(entries)
    made.append(result)
    return result


def folders_of(paths: Mapping[str, object]) -> list[str]:
    """Return every folder on the way to ``paths``, each ending in ``/``; the root, ``""``, comes first."""
    found = {""}
    for path in paths:
        names = path.split("/")[:-1]
        found.update("/".join(names[: depth + 1]) + "/" for depth in range(len(names)))
    return sorted(found)


def commit(
    *,
    tree_oid: str,
    parents: tuple[str, ...],
    author: str,
    pool: PoolIdentity,
    when: datetime,
    message: bytes,
) -> GitObject:
    """Return a commit signed with the pool's key in git's ssh format.

    ``author`` is a contributor's public name; ``when`` is aware and kept to the second. Raises ``ValueError``
    for a message that is not clean UTF-8 text with a line end, so that nothing hides from its readers.
    """
    check_message(message)
    if when.tzinfo is None:
        raise ValueError("a commit needs an aware time")
    seconds = int(when.astimezone(UTC).timestamp())
    headers = [f"tree {tree_oid}"]
    headers += [f"parent {parent}" for parent in parents]
    headers.append(f"author {person(author)} {seconds} +0000")
    headers.append(f"committer {_clean_name(pool.name)} <{POOL_EMAIL}> {seconds} +0000")
    head = "\n".join(headers).encode("utf-8")
    signature = ssh_signature(pool.key, GIT_NAMESPACE, head + b"\n\n" + message)
    folded = signature.rstrip("\n").replace("\n", "\n ").encode("ascii")
    return GitObject(kind="commit", data=head + b"\ngpgsig " + folded + b"\n\n" + message)


def signed_parts(commit_data: bytes) -> tuple[bytes, str]:
    """Split a commit into the bytes that were signed and the armored signature ("" where there is none)."""
    head, separator, message = commit_data.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    inside = False
    for line in head.split(b"\n"):
        if line.startswith(b"gpgsig "):
            inside = True
            signature.append(line[len(b"gpgsig ") :])
        elif inside and line.startswith(b" "):
            signature.append(line[1:])
        else:
            inside = False
            kept.append(line)
    return b"\n".join(kept) + separator + message, b"\n".join(signature).decode("ascii", errors="replace")


def check_message(message: bytes) -> None:
    """Raise ``ValueError`` unless ``message`` is UTF-8, ends with a line feed and hides nothing."""
    text = message.decode("utf-8")
    if not text.strip() or not text.endswith("\n"):
        raise ValueError("a commit message has text and ends with a line feed")
    if any(c in "\r\t" or is_control(c) or is_bidirectional(c) for c in text):
        raise ValueError("a commit message has no control or bidirectional characters")


def person(name: str) -> str:
    """Return ``NAME <ADDRESS>`` for a contributor's public name, whatever it contains.

    The address only tells contributors apart in git's tools; nobody receives mail there.
    """
    clean = _clean_name(name)
    plain = unicodedata.normalize("NFKD", clean).encode("ascii", errors="ignore").decode("ascii").lower()
    address = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-") or "contributor"
    return f"{clean} <{address}@users.pool.invalid>"


def _clean_name(name: str) -> str:
    # git reads the address between the last < and >, and drops such characters at a name's ends.
    kept = one_line(re.sub(r"[<>]", "", name), _NAME_LIMIT).strip(" .,:;\"'\\")
    return kept or "anonymous"
