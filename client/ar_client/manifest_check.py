"""A problem's folder, and what is wrong with it before anything runs, so that nothing is uploaded in vain.

Not here: scoring the baseline (``ar_sandbox.registration``).
"""

from dataclasses import dataclass
from pathlib import Path

from ar_core.errors import PoolError
from ar_core.manifest import ManifestError, check_files, read_manifest
from ar_core.manifest_table import ManifestFinding
from ar_core.problem import MANIFEST_NAME
from ar_core.records import Finding
from ar_core.text import one_line
from ar_sandbox.folder import read_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFolder:
    """A problem's folder: its name (the folder's, where the manifest has none), files, and what refuses it."""

    name: str
    files: dict[str, bytes]
    findings: tuple[Finding, ...]


def check_folder(path: Path) -> CheckedFolder:
    """Read the folder ``path``; raises ``PoolError`` AR-P302 where it is no problem's, AR-A106 if unreadable."""
    folder = read_folder(path)
    found = [
        Finding(check=f.check, severity=f.severity, message=f.message, fix=f.fix) for f in folder.findings
    ]  # fmt: skip
    name = one_line(path.resolve().name)
    manifest = folder.files.get(MANIFEST_NAME)
    if manifest is None and not found:
        raise PoolError("AR-P302", f"{path} has no {MANIFEST_NAME}", hint="start one with `ar-pool init DIR`")
    if manifest is not None:
        try:
            problem = read_manifest(manifest)
        except ManifestError as error:
            found += [_error("manifest", f) for f in error.findings]
        else:
            name = problem.name
            # A file that was not read is not a file that is not there.
            found += [_error("files", f) for f in check_files(problem, folder.files) if not folder.findings]
    return CheckedFolder(name=name, files=folder.files, findings=tuple(found))


def _error(check: str, found: ManifestFinding) -> Finding:
    return Finding(check=check, severity="error", message=f"{found.where}: {found.message}", fix=found.fix)
