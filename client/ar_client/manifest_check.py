"""What is wrong with a folder before anything runs: found here, so that nothing is uploaded in vain.

Not here: scoring the baseline (``ar_sandbox.registration``).
"""

from collections.abc import Mapping

from ar_core.errors import PoolError
from ar_core.manifest import ManifestError, check_files, read_manifest
from ar_core.problem import MANIFEST_NAME
from ar_core.records import Finding


def manifest_findings(files: Mapping[str, bytes]) -> tuple[str, tuple[Finding, ...]]:
    """Return the problem's name (empty when it cannot be read) and what is wrong with manifest and files.

    ``files`` maps path to content. Raises ``PoolError`` AR-P302 when there is no manifest at all.
    """
    if MANIFEST_NAME not in files:
        raise PoolError("AR-P302", f"there is no {MANIFEST_NAME} in it", hint="start one with `ar-pool init DIR`")
    try:
        problem = read_manifest(files[MANIFEST_NAME])
    except ManifestError as error:
        return "", tuple(
            Finding(check="manifest", severity="error", message=f"{f.where}: {f.message}", fix=f.fix)
            for f in error.findings
        )
    return problem.name, tuple(
        Finding(check="files", severity="error", message=f"{f.where}: {f.message}", fix=f.fix)
        for f in check_files(problem, files)
    )
