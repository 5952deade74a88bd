"""Kind service: the candidate answers on a socket while the scorer asks, each in its own room."""

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import psutil
import pytest

from ar_sandbox.rooms import Caps, Outcome, RunSeeds

SEEDS = RunSeeds(run=11, scorer=22)
PATIENCE = 60.0

LISTEN = """
import os, socket
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["AR_SOCKET"])
server.listen()
"""
DOUBLE = (
    LISTEN
    + """
while True:
    connection, _ = server.accept()
    for line in connection.makefile("rb"):
        connection.sendall(b"%d\\n" % (2 * int(line)))
"""
)
CONNECT = """
import os, socket, sys, time
def connect():
    deadline = time.monotonic() + 5
    while True:
        asking = socket.socket(socket.AF_UNIX)
        asking.settimeout(10)
        try:
            asking.connect(os.environ["AR_SOCKET"])
            return asking
        except OSError as error:
            asking.close()
            if time.monotonic() > deadline:
                sys.exit(f"cannot connect: {error}")
        time.sleep(0.01)
"""
ASK = (
    CONNECT
    + """
asking = connect()
answers = asking.makefile("rb")
right = 0
for n in range(20):
    asking.sendall(b"%d\\n" % n)
    answer = answers.readline(100)
    if answer != b"%d\\n" % (2 * n):
        sys.exit(f"{n} was answered with {answer[:20]!r}")
    right += 1
print("x:", right)
"""
)


def test_answers_are_scored(serve):
    started: list[str] = []
    result = serve(DOUBLE, ASK, on_start=started.append)
    assert (result.outcome, result.score) == (Outcome.OK, 20), result.feedback
    assert started == ["candidate", "scorer"]
    assert 0 < result.seconds <= result.total_seconds


def test_again_and_again_on_one_stage(sandbox, folder):
    made = folder(kind="service", mutable="serve.py", score=ASK)
    with sandbox.open(made.prepared()) as opened:
        for number in range(5):
            result = opened.evaluate(DOUBLE.encode(), SEEDS, hash_seed=number)
            assert result.score == 20, result.feedback


def test_the_candidates_room_knows_no_secret(serve):
    result = serve(
        """
        import os, pathlib
        strings = " ".join([*os.environ, *os.environ.values(), *map(str, pathlib.Path("/problem").rglob("*"))])
        strings += pathlib.Path("/proc/1/environ").read_text()
        for secret in ("AR_SEED", "AR_HIDDEN", "AR_OUT", "hidden", "canary"):
            assert secret not in strings, secret
        assert os.environ["AR_RUN_SEED"] == "11"
        assert os.environ["AR_TIME_BUDGET"] == "20"
        assert os.environ["AR_MUTABLE"] == "/problem/serve.py"
        assert os.environ["AR_SOCKET"] == "/run/ar/s"
        assert os.listdir("/run") == ["ar"] and os.listdir("/run/ar") == []
        """.replace("\n        ", "\n")
        + DOUBLE,
        ASK,
        hidden={"truth.txt": "canary"},
    )
    assert result.score == 20, result.feedback


def test_the_scorers_room_has_no_code_of_the_candidate_and_cannot_write(serve):
    result = serve(
        DOUBLE,
        """
        import os
        assert not os.path.exists("serve.py")
        assert os.environ["AR_MUTABLE"] == "/candidate/serve.py"
        assert os.environ["AR_SEED"] == "22"
        assert os.path.exists(os.environ["AR_HIDDEN"] + "/truth.txt")
        assert "AR_OUT" not in os.environ
        for path in ("/run/ar/t", "/run/t", "/candidate/t", "t"):
            try:
                open(path, "w")
            except OSError:
                continue
            raise SystemExit(path)
        try:
            os.unlink("/run/ar/s")
            raise SystemExit("unlinked")
        except OSError:
            pass
        """.replace("\n        ", "\n")
        + ASK,
        hidden={"truth.txt": "x"},
    )
    assert result.score == 20, result.feedback


