"""Each limit of a room: what breaks it ends the room, with the right word and nothing left behind."""

import shutil
import subprocess
from dataclasses import replace

import pytest

from ar_sandbox import bwrap
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.policy import MIB
from ar_sandbox.rooms import Outcome
from ar_sandbox.supervisor import End

SMALL = replace(TRIAL_LIMITS, memory=96 * MIB, processes=24)


def test_every_limit_of_a_process_is_set(seen):
    """Both values of each, so that none can be taken back."""
    names = ("CORE", "NOFILE", "FSIZE", "CPU", "NPROC", "AS")
    limits = replace(SMALL, seconds=5, cpus=2, disk=1 * MIB + 100, address_space=512 * MIB + 5)
    source = "import resource as r; print(json.dumps([r.getrlimit(getattr(r, 'RLIMIT_' + n)) for n in sys.argv[1:]]))"
    found = seen(source, *names, limits=limits)
    disk, space = 1 * MIB + 512, 512 * MIB + 1024  # in the units that shells count in
    assert found == [[0, 0], [256, 256], [disk, disk], [11, 12], [24, 24], [space, space]]


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_limits_are_words_of_more_than_one_shell(shell, tmp_path):
    """A room has the shell that its system calls sh; where that one does not know a limit the room ends."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    (tmp_path / "sh").symlink_to(program)
    words = bwrap._limits(replace(SMALL, disk=1 * MIB, address_space=1024 * MIB))
    show = "cat /proc/self/limits"
    done = subprocess.run(
        [tmp_path / "sh", "-c", f"{words} && exec {show}"], capture_output=True, text=True, check=False, timeout=60
    )
    found = {line[:26].strip(): line[26:].split()[:2] for line in done.stdout.splitlines()}
    assert done.stderr == ""
    assert found["Max processes"] == ["24", "24"]
    assert found["Max address space"] == [str(1024 * MIB)] * 2
    assert found["Max file size"] == [str(1 * MIB)] * 2
    assert found["Max open files"] == ["256", "256"]
    assert found["Max core file size"] == ["0", "0"]
    assert found["Max cpu time"] == ["21", "22"]


def test_sleeps_for_ever(score):
    result = score("import time; time.sleep(600)", budget="300ms")
    assert result.outcome is Outcome.TIMEOUT
    assert "0.3 s" in result.feedback


def test_ignores_signals(score):
    source = """
    import signal, time
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)
    """
    assert score(source, budget="400ms").outcome is Outcome.TIMEOUT


def test_output_before_the_end_does_not_count(score):
    result = score("import time; print('x: 1', flush=True); time.sleep(600)", budget="400ms")
    assert (result.outcome, result.score) == (Outcome.TIMEOUT, None)


def test_one_process_over_its_address_space(score):
    result = score("b = bytearray(2 << 30)", memory="64MiB")
    assert result.outcome is Outcome.OUT_OF_MEMORY


def test_one_process_without_address_space_limit(score):
    source = "import time; b = bytearray(300 << 20); time.sleep(600)"
    result = score(source, memory="64MiB", more='address_space = "unlimited"')
    assert result.outcome is Outcome.OUT_OF_MEMORY
    assert "64 MiB" in result.feedback


def test_a_tree_of_processes(in_room):
    run = in_room(
        """
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                b = bytearray(40 << 20)
                time.sleep(600)
        time.sleep(600)
        """,
        limits=SMALL,
    )
    assert run.end is End.OUT_OF_MEMORY


def test_memory_in_the_scratch_folders_counts(in_room):
    run = in_room(
        """
        import time
        kept = bytearray(40 << 20)
        open("/tmp/f", "wb").write(bytes(60 << 20))
        open("/dev/shm/f", "wb").write(bytes(20 << 20))
        time.sleep(600)
        """,
        limits=replace(SMALL, disk=64 * MIB),
    )
    assert run.end is End.OUT_OF_MEMORY


def test_shared_memory_is_counted_once(in_room):
    """Eight processes that share 40 MiB use 40 MiB: the sum of resident sizes is only the trigger."""
    run = in_room(
        """
        import os, time
        shared = bytearray(40 << 20)
        children = []
        for _ in range(8):
            child = os.fork()
            if child == 0:
                sum(shared[::4096])
                time.sleep(0.4)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        """,
        limits=SMALL,
    )
    assert (run.end, run.status) == (End.EXIT, 0), (run.detail, run.stderr)


def test_fork_bomb(in_room):
    run = in_room(
        """
        import os, time
        count = 0
        try:
            while count < 300:
                if os.fork() == 0: time.sleep(600)
                count += 1
        except OSError as error:
            print(count, flush=True)
        os._exit(0)
        """,
        limits=SMALL,
    )
    assert (run.end, run.status) == (End.EXIT, 0), run.stderr
    assert 10 <= int(run.stdout) < 24


def test_wild_fork_bomb(score):
    """It looks for its limit first, so that a room without one fails this test and leaves the machine alone."""
    guard = "import os, resource\nassert resource.getrlimit(resource.RLIMIT_NPROC)[1] <= 64\n"
    source = f"{guard}while True:\n    try: os.fork()\n    except OSError: pass"
    assert score(source, budget="700ms").outcome is Outcome.TIMEOUT


def test_threads_count_as_processes(in_room):
    run = in_room(
        """
        import threading
        stop = threading.Event()
        count = 0
        try:
            while count < 300:
                threading.Thread(target=stop.wait, daemon=True).start()
                count += 1
        except RuntimeError:
            pass
        print(count, flush=True)
        import os; os._exit(0)
        """,
        limits=replace(SMALL, memory=1024 * MIB),
    )
    assert int(run.stdout) < 24


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_disk_fill_with_many_files(seen, folder):
    written = seen(
        """
        written = 0
        try:
            for n in range(64):
                with open(f"{sys.argv[1]}/{n}", "wb", buffering=0) as f: written += f.write(bytes(1 << 20))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
        print(written)
        """,
        folder,
        limits=replace(SMALL, disk=8 * MIB),
    )
    assert written <= 8 * MIB


def test_one_large_file(seen):
    """RLIMIT_FSIZE: the signal ends the process, or the write fails."""
    assert seen(
        """
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with open("/tmp/f", "wb") as f:
            try:
                f.truncate(1 << 40); print('false')
            except OSError as error:
                print(json.dumps(error.errno == errno.EFBIG))
        """
    )


def test_empty_files(in_room):
    source = """
    import os, time
    for n in range(5000): os.close(os.open(f"/tmp/{n}", os.O_CREAT))
    time.sleep(600)
    """
    run = in_room(source, limits=replace(SMALL, scratch_files=2000))
    assert run.end is End.LIMIT
    assert "files" in run.detail


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_flood(score, stream):
    result = score(f"import sys\nwhile True: sys.{stream}.write('x: 1\\n' * 10000)")
    assert result.outcome is Outcome.LIMIT
    assert "16 MiB of output" in result.feedback
    assert len(result.feedback.encode()) <= 4096


def test_much_output_within_the_limit(score):
    result = score("print('noise ' * 500000)\nprint('x: 5')")
    assert result.score == 5


def test_processor_time(in_room):
    run = in_room("while True: pass", limits=replace(SMALL, seconds=20, cpus=0))
    assert run.end is End.TIMEOUT
    assert "processor time" in run.detail


def test_many_open_files(seen):
    assert seen(
        """
        held = []
        try:
            while True: held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            print(json.dumps(len(held) < 256))
        """
    )


def test_daemon_left_behind(score):
    """The command ends well and leaves a process that keeps the output open: it dies, the score counts."""
    result = score(
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        print("x: 1")
        """
    )
    assert (result.outcome, result.score) == (Outcome.OK, 1)


def test_stopped_process(score):
    result = score("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", budget="300ms")
    assert result.outcome is Outcome.TIMEOUT


def test_closes_its_streams(score):
    result = score("import os, time; os.close(0); os.close(1); os.close(2); time.sleep(600)", budget="300ms")
    assert result.outcome is Outcome.TIMEOUT
