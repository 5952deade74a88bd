"""Blobs are the bytes that their name says, wherever they lie."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ar_coordinator.store import keys
from ar_coordinator.store.blobs import IN_REDIS_BYTES, BlobMissingError, Blobs
from ar_coordinator.store.connection import Connection
from ar_core.candidate import sha256
from ar_core.errors import PoolError

LARGE = bytes(IN_REDIS_BYTES + 1)


@pytest.fixture
def blobs(connection: Connection, blob_folder: Path) -> Blobs:
    return Blobs(connection, blob_folder)


@pytest.mark.parametrize("data", [b"", b"\x00\xff", bytes(IN_REDIS_BYTES), LARGE], ids=len)
def test_bytes_come_back_by_their_hash(blobs: Blobs, data: bytes) -> None:
    name = blobs.put(data)
    assert name == sha256(data) == blobs.put(data)
    assert blobs.get(name) == data


def test_large_ones_are_files(blobs: Blobs, blob_folder: Path, connection: Connection) -> None:
    name = blobs.put(LARGE)
    assert (blob_folder / name[:2] / name).stat().st_mode & 0o777 == 0o600
    assert not connection.raw.exists(keys.blob(name))


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "a" * 64])
def test_what_is_not_there_or_no_name(blobs: Blobs, name: str) -> None:
    with pytest.raises(BlobMissingError):
        blobs.get(name)


def test_bytes_that_were_changed_are_not_given_out(blobs: Blobs, blob_folder: Path, connection: Connection) -> None:
    small, large = blobs.put(b"small"), blobs.put(LARGE)
    connection.raw.set(keys.blob(small), b"other")
    (blob_folder / large[:2] / large).write_bytes(b"other")
    for name in (small, large):
        with pytest.raises(BlobMissingError, match="hash"):
            blobs.get(name)


def test_many_may_store_the_same_bytes_at_once(blobs: Blobs, blob_folder: Path) -> None:
    data = bytes(8 * IN_REDIS_BYTES)
    with ThreadPoolExecutor(8) as threads:
        names = {done.result() for done in [threads.submit(blobs.put, data) for _ in range(24)]}
    assert names == {sha256(data)}
    assert blobs.get(sha256(data)) == data
    assert [path.name for path in blob_folder.rglob("*") if path.is_file()] == [sha256(data)]


def test_a_folder_that_cannot_be_written_is_said(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PoolError) as caught:
        Blobs(connection, tmp_path / "file").put(LARGE)
    assert caught.value.code == "AR-C607"