def test_the_socket_folder_is_small(serve):
    result = serve(
        """
        import os
        written = 0
        try:
            with open("/run/ar/full", "wb", buffering=0) as file:
                while True: written += file.write(bytes(4096))
        except OSError:
            pass
        assert written <= 65536, written
        count = 0
        try:
            while count < 5000:
                os.close(os.open(f"/run/ar/{count}", os.O_CREAT)); count += 1
        except OSError:
            pass
        assert count < 100, count
        os.unlink("/run/ar/full")
        for name in os.listdir("/run/ar"): os.unlink("/run/ar/" + name)
        """.replace("\n        ", "\n")
        + DOUBLE,
        ASK,
    )
    assert result.score == 20, result.feedback


def test_a_fake_score_is_not_read(serve):
    result = serve("print('x: 999', flush=True)\n" + DOUBLE, ASK)
    assert result.score == 20


def test_a_slow_start_is_not_measured(serve):
    """The scorer's time begins when there is something to connect to, and not before."""
    result = serve("import time; time.sleep(6)\n" + DOUBLE, ASK, timeout="5s", budget="60s")
    assert result.score == 20, result.feedback
    assert result.seconds < 5


def test_binding_long_before_listening(serve):
    late = DOUBLE.replace("server.listen()", "import time; time.sleep(1); server.listen()")
    assert serve(late, ASK).score == 20


SILENT = {
    "never binds": "import time; time.sleep(600)",
    "a file in its place": "import time; open('/run/ar/s', 'w').close(); time.sleep(600)",
    "a folder in its place": "import os, time; os.mkdir('/run/ar/s'); time.sleep(600)",
    "a pipe in its place": "import os, time; os.mkfifo('/run/ar/s'); time.sleep(600)",
    "a link in its place": (
        "import os, socket, time; socket.socket(socket.AF_UNIX).bind('/tmp/s')\n"
        "os.symlink('/tmp/s', '/run/ar/s'); time.sleep(600)"
    ),
    "another name": "import socket, time; socket.socket(socket.AF_UNIX).bind('/run/ar/t'); time.sleep(600)",
    "an abstract name": "import socket, time; socket.socket(socket.AF_UNIX).bind('\\0/run/ar/s'); time.sleep(600)",
    "a full folder": (
        "import time\ntry:\n  open('/run/ar/f', 'wb').write(bytes(1 << 20))\nexcept OSError: pass\ntime.sleep(600)"
    ),
}


@pytest.mark.parametrize("how", SILENT)
def test_silence_is_the_candidates_timeout(serve, how):
    started: list[str] = []
    result = serve(SILENT[how], ASK, budget="700ms", on_start=started.append)
    assert result.outcome is Outcome.TIMEOUT, result.feedback
    assert "no socket" in result.feedback
    assert "0.7 s" in result.feedback
    assert started == ["candidate"], "no scorer begins where nobody listens"


@pytest.mark.parametrize(
    ("source", "outcome", "said"),
    [
        ("raise ValueError('mine')", Outcome.CRASH, "mine"),
        ("import os; os._exit(0)", Outcome.CRASH, "status 0 before it listened"),
        ("import sys; sys.exit(7)", Outcome.CRASH, "status 7 before it listened"),
        ("def", Outcome.CRASH, "SyntaxError"),
        ("b = [bytearray(1 << 20) for _ in range(4096)]", Outcome.OUT_OF_MEMORY, "the candidate"),
        ("while True: print('x' * 60000)", Outcome.LIMIT, "output"),
        ("import os\nif os.fork(): os._exit(0)\n" + DOUBLE, Outcome.CRASH, "status 0 before it listened"),
    ],
)
def test_an_end_before_the_socket(serve, source, outcome, said):
    result = serve(source, ASK)
    assert result.outcome is outcome, result.feedback
    assert said in result.feedback


def answering(action: str) -> str:
    """Return a server that does something else at the tenth question."""
    return DOUBLE.replace(
        "        connection.sendall(b",
        f"        if int(line) == 10:\n            {action}\n        connection.sendall(b",
    )


