"""Asks for memory that no limit of a process counts: memfd, and shared memory of System V.

expect: refused
says: memfd_create EPERM, shmget EPERM, msgget EPERM, semget EPERM
"""

import ctypes
import errno

libc = ctypes.CDLL(None, use_errno=True)
got = []
for name, arguments in (("memfd_create", (b"x", 0)), ("shmget", (0, 1 << 20, 0o1600)), ("msgget", (0, 0o1600)),
                        ("semget", (0, 1, 0o1600))):  # fmt: skip
    failed = getattr(libc, name)(*arguments) == -1
    got.append(f"{name} {errno.errorcode[ctypes.get_errno()] if failed else 'ALLOWED'}")
say(", ".join(got))
