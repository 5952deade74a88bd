"""Kind inprocess: one room, one command, in a copy of the folder that it may change, and no secret in it."""

import textwrap

import pytest

from ar_core.manifest import read_manifest
from ar_sandbox.rooms import Outcome, PreparedProblem, RunSeeds

SEEDS = RunSeeds(run=11, scorer=22)
COMMAND = (b'score = ["python", "score.py"]', b'score = ["python", "code/train.py"]')


@pytest.fixture
def prepare(folder):
    def prepared(**settings) -> PreparedProblem:
        files = folder(kind="inprocess", mutable="code/train.py", **settings).files()
        manifest = files["problem.toml"].replace(*COMMAND)
        assert manifest != files["problem.toml"]
        files["problem.toml"] = manifest
        return PreparedProblem.of(read_manifest(manifest), files)

    return prepared


@pytest.fixture
def program(sandbox, prepare):
    def run(source: str, **settings):
        return sandbox.evaluate(prepare(**settings), textwrap.dedent(source).encode(), SEEDS)

    return run


def test_it_prints_its_own_metric(program):
    result = program("print('loss 3')\nprint('x: 2.5')")
    assert (result.outcome, result.score) == (Outcome.OK, 2.5)
    assert 0 < result.seconds <= result.total_seconds


def test_the_copy_is_whole_and_can_be_changed(program):
    result = program(
        """
        import os, pathlib
        top = pathlib.Path.cwd()
        assert str(top) == "/problem"
        assert (top / "data/deep/numbers.txt").read_text() == "1 2 3"
        assert os.environ["AR_MUTABLE"] == "/problem/code/train.py" == __file__ or __file__ == "code/train.py"
        for path in sorted(top.rglob("*")):
            if path.is_file():
                path.write_bytes(path.read_bytes() + b" ")
                path.chmod(0o600)
                path.rename(path.with_suffix(".old"))
                path.write_text("other")
        (top / "runs/one").mkdir(parents=True)
        (top / "runs/one/log").write_text("step 1")
        (top / "data/deep/new").write_text("")
        os.unlink("data/deep/new")
        print("x: 1")
        """,
        others={"data/deep/numbers.txt": b"1 2 3"},
    )
    assert result.score == 1, result.feedback


def test_nothing_survives_to_the_next_run(sandbox, prepare):
    source = textwrap.dedent(
        """
        import os
        assert not os.path.exists("left") and open("program.md").read() == "# A problem\\n"
        open("left", "w").close()
        open("program.md", "w").write("changed")
        print("x: 1")
        """
    ).encode()
    with sandbox.open(prepare()) as opened:
        for number in (None, 1, 1, None):
            assert opened.evaluate(source, SEEDS, hash_seed=number).score == 1


def test_there_is_no_secret(program):
    result = program(
        """
        import os, pathlib
        names = {name for name in os.environ if name.startswith("AR_")}
        assert names == {"AR_MUTABLE", "AR_TIME_BUDGET", "AR_RUN_SEED"}, names
        assert os.environ["AR_RUN_SEED"] == "11"
        assert "22" not in pathlib.Path("/proc/1/environ").read_text()
        print("x: 1")
        """
    )
    assert result.score == 1, result.feedback


def test_the_copy_is_bounded(program):
    """What may be written is the problem's disk, beside what the folder has already."""
    result = program(
        """
        import os
        written = 0
        try:
            for n in range(64):
                with open(str(n), "wb", buffering=0) as file:
                    written += file.write(bytes(1 << 20))
        except OSError:
            pass
        print("x:", written >> 20)
        """,
        disk="4MiB",
        others={"large": bytes(3 << 20)},
    )
    assert result.score is not None, result.feedback
    assert 3 <= result.score <= 4


def test_the_copy_has_few_inodes(program):
    result = program("import os\nfor n in range(100000): os.close(os.open(str(n), os.O_CREAT))")
    assert result.outcome is Outcome.CRASH
    assert "No space left" in result.feedback


def test_a_folder_of_many_folders(program):
    others = {f"d{n}/e/f/g/file{n}": b"x" for n in range(1500)}
    result = program(
        "import pathlib\nprint('x:', sum(1 for p in pathlib.Path('.').rglob('file*')) - 1500)", others=others
    )
    assert result.score == 0, result.feedback


@pytest.mark.parametrize(
    ("source", "outcome", "said"),
    [
        ("raise ValueError('mine')", Outcome.CRASH, "mine"),
        ("print('y: 1')", Outcome.PROTOCOL, "x"),
        ("print('x: nan')", Outcome.PROTOCOL, ""),
        ("print('x: 1001')", Outcome.PROTOCOL, ""),
        ("print('x: 1', flush=True); import time; time.sleep(600)", Outcome.TIMEOUT, "the candidate"),
        ("while True: print('x' * 60000)", Outcome.LIMIT, "the candidate"),
        ("b = [bytearray(1 << 20) for _ in range(4096)]", Outcome.OUT_OF_MEMORY, "the candidate"),
    ],
)
def test_it_fails(program, source, outcome, said):
    result = program(source, budget="2s")
    assert result.outcome is outcome, result.feedback
    assert said in result.feedback


def test_links_in_the_copy_lead_nowhere(sandbox, prepare):
    """What a run leaves is gone with its file system, so that nothing of ours ever follows a link of it."""
    plants = b"import os\nos.rename('data', 'was'); os.symlink('/', 'data'); os.symlink('/etc', 'new'); print('x: 1')"
    with sandbox.open(prepare(others={"data/a": b"1"})) as opened:
        for _ in range(2):
            assert opened.evaluate(plants, SEEDS).score == 1


def test_the_room_is_called_candidate(sandbox, prepare):
    started: list[str] = []
    sandbox.evaluate(prepare(), b"print('x: 1')", SEEDS, on_start=started.append)
    assert started == ["candidate"]
