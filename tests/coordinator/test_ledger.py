"""The ledger: every entry once, in order, whatever is sent again, and beside an untouched ``main``."""

import hashlib
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.evidence import Publication, Score
from ar_coordinator.git_objects import PoolIdentity, blob, commit
from ar_coordinator.git_paths import check_path
from ar_coordinator.git_store import StaleHeadError
from ar_coordinator.ledger import LEDGER, Ledger, LedgerEntry, LedgerError
from ar_coordinator.repository import ProblemRepository
from ar_core.signing import PrivateKey

PUBLISHED = Publication(problem="abc", revision=1, score=Score(value=0.5), locked_digest="0f").to_message()
Git = Callable[..., subprocess.CompletedProcess[str]]
records = st.dictionaries(
    st.text(max_size=8).filter(lambda key: key != "sequence"),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    max_size=5,
)


def entries(*sequences: int) -> list[LedgerEntry]:
    return [LedgerEntry(sequence=n, record={"id": f"x-{n}", "note": "a\nb\u2028\u202e"}) for n in sequences]


def named(*contents: bytes) -> dict[str, bytes]:
    return {hashlib.sha256(data).hexdigest(): data for data in contents}


@pytest.fixture
def repository(tmp_path: Path, pool: PoolIdentity, when: datetime) -> ProblemRepository:
    repository = ProblemRepository(tmp_path / "abc.git", pool)
    repository.create({"a": b"1"}, PUBLISHED, "x", when)
    return repository


@pytest.fixture
def ledger(repository: ProblemRepository, pool: PoolIdentity) -> Ledger:
    return Ledger(repository.path, pool)


def test_an_empty_ledger(ledger: Ledger, when: datetime, pool: PoolIdentity) -> None:
    assert ledger.through() == 0
    assert list(ledger.entries()) == []
    assert ledger.candidate("0" * 64) is None
    assert ledger.append([], {}, when) is None
    assert ledger.head() is None
    assert ledger.check(pool.key.public) == []


def test_a_flush_is_one_new_file_in_one_signed_commit(
    ledger: Ledger, repository: ProblemRepository, when: datetime, git: Git
) -> None:
    main = repository.head()
    first = ledger.append(entries(1, 2), named(b"candidate"), when)
    second = ledger.append(entries(3, 5), {}, when + timedelta(days=400))
    assert second is not None
    (digest,) = named(b"candidate")
    listed = git("ls-tree", "-r", "--name-only", LEDGER, cwd=ledger.store.path).stdout.split()
    assert listed == ["2026/03/04/1.jsonl", "2027/04/08/3.jsonl", f"candidates/{digest[:2]}/{digest}"]
    assert ledger.through() == 5
    assert repository.head() == main
    assert git("rev-list", LEDGER, cwd=ledger.store.path).stdout.split() == [second, first]
    trailer = git("log", "-1", "--format=%(trailers:key=Ledger-Through,valueonly)", LEDGER, cwd=ledger.store.path)
    assert trailer.stdout.strip() == "5"
    assert git("verify-commit", second, cwd=ledger.store.path).returncode == 0
    assert git("fsck", "--strict", cwd=ledger.store.path).stdout == ""


def test_everything_comes_back_in_order(ledger: Ledger, when: datetime) -> None:
    # The clock goes back between flushes; the order of the entries does not.
    ledger.append(entries(1, 2, 3), {}, when)
    ledger.append(entries(4, 10), {}, when - timedelta(days=40))
    ledger.append(entries(11, 12), {}, when + timedelta(days=1))
    everything = entries(1, 2, 3, 4, 10, 11, 12)
    assert list(ledger.entries()) == everything
    for after in range(14):
        assert list(ledger.entries(after)) == [entry for entry in everything if entry.sequence > after]


def test_what_is_sent_again_is_kept_once(ledger: Ledger, when: datetime) -> None:
    head = ledger.append(entries(1, 2), named(b"x"), when)
    assert ledger.append(entries(1, 2), named(b"x"), when) is None
    assert ledger.append(entries(2), {}, when) is None
    assert ledger.head() == head
    assert ledger.append(entries(1, 2, 3), named(b"x", b"y"), when) != head
    assert [entry.sequence for entry in ledger.entries()] == [1, 2, 3]


def test_candidates_come_back_by_their_digest(ledger: Ledger, when: datetime) -> None:
    contents = named(*(b"%d\0\xff" % n for n in range(30)))
    ledger.append(entries(1), contents, when)
    for name, data in contents.items():
        assert ledger.candidate(name) == data
    late = named(b"late")
    assert ledger.append([], late, when) is not None
    assert ledger.through() == 1
    assert ledger.candidate(*late) == b"late"
    for bad in ("0" * 64, "", "../../HEAD", "A" * 64, next(iter(late))[:-1]):
        assert ledger.candidate(bad) is None


