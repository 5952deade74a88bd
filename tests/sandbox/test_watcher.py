"""What the watcher has to count beside the memory of ordinary processes, and what is not the room's."""

import os
import subprocess
from dataclasses import replace

import pytest

from ar_sandbox import watcher
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.policy import MIB, Caps
from ar_sandbox.rooms import Outcome, RunSeeds
from ar_sandbox.supervisor import End

SMALL = replace(TRIAL_LIMITS, memory=96 * MIB, processes=24)
SEEDS = RunSeeds(run=1, scorer=2)
HIDDEN = """
import ctypes, os, threading, time
def hold():
    time.sleep(0.2)  # until the first thread has ended
    block = bytearray(60 << 20)
    time.sleep(600)
for _ in range(3):
    if os.fork() == 0:
        threading.Thread(target=hold).start()
        ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
time.sleep(600)
"""
FILL = """
import time
def fill(path, size):
    with open(path, "wb") as file:
        for _ in range(size): file.write(bytes(1 << 20))
"""


@pytest.mark.parametrize("own_proc", [True, False])
def test_a_process_whose_first_thread_has_ended(sandbox, in_room, own_proc):
    """The kernel says of such a process as a whole that it uses nothing."""
    machine = sandbox.machine
    before = machine.own_proc
    machine.own_proc = before and own_proc
    try:
        run = in_room(HIDDEN, limits=SMALL)
    finally:
        machine.own_proc = before
    assert run.end is End.OUT_OF_MEMORY, run.detail


def test_page_tables(in_room):
    """A byte in each 2 MiB of 64 GiB, only read: next to nothing is resident, and 128 MiB of tables say so."""
    source = """
    import mmap, time
    size, no_reserve, no_huge_pages = 64 << 30, 0x4000, 15
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    block.madvise(no_huge_pages)
    for at in range(0, size, 2 << 20): block[at]
    time.sleep(600)
    """
    run = in_room(source, limits=SMALL)
    assert run.end is End.OUT_OF_MEMORY, (run.detail, run.stderr)


def test_sockets(sandbox, in_room):
    """What waits in them is nobody's memory: a few are free, and each further one counts as full."""
    if sandbox.machine.memory_cap.by_kernel:
        pytest.skip("the kernel counts what waits in them")
    source = """
    import os, socket, time
    for _ in range(int(PROCESSES)):
        if os.fork() == 0:
            kept = [socket.socketpair() for _ in range(100)]
            time.sleep(600)
    kept = [socket.socketpair() for _ in range(20)]
    time.sleep(0.3)
    if int(PROCESSES): time.sleep(600)
    """
    many = in_room(source.replace("PROCESSES", "4"), limits=SMALL)
    assert many.end is End.OUT_OF_MEMORY, many.detail
    few = in_room(source.replace("PROCESSES", "0"), limits=SMALL)
    assert (few.end, few.status) == (End.EXIT, 0), (few.detail, few.stderr)


def test_what_is_written_for_the_scorer(train):
    """Neither place is over the limit alone."""
    source = f"{FILL}\nfill('/out/f', 60)\nfill('/tmp/f', 60)\ntime.sleep(600)"
    result = train(source, memory="96MiB", disk="64MiB")
    assert result.outcome is Outcome.OUT_OF_MEMORY, result.feedback


def test_what_a_command_writes_to_its_own_folder(score):
    source = f"{FILL}\nfill('f', 60)\nfill('/tmp/f', 60)\ntime.sleep(600)"
    result = score(source, kind="inprocess", memory="96MiB", disk="64MiB")
    assert result.outcome is Outcome.OUT_OF_MEMORY, result.feedback


def test_the_folder_itself_is_not_the_commands(score):
    source = "import time; time.sleep(0.3); print('x: 1')"
    result = score(source, kind="inprocess", memory="64MiB", others={"data.bin": bytes(62 * MIB)})
    assert result.score == 1, result.feedback


def test_files_for_the_scorer_are_never_more_than_the_memory(train):
    source = """
    import os
    room = os.statvfs("/out")
    open("/out/n", "w").write(str(room.f_blocks * room.f_frsize >> 20))
    """
    assert train(source, "print('x:', open('/out/n').read())", memory="64MiB", disk="3GiB").score == 64


LIMIT = "import resource\nprint('x:', resource.getrlimit(resource.RLIMIT_AS)[0] >> 20)\n"


def test_rooms_share_what_the_owner_gives(sandbox, folder):
    """A candidate's files lie beside its scorer's room; a service and its scorer are there at the same time."""
    made = folder(kind="artifact", mutable="train.py", score=LIMIT, memory="256MiB", disk="48MiB")
    caps = Caps(memory=128 * MIB)
    assert sandbox.evaluate(made.prepared(), b"", SEEDS, caps=caps).score == 128 - 48 + 256
    assert sandbox.evaluate(made.prepared(), b"", SEEDS).score == 256 + 256
    serves = b"import os, socket\ns = socket.socket(socket.AF_UNIX)\ns.bind(os.environ['AR_SOCKET'])\ns.listen()\n"
    serves += b"s.accept()"
    made = folder(kind="service", mutable="serve.py", score=LIMIT, memory="256MiB")
    assert sandbox.evaluate(made.prepared(), serves, SEEDS, caps=caps).score == 64 + 256


def test_a_long_file_of_the_kernel_is_read_to_its_end():
    """A process's children, say: one read gives at most a few pages."""
    long = {"LONG": "x" * 50_000, "LAST": "z"}
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    with subprocess.Popen(["/bin/sh", "-c", "echo; read -r _"], env=long, stdin=-1, stdout=-1) as process:
        try:
            process.stdout.readline()
            assert len(watcher._read(proc, f"{process.pid}/environ")) > 50_000
        finally:
            os.close(proc)
            process.stdin.close()
