"""Kills, stops, traces and overwrites every process that it can see, and its evaluator's by number.

expect: refused
says: others 0, host ESRCH, ptrace EPERM, write EPERM
"""

import ctypes
import errno
import os
import signal
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
visible = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
others = 0
for pid in visible:
    if pid not in (1, os.getpid()):
        try:
            os.kill(pid, signal.SIGSTOP)
            others += 1
        except OSError:
            pass
try:
    os.kill(-1, signal.SIGKILL)
except OSError:
    pass
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
    try:
        os.kill(1, number)  # ignored by whoever is first in a room
    except OSError:
        pass
try:
    os.kill(HOST, signal.SIGSTOP)
    host = "KILLED"
except OSError as error:
    host = errno.errorcode[error.errno]


def name(returned):
    return errno.errorcode[ctypes.get_errno()] if returned == -1 else "ALLOWED"


ptrace = name(libc.ptrace(16, 1, 0, 0))
write = name(libc.process_vm_writev(1, None, 0, None, 0, 0))
say(f"others {others}, host {host}, ptrace {ptrace}, write {write}")
