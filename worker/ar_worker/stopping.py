"""Ending a worker that runs in another process.

Not here: how it ends (``session``).
"""

import os
import select
import signal

from ar_core.errors import PoolError
from ar_worker.place import Place

_PATIENCE_SECONDS = 10.0


def tell_worker(place: Place, number: signal.Signals) -> bool:
    """Send a signal to the worker of ``place``; tell whether one runs."""
    pid = place.running()
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise PoolError("AR-A106", "the worker belongs to another user", hint="stop it as that user") from None
    return True


def end_worker(place: Place, number: signal.Signals) -> bool:
    """End the worker of ``place`` and wait until it has ended; tell whether there was one."""
    pid = place.running()
    if pid is None:
        return False
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if place.running() != pid or not tell_worker(place, number):
            return False
        if not select.select([handle], [], [], _PATIENCE_SECONDS)[0]:
            raise PoolError("AR-A105", "the worker did not end", hint="end it with `ar-worker stop --now`")
    finally:
        os.close(handle)
    return True