def test_a_wrong_digest_or_order_is_refused(ledger: Ledger, when: datetime) -> None:
    with pytest.raises(LedgerError, match="digest"):
        ledger.append(entries(1), {"0" * 64: b"x"}, when)
    with pytest.raises(LedgerError, match="digest"):
        ledger.append(entries(1), {"../x": b"x"}, when)
    for wrong in (entries(2, 1), entries(1, 1), entries(0), entries(-1, 1)):
        if wrong[0].sequence > 0:
            with pytest.raises(LedgerError, match="ascending"):
                ledger.append(wrong, {}, when)
        else:
            with pytest.raises(LedgerError):
                wrong[0].to_line()
    assert ledger.head() is None


@given(st.integers(1, 10**15), records)
def test_a_line_round_trips(sequence: int, record: dict[str, object]) -> None:
    entry = LedgerEntry(sequence=sequence, record=record)
    line = entry.to_line()
    assert LedgerEntry.from_line(line) == entry
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert LedgerEntry.from_line(line).to_line() == line


@pytest.mark.parametrize(
    "line", [b"", b"x", b"[]", b"{}", b'{"sequence":"1"}', b'{"sequence":true}', b"\xff", b"null"]
)
def test_a_damaged_line_is_named(line: bytes) -> None:
    with pytest.raises(LedgerError, match="line of the ledger"):
        LedgerEntry.from_line(line)


@pytest.mark.parametrize("record", [{"sequence": 2}, {"x": float("nan")}, {"x": float("inf")}])
def test_a_record_that_json_cannot_hold_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValueError if "x" in record else LedgerError):
        LedgerEntry(sequence=1, record=record).to_line()


def test_a_race_between_two_writers_is_noticed(
    ledger: Ledger, pool: PoolIdentity, when: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(entries(1), {}, when)
    other = Ledger(ledger.store.path, pool)
    write = ledger.store.write

    def write_while_the_other_flushes(objects: object) -> None:
        other.append(entries(2), {}, when)
        write(objects)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.store, "write", write_while_the_other_flushes)
    with pytest.raises(StaleHeadError):
        ledger.append(entries(2, 3), {}, when)
    monkeypatch.undo()
    ledger.append(entries(2, 3), {}, when)
    assert [entry.sequence for entry in ledger.entries()] == [1, 2, 3]


def test_a_crash_before_the_ref_moves_loses_nothing(
    ledger: Ledger, when: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    def killed(*_arguments: object) -> None:
        raise KilledError

    monkeypatch.setattr(ledger.store, "move_ref", killed)
    with pytest.raises(KilledError):
        ledger.append(entries(1), named(b"x"), when)
    monkeypatch.undo()
    assert ledger.through() == 0
    assert ledger.append(entries(1), named(b"x"), when) is not None
    assert [entry.sequence for entry in ledger.entries()] == [1]


def test_a_flush_rewrites_only_the_folders_on_its_way(ledger: Ledger, when: datetime, git: Git) -> None:
    for day in range(5):
        ledger.append(entries(day * 2 + 1), named(b"%d" % day), when + timedelta(days=day * 40))

    def trees() -> set[str]:
        listed = git("ls-tree", "-r", "-t", LEDGER, cwd=ledger.store.path).stdout.splitlines()
        return {line.split()[2] for line in listed if " tree " in line}

    before = trees()
    ledger.append(entries(99), {}, datetime(2030, 1, 1, tzinfo=UTC))
    assert before <= trees()
    assert len(trees() - before) == 3


def test_the_check_finds_what_was_changed(ledger: Ledger, pool: PoolIdentity, when: datetime) -> None:
    ledger.append(entries(1, 2), named(b"x"), when)
    ledger.append(entries(3), {}, when)
    assert ledger.check(pool.key.public) == []
    assert len(ledger.check(PrivateKey(raw=bytes(32)).public)) == 2

    head = ledger.head()
    (digest,) = named(b"x")
    path = f"candidates/{digest[:2]}/{digest}"
    check_path(path)
    files = {path: blob(b"forged"), "2026/03/04/3.jsonl": blob(entries(2)[0].to_line())}
    root, trees = ledger.store.edit(head, {name: item.oid for name, item in files.items()})
    made = commit(
        tree_oid=root.oid, parents=(str(head),), author="x", pool=pool, when=when, message=b"s\n\nLedger-Through: 2\n"
    )
    ledger.store.write([*files.values(), *trees, made])
    ledger.store.move_ref(LEDGER, made.oid, head)
    found = "\n".join(ledger.check(pool.key.public))
    assert "goes back from entry 3 to 2" in found
    assert "entry 2 comes after entry 2" in found
    assert "does not hold the bytes" in found
