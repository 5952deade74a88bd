"""The system calls a room may not make, as the BPF program that bubblewrap loads (x86-64 and arm64).

Not here: namespaces, capabilities and limits, which refuse most of the same things a second time.

Layout of the filter's input and the return values: Linux, ``include/uapi/linux/seccomp.h`` and ``filter.h``.
"""

import errno
import platform
import struct

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 16, 24, 32
"""Where each is; of the arguments the low halves, little-endian."""
_X32_BIT = 0x40000000
_CLONE_NEW = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_AF_UNIX = 1
_SOL_SOCKET, _SO_SNDBUF, _SO_RCVBUF = 1, 7, 8
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_DENIED_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "mount_setattr": 442,
    "memfd_secret": 447, "open_tree_attr": 467,
}  # fmt: skip
DENIED = {
    "x86_64": {
        **_DENIED_EVERYWHERE,
        "shmget": 29, "shmat": 30, "shmctl": 31, "shmdt": 67, "semget": 64, "semop": 65, "semctl": 66,
        "semtimedop": 220, "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "ptrace": 101, "syslog": 103,
        "personality": 135, "vhangup": 153, "pivot_root": 155, "adjtimex": 159, "chroot": 161, "acct": 163,
        "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169,
        "iopl": 172, "ioperm": 173, "create_module": 174, "init_module": 175, "delete_module": 176,
        "quotactl": 179, "clock_settime": 227, "kexec_load": 246, "add_key": 248, "request_key": 249,
        "keyctl": 250, "unshare": 272, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303,
        "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310,
        "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "memfd_create": 319, "kexec_file_load": 320,
        "bpf": 321, "userfaultfd": 323,
    },
    "aarch64": {
        **_DENIED_EVERYWHERE,
        "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "quotactl": 60, "vhangup": 58, "acct": 89,
        "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106,
        "clock_settime": 112, "syslog": 116, "ptrace": 117, "reboot": 142, "settimeofday": 170, "adjtimex": 171,
        "msgget": 186, "msgctl": 187, "msgrcv": 188, "msgsnd": 189, "semget": 190, "semctl": 191,
        "semtimedop": 192, "semop": 193, "shmget": 194, "shmctl": 195, "shmat": 196, "shmdt": 197,
        "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224, "swapoff": 225, "perf_event_open": 241,
        "fanotify_init": 262, "name_to_handle_at": 264, "open_by_handle_at": 265, "clock_adjtime": 266,
        "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273,
        "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294,
    },
}  # fmt: skip
"""Calls that fail with EPERM, per machine as ``platform.machine`` names it."""
_CLONE3 = 435
_BY_ARGUMENT = {
    "x86_64": {"clone": 56, "socket": 41, "ioctl": 16, "setsockopt": 54},
    "aarch64": {"clone": 220, "socket": 198, "ioctl": 29, "setsockopt": 208},
}
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _refuse(error: int) -> bytes:
    return _step(_RETURN, _ERRNO | error)


def program(machine: str | None = None) -> bytes:
    """Return the filter for ``machine`` (default: this one); raises ``KeyError`` for an unknown one."""
    machine = machine or platform.machine()
    calls = _BY_ARGUMENT[machine]
    eperm = _refuse(errno.EPERM)
    allow = _step(_RETURN, _ALLOW)
    load_number = _step(_LOAD, _NUMBER)
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, _AUDIT[machine], if_true=1),
        _step(_RETURN, _KILL),
        load_number,
        _step(_AT_LEAST, _X32_BIT, if_false=1),
        eperm,
        # C libraries fall back to clone, whose flags a filter can read: those of clone3 are behind a pointer.
        _step(_EQUAL, _CLONE3, if_false=1),
        _refuse(errno.ENOSYS),
        _step(_EQUAL, calls["clone"], if_false=4),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_ANY_BIT, _CLONE_NEW, if_false=1),
        eperm,
        allow,
        _step(_EQUAL, calls["socket"], if_false=4),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_EQUAL, _AF_UNIX, if_true=1),
        eperm,
        allow,
        _step(_EQUAL, calls["ioctl"], if_false=5),
        _step(_LOAD, _SECOND_ARGUMENT),
        _step(_EQUAL, _TIOCSTI, if_true=1),
        _step(_EQUAL, _TIOCLINUX, if_false=1),
        eperm,
        allow,
        # Nobody counts what waits in a socket, so each keeps the size it begins with. The answer is "done", as it is
        # for a size over the kernel's maximum, which is not what one gets then either.
        _step(_EQUAL, calls["setsockopt"], if_false=7),
        _step(_LOAD, _SECOND_ARGUMENT),
        _step(_EQUAL, _SOL_SOCKET, if_false=4),
        _step(_LOAD, _THIRD_ARGUMENT),
        _step(_EQUAL, _SO_SNDBUF, if_true=1),
        _step(_EQUAL, _SO_RCVBUF, if_false=1),
        _refuse(0),
        allow,
    ]
    for number in sorted(DENIED[machine].values()):
        steps += [_step(_EQUAL, number, if_false=1), eperm]
    steps.append(allow)
    return b"".join(steps)
