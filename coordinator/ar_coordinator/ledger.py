"""Every recorded experiment of a problem, failures too, under ``refs/ar/ledger`` of its git repository.

Not here: what a record contains, and the tail that is still in Redis.

Each flush is one signed commit with one new file ``YYYY/MM/DD/N.jsonl`` (N is the sequence number of its first
entry, so it only grows) and the bytes of verified candidates beside it, ``candidates/ab/SHA256``. No file ever
grows; the folders on the way to the new files are written anew and nothing else. A flush costs two or three
git processes however long the ledger is, and a folder of one day grows with the flushes of that day: flush by
the minute, not by the entry.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from ar_coordinator.evidence import parse_trailers
from ar_coordinator.git_objects import PoolIdentity, blob, commit, parse_tree, signed_parts
from ar_coordinator.git_store import GitStore, RepositoryError
from ar_core.signing import PublicKey, verify_ssh_signature

LEDGER = "refs/ar/ledger"
THROUGH_TRAILER = "Ledger-Through"

_FILE = re.compile(r"\d{4}/\d\d/\d\d/(\d+)\.jsonl")
_YEAR = re.compile(r"\d{4}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SEQUENCE = "sequence"


class LedgerError(RepositoryError):
    """The ledger is not as the pool wrote it, or was given something it cannot keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One record: its sequence number in the problem (from 1) and its JSON fields (``sequence`` is reserved)."""

    sequence: int
    record: Mapping[str, object]

    def to_line(self) -> bytes:
        """Return the entry as one line of JSON, with a line end; equal entries give equal bytes."""
        if self.sequence < 1 or _SEQUENCE in self.record:
            raise LedgerError("a ledger entry has a sequence number from 1, outside its record")
        fields = {_SEQUENCE: self.sequence, **self.record}
        # ASCII only, so that no reader sees a control or bidirectional character, and no line is split.
        text = json.dumps(fields, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))
        return text.encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "LedgerEntry":
        """Read what ``to_line`` wrote; raises ``LedgerError`` otherwise."""
        try:
            fields = json.loads(line)
        except ValueError:
            raise LedgerError(f"a line of the ledger is not JSON: {line[:60]!r}") from None
        if not isinstance(fields, dict) or type(fields.get(_SEQUENCE)) is not int:
            raise LedgerError(f"a line of the ledger has no sequence number: {line[:60]!r}")
        sequence = fields.pop(_SEQUENCE)
        return cls(sequence=sequence, record=fields)


class Ledger:
    """The ledger in the bare repository at ``path``; for one writer, safe to read meanwhile."""

    def __init__(self, path: Path, pool: PoolIdentity) -> None:
        self.store = GitStore(path)
        self.pool = pool

    def head(self) -> str | None:
        """Return the commit of the last flush, or ``None`` before the first."""
        return self.store.ref(LEDGER)

    def through(self) -> int:
        """Return the highest sequence number that is safe in git; 0 before the first flush."""
        return self._through(self.head())

    def append(self, entries: Sequence[LedgerEntry], blobs: Mapping[str, bytes], when: datetime) -> str | None:
        """Flush entries and candidate bytes in one commit; returns it, or ``None`` when all was there already.

        Entries up to ``through()`` are skipped, so a flush that was cut off can simply be sent again; the rest
        must ascend. ``blobs`` maps the SHA-256 of a candidate to its bytes. ``when`` (aware) dates the file.
        Raises ``LedgerError`` for entries out of order or a blob under another name, and ``StaleHeadError``
        when somebody else flushed meanwhile.
        """
        head = self.head()
        through = self._through(head)
        fresh = [entry for entry in entries if entry.sequence > through]
        if any(after.sequence <= before.sequence for before, after in pairwise(fresh)):
            raise LedgerError("ledger entries must come in ascending order of their sequence numbers")
        files = self._missing_candidates(head, blobs)
        if fresh:
            day = when.astimezone(UTC).strftime("%Y/%m/%d")
            files[f"{day}/{fresh[0].sequence}.jsonl"] = b"".join(entry.to_line() for entry in fresh)
            through = fresh[-1].sequence
        if not files:
            return None
        return self._commit(head, files, f"Ledger: {len(fresh)} experiments, {len(blobs)} files", through, when)

    def entries(self, after: int = 0) -> Iterator[LedgerEntry]:
        """Yield every entry with a sequence number above ``after``, ascending, a flush at a time from git."""
        head = self.head()
        if head is None:
            return
        files = self._files(head)
        # The last file that begins at or before the wanted entry may still hold it.
        start = max((i for i, (first, _oid) in enumerate(files) if first <= after + 1), default=0)
        for item in self.store.read_many([oid for _first, oid in files[start:]]):
            for line in item.data.split(b"\n")[:-1]:
                entry = LedgerEntry.from_line(line)
                if entry.sequence > after:
                    yield entry

    def candidate(self, sha256: str) -> bytes | None:
        """Return the bytes of a verified candidate, or ``None`` where the ledger has none by this digest."""
        head = self.head()
        if head is None or not _SHA256.fullmatch(sha256):
            return None
        (item,) = self.store.read([f"{head}:{_candidate_path(sha256)}"])
        return None if item is None else item.data

    def check(self, key: PublicKey) -> list[str]:
        """Return what is wrong with the ledger, one sentence each; an empty list means that all holds.

        Looks at every flush's signature and trailer, the order of the entries, and every candidate's digest.
        """
        head = self.head()
        if head is None:
            return []
        return [*self._check_flushes(head, key), *self._check_entries(), *self._check_candidates(head)]

    def _check_flushes(self, head: str, key: PublicKey) -> Iterator[str]:
        flushes = self.store.run(["rev-list", "--reverse", head]).decode("ascii").split()
        through = 0
        for item in self.store.read_many(flushes):
            payload, signature = signed_parts(item.data)
            if not verify_ssh_signature(key, "git", payload, signature):
                yield f"flush {item.oid} is not signed by the pool's key"
            now = _through_of(item.data)
            if now < through:
                yield f"flush {item.oid} goes back from entry {through} to {now}"
            through = now

    def _check_entries(self) -> Iterator[str]:
        last = 0
        for entry in self.entries():
            if entry.sequence <= last:
                yield f"entry {entry.sequence} comes after entry {last}"
            last = entry.sequence
        if last != self.through():
            yield f"the last entry is {last}, but the last flush says {self.through()}"

    def _check_candidates(self, head: str) -> Iterator[str]:
        files = self.store.files(head, ["candidates"])
        for (path, _oid), item in zip(files, self.store.read_many([oid for _p, oid in files]), strict=True):
            if path != _candidate_path(hashlib.sha256(item.data).hexdigest()):
                yield f"{path} does not hold the bytes that its name says"

    def _through(self, head: str | None) -> int:
        if head is None:
            return 0
        (item,) = self.store.read([head])
        if item is None:
            raise LedgerError(f"the ledger's commit {head} is missing; run git fsck in {self.store.path.name}")
        return _through_of(item.data)

    def _missing_candidates(self, head: str | None, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
        for name, data in blobs.items():
            if hashlib.sha256(data).hexdigest() != name:
                raise LedgerError(f"candidate {name[:64]!a} does not have the digest it is named by")
        if head is None:
            return {_candidate_path(name): data for name, data in blobs.items()}
        present = self._candidates_in_shards(head, {name[:2] for name in blobs})
        return {_candidate_path(name): data for name, data in blobs.items() if name not in present}

    def _candidates_in_shards(self, head: str, shards: set[str]) -> set[str]:
        if not shards:
            return set()
        items = self.store.read([f"{head}:candidates/{shard}" for shard in sorted(shards)])
        return {name for item in items if item is not None for name in parse_tree(item.data)}

    def _files(self, head: str) -> list[tuple[int, str]]:
        (root,) = self.store.read([f"{head}:"])
        years = [name for name in parse_tree(root.data) if _YEAR.fullmatch(name)] if root else []
        if not years:
            return []
        found = []
        for path, oid in self.store.files(head, years):
            match = _FILE.fullmatch(path)
            if match is None:
                raise LedgerError(f"{path!a} is not a file of the ledger; it was changed by hand")
            found.append((int(match[1]), oid))
        return sorted(found)

    def _commit(
        self, head: str | None, files: Mapping[str, bytes], subject: str, through: int, when: datetime
    ) -> str:
        objects = {path: blob(data) for path, data in files.items()}
        root, trees = self.store.edit(head, {path: item.oid for path, item in objects.items()})
        made = commit(
            tree_oid=root.oid,
            parents=(head,) if head else (),
            author=self.pool.name,
            pool=self.pool,
            when=when,
            message=f"{subject}\n\n{THROUGH_TRAILER}: {through}\n".encode("ascii"),
        )
        self.store.write([*objects.values(), *trees, made])
        self.store.move_ref(LEDGER, made.oid, head)
        return made.oid


def _candidate_path(sha256: str) -> str:
    return f"candidates/{sha256[:2]}/{sha256}"


def _through_of(commit_data: bytes) -> int:
    message = commit_data.partition(b"\n\n")[2].decode("utf-8")
    text = parse_trailers(message).get(THROUGH_TRAILER, "")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise LedgerError(f"a flush of the ledger has no {THROUGH_TRAILER} trailer; it was changed by hand")
    return int(text)
