"""What a machine keeps between runs: fetched blobs, and its account."""

import os
from datetime import date
from pathlib import Path

from ar_core.candidate import sha256
from ar_worker.account import Account
from ar_worker.blob_cache import BlobCache

MONDAY, TUESDAY = date(2026, 5, 4), date(2026, 5, 5)


def test_a_blob_is_found_again_unless_it_was_damaged(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "cache")
    name = sha256(b"bytes")
    assert cache.get(name) is None
    cache.put(name, b"bytes")
    assert cache.get(name) == b"bytes"
    (tmp_path / "cache" / name).write_bytes(b"other")
    assert cache.get(name) is None


def test_the_cache_is_bounded_and_forgets_what_was_not_used_for_longest(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, max_bytes=1000)
    blobs = [bytes([number]) * 100 for number in range(30)]
    for age, blob in enumerate(blobs):
        cache.put(sha256(blob), blob)
        os.utime(tmp_path / sha256(blob), (age, age))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    assert cache.get(sha256(blobs[-1])) == blobs[-1]
    assert cache.get(sha256(blobs[0])) is None


def test_a_cache_that_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = BlobCache(tmp_path / "file")
    cache.put(sha256(b"x"), b"x")
    assert cache.get(sha256(b"x")) is None


def test_what_the_pool_confirmed_is_counted_by_day_and_in_all(tmp_path: Path) -> None:
    account = Account.load(tmp_path / "account.json")
    account.count("reported", {"experiments": 5, "claims": ["x-1"]}, MONDAY)
    account.count("reported", {"experiments": 2, "claims": []}, TUESDAY)
    account.count("verdict", {"status": "accepted"}, TUESDAY)
    account.count("verdict", {"status": "rejected"}, TUESDAY)
    account.count("scored", {"seconds": 0.5}, TUESDAY)
    account.set_now(state="working", slots=1)
    account.save()
    again = Account.load(tmp_path / "account.json")
    assert again.of_day(MONDAY) == {"experiments": 5, "claims": 1, "accepted": 0, "seconds": 0}
    assert again.of_day(TUESDAY) == {"experiments": 2, "claims": 0, "accepted": 1, "seconds": 0.5}
    assert again.in_all() == {"experiments": 7, "claims": 1, "accepted": 1, "seconds": 0.5}
    assert again.now == {"state": "working", "slots": 1}
    assert not again.changed


def test_a_damaged_account_begins_anew(tmp_path: Path) -> None:
    for text in ("", "[]", '{"days": 3}', '{"days": {"x": []}, "total": {}}'):
        (tmp_path / "account.json").write_text(text)
        assert Account.load(tmp_path / "account.json").in_all()["experiments"] == 0
