"""The files below ``keys/``: made once, with the pool, and from then on only read.

Not here: what is in them (``pool_keys``, ``seeds``, ``certificate``). A key that is gone is never made again: with
another one it would be another pool to everybody who knows this one.
"""

from pathlib import Path

from ar_coordinator.data_directory import cannot_read
from ar_core.errors import PoolError


def read_key(path: Path, loss: str) -> bytes:
    """Return what a key file holds; raises ``PoolError`` AR-C607, which says what the ``loss`` of it means."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PoolError("AR-C607", f"{path} is gone: {loss}", hint=_restore(path)) from None
    except OSError as error:
        raise cannot_read(path, error) from None


def damaged(path: Path, what: str, loss: str) -> PoolError:
    """Return the error for a key file that holds something else."""
    return PoolError("AR-C607", f"{path} is damaged: it is not {what}; {loss}", hint=_restore(path))


def _restore(path: Path) -> str:
    return (
        f"restore {path.name} from a backup of the directory (mode 0600); without one, begin a new pool in an empty "
        "directory"
    )
