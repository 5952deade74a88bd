"""The system call filter: its numbers, that each call is refused, and that ordinary programs keep working."""

import platform
import re
import struct
from pathlib import Path

import pytest

from ar_sandbox import seccomp

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
NEWER_THAN_SOME_HEADERS = {"open_tree_attr", "create_module", "mount_setattr", "memfd_secret"}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_numbers(machine):
    if not HEADERS[machine].exists():
        pytest.skip("no headers of the kernel here")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text()))
    ours = {**seccomp.DENIED[machine], **seccomp._BY_ARGUMENT[machine], "clone3": seccomp._CLONE3}
    for name, number in ours.items():
        if name not in NEWER_THAN_SOME_HEADERS or name in found:
            assert int(found[name]) == number, name


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_stays_inside(machine):
    steps = list(struct.iter_unpack("<HBBI", seccomp.program(machine)))
    assert len(steps) < 4096
    for at, (code, if_true, if_false, _) in enumerate(steps):
        if code in {0x15, 0x35, 0x45}:
            assert at + 1 + max(if_true, if_false) < len(steps)
    assert steps[-1][0] == 0x06


def interpret(
    program: bytes, *, number: int, architecture: int, first: int = 0, second: int = 0, third: int = 0
) -> int:
    """Run the filter as the kernel would, for one call."""
    words = {0: number, 4: architecture, 16: first & 0xFFFFFFFF, 24: second & 0xFFFFFFFF, 32: third & 0xFFFFFFFF}
    steps = list(struct.iter_unpack("<HBBI", program))
    at = value = 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        if code == 0x20:
            value = words[operand]
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_the_filter_answers(machine):
    program = seccomp.program(machine)
    audit = seccomp._AUDIT[machine]
    calls = seccomp._BY_ARGUMENT[machine]
    allow, eperm, enosys = 0x7FFF0000, 0x00050001, 0x00050026

    def answer(number: int, first: int = 0, second: int = 0, third: int = 0, architecture: int = audit) -> int:
        return interpret(program, number=number, architecture=architecture, first=first, second=second, third=third)

    assert all(answer(number) == eperm for number in seccomp.DENIED[machine].values())
    assert answer(435) == enosys
    assert answer(calls["socket"], 1) == allow
    assert all(answer(calls["socket"], family) == eperm for family in (0, 2, 10, 16, 17, 38, 40, 44))
    assert answer(calls["clone"], 0x01200011) == allow  # fork
    assert answer(calls["clone"], 0x003D0F00) == allow  # a thread
    assert all(answer(calls["clone"], 17 | 1 << bit) == eperm for bit in (17, 25, 26, 27, 28, 29, 30))
    assert answer(calls["ioctl"], 0, 0x5401) == allow
    assert answer(calls["ioctl"], 0, 0x5412) == eperm
    assert answer(calls["ioctl"], 0, 0x541C | 1 << 32) == eperm  # the kernel ignores the upper half
    assert {answer(calls["setsockopt"], 3, 1, name) for name in (7, 8, 7 | 1 << 32)} == {0x00050000}  # done, it says
    assert {answer(calls["setsockopt"], 3, 1, name) for name in (2, 9, 16, 20)} == {allow}
    assert answer(calls["setsockopt"], 3, 6, 7) == allow
    assert answer(0x40000000 | 39) == eperm
    assert answer(39, architecture=0x40000003) == 0x80000000


def test_each_call_is_refused_in_a_room(seen):
    calls = seccomp.DENIED[platform.machine()]
    found = seen(
        """
        libc = ctypes.CDLL(None, use_errno=True)
        answers = {}
        for pair in sys.argv[1:]:
            name, number = pair.split("=")
            ctypes.set_errno(0)
            answers[name] = (libc.syscall(int(number), 0, 0, 0, 0, 0, 0), ctypes.get_errno())
        print(json.dumps(answers))
        """,
        *(f"{name}={number}" for name, number in calls.items()),
    )
    assert {name for name, answer in found.items() if answer != [-1, 1]} == set()


def test_a_socket_keeps_its_size(seen):
    """What waits in sockets is in memory that nobody counts."""
    assert seen(
        """
        a, b = socket.socketpair()
        options = (socket.SO_SNDBUF, socket.SO_RCVBUF)
        before = [a.getsockopt(socket.SOL_SOCKET, name) for name in options]
        for name in options: a.setsockopt(socket.SOL_SOCKET, name, 1 << 22)
        print(json.dumps([a.getsockopt(socket.SOL_SOCKET, name) for name in options] == before))
        """
    )


def test_ordinary_programs_work(seen):
    assert seen(
        """
        import multiprocessing, subprocess, threading, concurrent.futures, tempfile, asyncio
        def square(n): return n * n
        if __name__ == "__main__":
            with multiprocessing.get_context("fork").Pool(2) as pool:
                squares = pool.map(square, range(4))
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                threads = list(pool.map(square, range(4)))
            said = subprocess.run(["sh", "-c", "echo hello | cat"], capture_output=True, text=True).stdout
            a, b = socket.socketpair()
            a.send(b"x")
            asyncio.run(asyncio.sleep(0))
            with tempfile.TemporaryFile() as f: f.write(b"x")
            print(json.dumps([squares == threads, said, b.recv(1).decode()]))
        """
    ) == [True, "hello\n", "x"]
