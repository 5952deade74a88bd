"""The eleven holes that plausible flags of bubblewrap leave open, each by its number in the design."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ar_sandbox.environment import base_interpreter
from ar_sandbox.machine import TRIAL_LIMITS
from ar_sandbox.policy import MIB
from ar_sandbox.rooms import RunSeeds
from ar_sandbox.supervisor import End

AS_ROOT = os.geteuid() == 0


def test_1_environment_of_the_first_process(seen, monkeypatch):
    monkeypatch.setenv("AR_CANARY", "canary-in-environment")
    found = seen(
        """
        strings = open("/proc/1/environ").read() + open("/proc/self/environ").read() + str(dict(os.environ))
        print(json.dumps([strings, open("/proc/1/cmdline").read()]))
        """
    )
    assert "canary" not in found[0].lower()
    assert str(Path.home()) not in found[0]
    home = base_interpreter().prefix
    assert home is None or str(home) not in "".join(found)
    assert "ro-bind" not in found[1]


def test_2_inherited_descriptors(seen):
    reader, writer = os.pipe()
    try:
        for fd in (reader, writer):
            os.set_inheritable(fd, True)
        found = seen(
            """
            def is_open(n):
                try: os.fstat(n)
                except OSError: return False
                return True
            print(json.dumps([n for n in range(256) if is_open(n)]))
            """
        )
    finally:
        os.close(reader)
        os.close(writer)
    assert found == [0, 1, 2]


def test_2_standard_input_is_empty(seen):
    assert seen("print(json.dumps([os.readlink('/proc/self/fd/0'), sys.stdin.read()]))") == ["/dev/null", ""]


def test_3_nothing_else_is_writable(seen):
    found = seen(
        """
        import pathlib
        bad = []
        for top, folders, files in os.walk("/"):
            folders[:] = [f for f in folders if os.path.join(top, f) not in ("/proc", "/tmp", "/dev/shm", "/usr")]
            try:
                open(top + "/canary", "w")
                bad.append(top)
            except OSError:
                pass
        print(json.dumps(bad))
        """
    )
    assert found == []


def test_4_no_user_namespace(seen):
    assert seen(
        """
        libc = ctypes.CDLL(None, use_errno=True)
        results = []
        for flag in (0x10000000, 0x20000, 0x40000000):
            results.append(libc.unshare(flag) == -1 and ctypes.get_errno() == errno.EPERM)
        print(json.dumps(results))
        """
    ) == [True, True, True]


def test_4_other_namespaces(seen):
    names = ("user", "mnt", "pid", "net", "ipc", "uts")
    here = {name: str(Path(f"/proc/self/ns/{name}").readlink()) for name in names}
    there = seen("print(json.dumps({n: os.readlink(f'/proc/self/ns/{n}') for n in sys.argv[1:]}))", *names)
    assert all(here[name] != there[name] for name in names)


def test_5_processes_are_limited_and_nobody(seen):
    found = seen(
        """
        import time
        count = 0
        try:
            while count < 300:
                if os.fork() == 0:
                    time.sleep(600)
                count += 1
        except OSError:
            pass
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        print(json.dumps([count, os.getuid(), os.getgid(), [status[c].strip() for c in ("CapEff", "CapPrm", "CapInh",
              "CapBnd", "CapAmb", "NoNewPrivs")]]), flush=True)
        os._exit(0)
        """,
        limits=replace(TRIAL_LIMITS, processes=40),
    )
    assert found[0] < 40
    assert found[1:3] == [65534, 65534]
    assert found[3] == ["0000000000000000"] * 5 + ["1"]


@pytest.mark.skipif(not AS_ROOT, reason="drops from root")
def test_5_outside_the_room_it_is_nobody_too(sandbox, folder):
    """What root starts must not be root for the kernel, or limits per user would not count.

    That is bubblewrap and everything below it: no group of root's, and nothing that only root may do.
    """
    owners, statuses = [], []

    def look(_room: str) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if b"unmistakable" in path.read_bytes():
                    owners.append(path.stat().st_uid)
                    lines = [line.partition(":") for line in path.with_name("status").read_text().splitlines()]
                    statuses.append({name: words.split() for name, _, words in lines})

    made = folder(score="import time; time.sleep(0.3); print('x: 1')", more="")
    files = made.files()
    files["problem.toml"] = files["problem.toml"].replace(b'"score.py"]', b'"score.py", "unmistakable"]')
    from ar_core.manifest import read_manifest
    from ar_sandbox.rooms import PreparedProblem

    prepared = PreparedProblem.of(read_manifest(files["problem.toml"]), files)
    groups = os.getgroups()
    os.setgroups([0, 5])
    try:
        sandbox.evaluate(prepared, b"", RunSeeds(run=1, scorer=1), on_start=look)
    finally:
        os.setgroups(groups)
    assert len(owners) >= 3  # bubblewrap twice, and the command
    assert set(owners) == {65534}
    for status in statuses:
        assert status["Uid"] == status["Gid"] == ["65534"] * 4
        assert status["Groups"] == []
        assert [int(status[name][0], 16) for name in ("CapPrm", "CapEff", "CapAmb")] == [0, 0, 0]


def test_5_works_below_a_closed_folder(tmp_path, sandbox, folder):
    """As root, nobody could not enter a temporary directory of mode 0700: nothing of a room may lie there."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    script = "import sys; from ar_sandbox.rooms import Sandbox; print(Sandbox.detect().name)"
    paths = os.pathsep.join(str(Path(sys.modules[name].__file__).parents[1]) for name in ("ar_core", "ar_sandbox"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=closed, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(closed), "TMPDIR": str(closed), "AR_HOME": str(closed),
             "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.stdout.strip() == "bubblewrap", done.stderr


def test_6_memory_that_no_process_owns(seen):
    """memfd and System V shared memory escape per-process limits, so they are refused."""
    assert (
        seen(
            """
        libc = ctypes.CDLL(None, use_errno=True)
        def refused(call, *arguments):
            return getattr(libc, call)(*arguments) == -1 and ctypes.get_errno() == errno.EPERM
        print(json.dumps([refused("memfd_create", b"x", 0), refused("shmget", 0, 1 << 20, 0o1600),
                          refused("msgget", 0, 0o1600), refused("semget", 0, 1, 0o1600)]))
        """
        )
        == [True] * 4
    )


def test_6_memory_of_a_tree(in_room):
    run = in_room(
        """
        import os, time
        for _ in range(5):
            if os.fork() == 0:
                b = bytearray(50 << 20); time.sleep(600)
        time.sleep(600)
        """,
        limits=replace(TRIAL_LIMITS, memory=128 * MIB),
    )
    assert run.end is End.OUT_OF_MEMORY


def test_7_many_small_files(seen):
    written = seen(
        """
        written = 0
        try:
            for n in range(64):
                with open(f"/tmp/{n}", "wb", buffering=0) as f: written += f.write(bytes(1 << 20))
        except OSError: pass
        print(written)
        """
    )
    assert written <= TRIAL_LIMITS.disk


def test_8_processes_of_the_host(seen):
    found = seen(
        """
        pids = [int(n) for n in os.listdir("/proc") if n.isdigit()]
        print(json.dumps([pids, [open(f"/proc/{p}/cmdline").read() for p in pids]]))
        """
    )
    assert len(found[0]) <= 3
    assert not any("pytest" in command for command in found[1])


def test_9_sockets_of_the_host(seen):
    name = f"ar-test-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        abstract.bind("\0" + name)
        abstract.listen()
        found = seen(
            """
            errors = []
            for family, kind, address in ((2, 1, ("127.0.0.1", int(sys.argv[1]))),
                    (2, 2, ("127.0.0.1", int(sys.argv[2]))), (1, 1, "\\0" + sys.argv[3]), (10, 1, ("::1", 80)),
                    (16, 3, (0, 0)), (17, 3, ("lo", 0))):
                try:
                    s = socket.socket(family, kind)
                    s.connect(address); s.send(b"x")
                    errors.append("")
                except OSError as error:
                    errors.append(errno.errorcode[error.errno])
            interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
            print(json.dumps([errors, interfaces]))
            """,
            str(tcp.getsockname()[1]), str(udp.getsockname()[1]), name,
        )  # fmt: skip
        for listener in (tcp, udp, abstract):
            listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            tcp.accept()
        with pytest.raises(BlockingIOError):
            udp.recv(1)
        with pytest.raises(BlockingIOError):
            abstract.accept()
    assert found == [["EPERM", "EPERM", "ECONNREFUSED", "EPERM", "EPERM", "EPERM"], ["lo"]]


def test_10_out_outlives_the_room_and_is_bounded(sandbox, in_room):
    from ar_sandbox.bwrap import Bind

    source = b"import os\nos.chdir('/out')\nopen('kept', 'w').write('k')\nopen('big', 'wb').write(bytes(8 << 20))\n"
    with sandbox.machine.stage({}, room_for=65536) as stage, stage.out("out", 1 * MIB) as out:
        stage.write("main/main.py", source)
        binds = (
            Bind(source=f"{stage.path}/main", target="/problem"), Bind(source=out, target="/out", writable=True)
        )  # fmt: skip
        command = ("python", "-I", "-S", "/problem/main.py")
        run = sandbox.machine.run(stage, command, limits=TRIAL_LIMITS, binds=binds, folder="/problem")
        assert b"No space left" in run.stderr
        assert stage.read("out/kept") == b"k"


def test_11_a_thread_may_start_rooms(sandbox, folder):
    """Bubblewrap dies with the thread that started it, and that thread waits for it: no room ends early."""
    results = []
    made = folder(score="import time; time.sleep(0.2); print('x: 1')").prepared()

    def work() -> None:
        results.append(sandbox.evaluate(made, b"", RunSeeds(run=1, scorer=1)).score)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1, 1, 1]
