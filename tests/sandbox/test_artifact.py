"""Kind artifact: the candidate's room is dead before the scorer's begins, and only plain files cross."""

import pytest

from ar_sandbox.rooms import Outcome, RunSeeds

READ = "import os; print('x:', open(os.environ['AR_OUT'] + '/r').read())"
WRITE = "import os; open(os.environ['AR_OUT'] + '/r', 'w').write('3.5')\n"


def test_crosses(train):
    result = train(WRITE, READ)
    assert (result.outcome, result.score) == (Outcome.OK, 3.5)


def test_candidate_room_knows_no_secret(train):
    result = train(
        """
        import os, pathlib, sys
        strings = " ".join([*os.environ, *os.environ.values(), *map(str, pathlib.Path("/problem").rglob("*"))])
        strings += pathlib.Path("/proc/1/environ").read_text()
        for secret in ("AR_SEED", "AR_HIDDEN", "hidden", "canary"):
            assert secret not in strings, secret
        assert os.environ["AR_RUN_SEED"] == "11"
        assert os.environ["AR_MUTABLE"] == "/problem/train.py"
        assert pathlib.Path(os.environ["AR_MUTABLE"]).read_text().strip()
        """
        + WRITE.strip(),
        READ,
        hidden={"truth.txt": "canary"},
    )
    assert result.score == 3.5, result.feedback


def test_scorer_room_has_no_code_of_the_candidate(train):
    result = train(
        WRITE,
        """
        import os
        assert not os.path.exists("train.py")
        assert os.environ["AR_MUTABLE"] == "/candidate/train.py"
        assert os.environ["AR_SEED"] == "22"
        try:
            open(os.environ["AR_OUT"] + "/r", "a")
        except OSError:
            print("x: 1")
        """,
    )
    assert result.score == 1, result.feedback


def test_fake_score_is_not_read(train):
    result = train("import os; os.write(1, b'x: 999\\n'); os._exit(0)", "print('x: 1')")
    assert result.score == 1


def test_no_late_writes(train):
    """A daemon that the candidate leaves dies before the scorer reads."""
    result = train(
        """
        import os, time
        out = os.environ["AR_OUT"] + "/r"
        open(out, "w").write("1")
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for n in range(100000):
                    open(out, "w").write("999")
            os._exit(0)
        os._exit(0)
        """,
        """
        import os, time
        path = os.environ["AR_OUT"] + "/r"
        first = open(path).read()
        time.sleep(0.2)
        assert open(path).read() == first
        print("x: 1")
        """,
    )
    assert result.score == 1, result.feedback


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("os.symlink('/problem/score.py', 'r')", "link"),
        ("os.symlink('/proc/self/environ', 'r')", "link"),
        ("os.mkfifo('r')", "regular"),
        ("open('a', 'w'); os.link('a', 'r')", "two names"),
        ("import socket; socket.socket(socket.AF_UNIX).bind('r')", "regular"),
        ("[os.close(os.open(str(n), os.O_CREAT)) for n in range(1100)]", "more than"),
        ("p = '.'\nfor _ in range(20):\n    p += '/d'; os.mkdir(p)", "deep"),
        ("open('r', 'w'); os.chmod('r', 0)", "cannot be read"),
        ("os.mkdir('d'); os.chmod('d', 0)", "cannot be read"),
    ],
)
def test_only_plain_files_cross(train, source, said):
    result = train(f"import os\nos.chdir(os.environ['AR_OUT'])\n{source}\n")
    assert result.outcome is Outcome.PROTOCOL, result.feedback
    assert said in result.feedback


def test_out_is_bounded(train):
    result = train(
        """
        import os
        os.chdir(os.environ["AR_OUT"])
        written = 0
        try:
            for n in range(64):
                with open(str(n), "wb", buffering=0) as f:
                    written += f.write(bytes(1 << 20))
        except OSError:
            pass
        open("/tmp/n", "w")
        assert written <= 4 << 20, written
        for n in range(64):
            if os.path.exists(str(n)): os.remove(str(n))
        open("r", "w").write(str(written >> 20))
        """,
        READ,
        disk="4MiB",
    )
    assert result.outcome is Outcome.OK, result.feedback
    assert result.score == 4


def test_out_has_few_inodes(train):
    result = train(
        """
        import os
        os.chdir(os.environ["AR_OUT"])
        for n in range(100000):
            os.close(os.open(str(n), os.O_CREAT))
        """
    )
    assert result.outcome is Outcome.CRASH
    assert "No space left" in result.feedback


def test_out_is_empty_each_time(sandbox, folder):
    made = folder(kind="artifact", mutable="train.py", score=READ)
    source = b"import os; assert os.listdir(os.environ['AR_OUT']) == []\n" + WRITE.encode()
    with sandbox.open(made.prepared()) as opened:
        for _ in range(2):
            assert opened.evaluate(source, RunSeeds(run=1, scorer=1)).score == 3.5


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("raise ValueError('mine')", Outcome.CRASH),
        ("import time; time.sleep(99)", Outcome.TIMEOUT),
        ("while True: print('x' * 60000)", Outcome.LIMIT),
        ("b = [bytearray(1 << 20) for _ in range(4096)]", Outcome.OUT_OF_MEMORY),
    ],
)
def test_candidate_fails(train, source, outcome):
    result = train(source, budget="2s" if outcome is Outcome.TIMEOUT else "60s")
    assert result.outcome is outcome, result.feedback
    assert "the candidate" in result.feedback


def test_both_rooms_start(sandbox, folder):
    started: list[str] = []
    made = folder(kind="artifact", mutable="train.py", score=READ)
    sandbox.evaluate(made.prepared(), WRITE.encode(), RunSeeds(run=1, scorer=1), on_start=started.append)
    assert started == ["candidate", "scorer"]