@pytest.mark.parametrize(
    ("action", "outcome", "said"),
    [
        ("raise ValueError('mine')", Outcome.CRASH, "mine"),
        ("os._exit(0)", Outcome.CRASH, "status 0 while it was measured"),
        ("os._exit(3)", Outcome.CRASH, "status 3 while it was measured"),
        ("os.kill(os.getpid(), 9)", Outcome.CRASH, "status 137 while it was measured"),
        ("b = [bytearray(1 << 20) for _ in range(4096)]", Outcome.OUT_OF_MEMORY, "the candidate"),
        ("while True: os.write(1, b'x' * 60000)", Outcome.LIMIT, "the candidate was stopped"),
        ("connection.sendall(b'0\\n'); continue", Outcome.CRASH, "10 was answered"),
        ("connection.sendall(b'\\xff\\0' * 1000); continue", Outcome.CRASH, "10 was answered"),
        ("while True: connection.sendall(b'20' * 60000)", Outcome.CRASH, "10 was answered"),
        ("connection.shutdown(2); break", Outcome.CRASH, "10 was answered with b''"),
    ],
)
def test_an_end_or_a_wrong_answer_while_measured(serve, action, outcome, said):
    result = serve(answering(action), ASK)
    assert result.outcome is outcome, result.feedback
    assert said in result.feedback
    assert result.score is None


def test_a_tree_of_processes_over_its_memory_while_measured(serve):
    grows = (
        "\n            for _ in range(8):\n                if os.fork() == 0:\n"
        "                    b = bytearray(60 << 20); time.sleep(600)\n            time.sleep(600)"
    )
    result = serve("import time\n" + answering(grows.strip()), ASK, memory="128MiB")
    assert result.outcome is Outcome.OUT_OF_MEMORY, result.feedback
    assert "the candidate was stopped" in result.feedback


def test_an_answer_that_never_comes(serve):
    result = serve("import time\n" + answering("time.sleep(600)"), ASK, timeout="1s")
    assert result.outcome is Outcome.TIMEOUT, result.feedback
    assert "more than 1 s" in result.feedback


def test_a_candidate_that_has_answered_everything_may_end(serve):
    """What it was asked for is done, so its status does not matter."""
    for ending in ("os._exit(0)", "os._exit(5)"):
        source = DOUBLE.replace("while True:", "for _ in range(1):") + ending
        slow = ASK.replace("print(", "asking.close(); answers.close(); time.sleep(0.5)\nprint(")
        assert serve(source, slow).score == 20


def test_a_limit_counts_although_there_is_a_score(serve):
    """Which of the two came first would depend on luck otherwise."""
    source = DOUBLE.replace("while True:", "for _ in range(1):") + "while True: os.write(1, b'x' * 60000)"
    slow = ASK.replace("print(", "asking.close(); answers.close(); time.sleep(30)\nprint(")
    assert serve(source, slow, budget="60s").outcome is Outcome.LIMIT


REPLACED = {
    "by another socket": "os.unlink('/run/ar/s'); o = socket.socket(socket.AF_UNIX); o.bind('/run/ar/s'); o.listen()",
    "by a file": "os.unlink('/run/ar/s'); open('/run/ar/s', 'w').close()",
    "by a link out of the folder": "os.unlink('/run/ar/s'); os.symlink('/problem/score.py', '/run/ar/s')",
    "by a link to itself": "os.unlink('/run/ar/s'); os.symlink('/run/ar/s', '/run/ar/s')",
    "by nothing": "os.unlink('/run/ar/s')",
    "by one that nobody may open": "os.chmod('/run/ar/s', 0)",
}


