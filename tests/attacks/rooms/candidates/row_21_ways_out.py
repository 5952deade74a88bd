"""Tries each system call that has been a way out of a room: namespaces, mounts, rings, keys, and their like.

expect: refused
says: allowed 0 of 20
"""

import ctypes
import errno
import platform

libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    "x86_64": {"ptrace": 101, "personality": 135, "pivot_root": 155, "chroot": 161, "mount": 165, "umount2": 166,
               "add_key": 248, "unshare": 272, "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308,
               "process_vm_readv": 310, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425, "fsopen": 430,
               "open_tree": 428, "pidfd_getfd": 438},
    "aarch64": {"umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "personality": 92, "unshare": 97,
                "ptrace": 117, "add_key": 217, "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268,
                "process_vm_readv": 270, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425, "fsopen": 430,
                "open_tree": 428, "pidfd_getfd": 438},
}[platform.machine()]  # fmt: skip
CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]
calls = [(name, number, (0, 0, 0, 0, 0)) for name, number in NUMBERS.items()]
calls.append(("clone with a user namespace", CLONE, (0x10000011, 0, 0, 0, 0)))
calls.append(("clone3", 435, (0, 0, 0, 0, 0)))
allowed = []
for name, number, arguments in calls:
    failed = libc.syscall(number, *(ctypes.c_long(one) for one in arguments)) == -1
    if not failed or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
        allowed.append(name)
say(f"allowed {len(allowed)} of {len(calls)} {allowed}")
