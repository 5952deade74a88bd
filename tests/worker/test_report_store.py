"""Reports on disk: there before they are sent, whatever happens then."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ar_core.errors import PoolError
from ar_core.lifecycle import Reason
from ar_core.signing import REPORT_DOMAIN, PrivateKey, verify
from ar_proto.v1 import work_pb2
from ar_worker.report_store import ReportStore
from ar_worker.task import Count, LeaseName, Report, ReportKey, Trial
from ar_worker.wire import report_from_wire, report_to_wire, signed

KEY = PrivateKey(raw=b"k" * 32)
text = st.text(st.characters(codec="utf-8"), max_size=20)
seconds = st.integers(0, 10**9).map(lambda micros: micros / 1_000_000)
reasons = st.sampled_from(Reason)
trials = st.builds(
    Trial, content_hash=text, score=st.none() | st.floats(allow_nan=False), reason=st.none() | reasons, note=text,
    parent_score=st.none() | st.floats(allow_nan=False), seconds=seconds, content=st.none() | st.binary(max_size=30),
)  # fmt: skip
keys = st.builds(
    ReportKey,
    lease=st.builds(LeaseName, id=text, fencing=st.integers(0, 2**62)),
    sequence=st.integers(1, 2**31),
)
reports = st.builds(
    Report, key=keys, trials=st.lists(trials, max_size=3).map(tuple), last=st.booleans(),
    counted=st.dictionaries(reasons, st.builds(Count, trials=st.integers(1, 2**40), seconds=seconds), max_size=3),
)  # fmt: skip


def report(lease: str, sequence: int) -> Report:
    return Report(key=ReportKey(lease=LeaseName(id=lease, fencing=3), sequence=sequence))


@given(report=reports)
def test_a_report_survives_the_wire(report: Report) -> None:
    assert report_from_wire(work_pb2.Report.FromString(report_to_wire(report).SerializeToString())) == report


@given(report=reports)
def test_a_report_is_signed_over_everything_but_its_signature(report: Report) -> None:
    message = signed(report, KEY)
    signature = message.signature
    message.ClearField("signature")
    assert verify(KEY.public, REPORT_DOMAIN, message.SerializeToString(deterministic=True), signature)
    message.sequence += 1
    assert not verify(KEY.public, REPORT_DOMAIN, message.SerializeToString(deterministic=True), signature)


def test_what_is_kept_is_found_again_in_order_and_dropped_once(tmp_path: Path) -> None:
    store = ReportStore(tmp_path / "reports")
    for one in (report("b", 1), report("a", 2), report("a", 1), report("../../etc", 1)):
        store.keep(one.key, signed(one, KEY))
    again = ReportStore(tmp_path / "reports")
    found = [(one.key.lease.id, one.key.sequence) for one in again.reports()]
    assert found == [("../../etc", 1), ("a", 1), ("a", 2), ("b", 1)]
    assert [path.parent for path in tmp_path.rglob("*.report")] == [tmp_path / "reports"] * 4
    again.drop(report("a", 1).key)
    again.drop(report("a", 1).key)
    assert again.read(report("a", 1).key) is None
    kept = again.read(report("a", 2).key)
    assert kept is not None
    assert kept == signed(report("a", 2), KEY)


def test_remnants_of_a_write_are_cleared_away(tmp_path: Path) -> None:
    store = ReportStore(tmp_path)
    (tmp_path / ".tmp12").write_bytes(b"half")
    (tmp_path / "damaged.report").write_bytes(b"\xff\xff")
    assert store.reports() == []
    assert list(tmp_path.iterdir()) == []


def test_a_process_killed_between_keeping_and_sending_loses_nothing(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from ar_core.signing import PrivateKey
from ar_worker.report_store import ReportStore
from ar_worker.task import LeaseName, Report, ReportKey
from ar_worker.wire import signed
one = Report(key=ReportKey(lease=LeaseName(id="l-1", fencing=3), sequence=1))
ReportStore(Path({str(tmp_path)!r})).keep(one.key, signed(one, PrivateKey(raw=b"k" * 32)))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert ReportStore(tmp_path).reports() == [report("l-1", 1)]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PoolError, match="file"):
        ReportStore(tmp_path / "file" / "reports")


@settings(deadline=None, max_examples=20)
@given(found=st.lists(reports, max_size=4, unique_by=lambda one: one.key))
def test_any_report_is_kept_as_it_is(found: list[Report], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = ReportStore(tmp_path_factory.mktemp("reports"))
    for one in found:
        store.keep(one.key, signed(one, KEY))
    assert store.reports() == sorted(found, key=lambda one: one.key)
