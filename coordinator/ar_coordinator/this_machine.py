"""What this machine has for a verifier's rooms: cores, memory, the interpreter, programs.

Not here: what problems need (``verifier_machine``).
"""

import os
from pathlib import Path

import psutil

from ar_coordinator.verifier_machine import VerifierMachine
from ar_sandbox.environment import base_interpreter

_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin")
"""Where a room finds programs, beside its ``python``."""


def this_machine() -> VerifierMachine:
    """Return what rooms on this machine have; a GPU is none of it, since rooms have none."""
    return VerifierMachine(
        cpus=len(os.sched_getaffinity(0)),
        memory=psutil.virtual_memory().total,
        python=base_interpreter().version,
        programs=frozenset(_programs()),
    )


def _programs() -> set[str]:
    found: set[str] = set()
    for folder in map(Path, _FOLDERS):
        if folder.is_dir():
            with os.scandir(folder) as entries:
                found |= {entry.name for entry in entries if os.access(entry.path, os.X_OK)}
    return found