@pytest.mark.parametrize("how", REPLACED)
def test_a_socket_that_is_replaced_harms_nobody(serve, how):
    """A second connection finds what the candidate put there: an answer, or no score."""
    result = serve(
        answering(REPLACED[how]),
        ASK.replace("time.monotonic() + 5", "time.monotonic() + 0.2")
        + """
try:
    other = connect()
    other.settimeout(0.2)
    other.recv(1)
except OSError:
    pass
""",
    )
    assert result.outcome in {Outcome.OK, Outcome.CRASH}, result.feedback


def test_a_flood_of_connections_and_files_does_not_reach_the_scorer(serve):
    """The candidate has nobody to connect to but itself."""
    result = serve(
        """
        import socket
        for place in (("127.0.0.1", 80), ("10.0.0.1", 22)):
            try:
                socket.create_connection(place, timeout=1)
                raise SystemExit("connected")
            except OSError:
                pass
        """.replace("\n        ", "\n")
        + DOUBLE,
        ASK,
    )
    assert result.score == 20, result.feedback


def test_descriptors_sent_along_are_dropped(serve):
    """A scorer that only reads bytes never takes what a message carries beside them."""
    sends = "socket.send_fds(connection, [b'20\\n'], [0, 1, 2]); continue"
    counted = ASK.replace(
        "print(", "assert len(os.listdir('/proc/self/fd')) < 8, os.listdir('/proc/self/fd')\nprint("
    )
    assert serve(answering(sends), counted).score == 20


def test_the_scorer_sees_no_process_of_the_candidate(serve):
    count = "import os\nprint('x:', len([p for p in os.listdir('/proc') if p.isdigit()]))"
    forks = "import os\nfor _ in range(5):\n    if os.fork() == 0:\n        import time; time.sleep(600)\n"
    result = serve(forks + DOUBLE, count)
    assert result.score is not None
    assert result.score <= 3


def test_what_the_scorer_says_beside_hidden_files_is_withheld(serve):
    """The candidate's words too, once it may have been sent something hidden."""
    tells = answering("import sys; print('canary', file=sys.stderr); sys.exit(1)")
    told = serve(tells, ASK)
    assert "canary" in told.feedback
    result = serve(tells, ASK, hidden={"truth.txt": "x"})
    assert result.outcome is Outcome.CRASH
    assert "canary" not in result.feedback
    assert result.feedback.endswith("the candidate ended while it was measured")
    before = serve("import sys; sys.exit('canary')", ASK, hidden={"truth.txt": "x"})
    assert "canary" in before.feedback, "nothing hidden was near by then"


@pytest.mark.parametrize(
    ("action", "outcome", "says"),
    [
        ("os._exit(90)", Outcome.CRASH, "the candidate ended while it was measured"),
        ("os._exit(7)", Outcome.CRASH, "the candidate ended while it was measured"),
        ("os.write(2, b'MemoryError'); os._exit(1)", Outcome.CRASH, "the candidate ended while it was measured"),
        ("while True: os.write(1, b'x' * 60000)", Outcome.LIMIT, "stopped: too much output or files"),
        ("b = [bytearray(1 << 20) for _ in range(4096)]", Outcome.OUT_OF_MEMORY, "stopped: too much memory"),
    ],
)
def test_how_a_candidate_ends_says_nothing_of_the_hidden_files(serve, action, outcome, says):
    """It may have been sent them: neither its words nor its status nor the amount of what it used is passed on."""
    source = answering(f"os.write(2, b'canary')\n            {action}")
    result = serve(source, ASK, hidden={"truth.txt": "x"}, more='address_space = "unlimited"')
    assert result.outcome is outcome, result.feedback
    assert result.feedback.splitlines()[-1].endswith(says)
    for leak in ("canary", "status 90", "status 7", "MiB", "MemoryError"):
        assert leak not in result.feedback


def test_a_broken_scorer_is_the_candidates_crash(serve):
    assert serve(DOUBLE, "raise SystemExit('broken')").outcome is Outcome.CRASH
    assert serve(DOUBLE, "pass").outcome is Outcome.PROTOCOL
    assert serve(DOUBLE, "while True: print('y' * 60000)").outcome is Outcome.LIMIT


