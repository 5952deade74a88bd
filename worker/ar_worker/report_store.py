"""Reports that the pool has not confirmed yet, on disk: written before they are sent, gone when it has them.

Not here: when they are sent. Whatever kills this process or this machine, the next start finds them.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from google.protobuf.message import DecodeError

from ar_core.candidate import sha256
from ar_core.errors import PoolError
from ar_proto.v1 import work_pb2
from ar_worker.task import Report, ReportKey
from ar_worker.wire import report_from_wire

_END = ".report"


class ReportStore:
    """The folder of one pool's reports; only its owner can read it."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if there is none; raises ``PoolError`` AR-A106 where that cannot be."""
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, error) from None

    def keep(self, key: ReportKey, message: work_pb2.Report) -> None:
        """Write a signed report; it is on disk when this returns. Raises ``PoolError`` AR-A106."""
        try:
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".")
            with os.fdopen(handle, "wb") as file:
                file.write(message.SerializeToString(deterministic=True))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path(key))
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _unusable(self._folder, error) from None

    def read(self, key: ReportKey) -> work_pb2.Report | None:
        """Return a report as it was signed, ``None`` where it is not there any more."""
        return _parsed(self._path(key))

    def drop(self, key: ReportKey) -> None:
        """Forget a report."""
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def reports(self) -> list[Report]:
        """Return everything that is here, by lease and number; remnants of a write that was cut off are removed."""
        found = []
        for path in sorted(self._folder.iterdir()):
            message = _parsed(path) if path.name.endswith(_END) else None
            if message is None:
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            found.append(report_from_wire(message))
        return sorted(found, key=lambda report: report.key)

    def _path(self, key: ReportKey) -> Path:
        # The pool chose the lease's name, so it is no file name.
        lease = sha256(f"{key.lease.fencing} {key.lease.id}".encode())[:32]
        return self._folder / f"{lease}-{key.sequence:08}{_END}"


def _parsed(path: Path) -> work_pb2.Report | None:
    try:
        return work_pb2.Report.FromString(path.read_bytes())
    except (OSError, DecodeError):
        return None


def _unusable(folder: Path, error: OSError) -> PoolError:
    return PoolError("AR-A106", f"{folder}: {error.strerror}", hint="make it writable, or set AR_HOME")