def test_the_owners_time_bounds_both(sandbox, folder):
    made = folder(kind="service", mutable="serve.py", score=CONNECT + "connect(); time.sleep(600)")
    caps = Caps(seconds=0.5)
    silent = sandbox.evaluate(made.prepared(), b"import time; time.sleep(600)", SEEDS, caps=caps)
    assert (silent.outcome, "0.5 s" in silent.feedback) == (Outcome.TIMEOUT, True)
    slow = sandbox.evaluate(made.prepared(), DOUBLE.encode(), SEEDS, caps=caps)
    assert (slow.outcome, "0.5 s" in slow.feedback) == (Outcome.TIMEOUT, True)


class JobTimeoutError(Exception):
    """What a job's time limit raises."""


@pytest.fixture
def alarm():
    def ring(_number, _frame):
        raise JobTimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


# An exception inside the standard library's Popen leaves an object that warns when it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("delay", [0.002 * n for n in range(1, 60, 5)])
def test_an_exception_at_any_moment_leaves_nothing(sandbox, folder, alarm, delay):
    prepared = folder(kind="service", mutable="serve.py", score=CONNECT + "connect(); time.sleep(600)").prepared()
    others = psutil.Process().children(recursive=True)

    def evaluate() -> None:
        signal.setitimer(signal.ITIMER_REAL, delay)
        sandbox.evaluate(prepared, b"import os, time\nif os.fork() == 0: os.setsid()\n" + DOUBLE.encode(), SEEDS)

    with pytest.raises(JobTimeoutError):
        evaluate()
    ours = [process for process in psutil.Process().children(recursive=True) if process not in others]
    assert psutil.wait_procs(ours, timeout=PATIENCE)[1] == []


def test_an_exception_from_another_thread_ends_both_rooms(sandbox, folder):
    """As a worker's slot is told to stop, which is its own thread all along."""
    prepared = folder(kind="service", mutable="serve.py", score=CONNECT + "connect(); time.sleep(600)").prepared()
    began, ended = threading.Event(), []

    def evaluate() -> None:
        try:
            sandbox.evaluate(
                prepared, DOUBLE.encode(), SEEDS, on_start=lambda room: began.set() if room == "scorer" else None
            )
        except JobTimeoutError as error:
            ended.append(error)

    thread = threading.Thread(target=evaluate)
    thread.start()
    assert began.wait(PATIENCE)
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(JobTimeoutError))
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(ended) == 1


@pytest.mark.parametrize("room", ["candidate", "scorer"])
def test_an_exception_of_a_callback_ends_both_rooms(serve, room):
    def fail(name: str) -> None:
        if name == room:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(DOUBLE, ASK, on_start=fail)


KILLED = """
import sys
from ar_sandbox.rooms import Sandbox, PreparedProblem, RunSeeds
from ar_core.manifest import read_manifest
files = {name: open(sys.argv[1] + "/" + name, "rb").read() for name in sys.argv[2:]}
prepared = PreparedProblem.of(read_manifest(files["problem.toml"]), files)
Sandbox.detect().evaluate(
    prepared, files["serve.py"], RunSeeds(run=1, scorer=1), on_start=lambda room: print(room, flush=True)
)
"""


def test_kill_9_of_us_ends_both_rooms(tmp_path, folder):
    made = folder(
        kind="service", mutable="serve.py", score=CONNECT + "connect(); time.sleep(600)", baseline=DOUBLE.encode()
    )
    files = made.files()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = os.pathsep.join(filter(None, sys.path))
    others = set(psutil.Process().children(recursive=True))
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), *files],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths},
    ) as ours:  # fmt: skip
        assert ours.stdout is not None
        assert [ours.stdout.readline().strip() for _ in range(2)] == ["candidate", "scorer"]
        ours.kill()
    deadline = time.monotonic() + PATIENCE
    while left := [p for p in psutil.Process().children(recursive=True) if p not in others and _alive(p)]:
        assert time.monotonic() < deadline, left
        psutil.wait_procs(left, timeout=1)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
