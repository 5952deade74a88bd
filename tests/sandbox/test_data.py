"""Kind data: the scorer reads the candidate, and only its own number counts."""

import pytest

from ar_core.lifecycle import Reason
from ar_sandbox.policy import Caps
from ar_sandbox.rooms import Outcome, RunSeeds, Sandbox


def test_score_and_secondary(score):
    result = score(
        """
        import json, os
        x = json.load(open(os.environ["AR_MUTABLE"]))["x"]
        print("size_bytes: 7")
        print(json.dumps({"x": x, "loss": 0.25}))
        """,
        b'{"x": 2.5}',
    )
    assert (result.outcome, result.score) == (Outcome.OK, 2.5)
    assert result.secondary == {"size_bytes": 7.0, "loss": 0.25}
    assert result.outcome.reason is None
    assert 0 < result.seconds <= result.total_seconds


@pytest.mark.parametrize(
    ("source", "outcome", "said"),
    [
        ("import sys; print('x: 1'); sys.exit(3)", Outcome.CRASH, "status 3"),
        ("raise SystemExit('no such thing')", Outcome.CRASH, "no such thing"),
        ("import os; os.kill(os.getpid(), 11)", Outcome.CRASH, "status 139"),
        ("print('y: 1')", Outcome.PROTOCOL, "no line"),
        ("print('x: nan')", Outcome.PROTOCOL, "finite"),
        ("print('x: Infinity')", Outcome.PROTOCOL, "finite"),
        ("print('{\"x\": true}')", Outcome.PROTOCOL, "finite"),
        ('print(\'{"x": "1"}\')', Outcome.PROTOCOL, "finite"),
        ("print('x: 1000.5')", Outcome.PROTOCOL, "range"),
        ("", Outcome.PROTOCOL, "no line"),
        ("import sys; print('x: 1', file=sys.stderr)", Outcome.PROTOCOL, "no line"),
    ],
)
def test_no_score(score, source, outcome, said):
    result = score(source)
    assert result.outcome is outcome
    assert result.score is None
    assert said in result.feedback


def test_reasons():
    reasons = {outcome.value: outcome.reason for outcome in Outcome}
    assert reasons["protocol"] is Reason.INVALID_SCORE
    assert reasons["limit"] is Reason.CRASH
    assert reasons["infrastructure"] is Reason.INFRASTRUCTURE


def test_feedback_is_short_and_printable(score):
    result = score("import sys; sys.stderr.write('\\x1b[31mred\\n' * 5000); sys.exit(1)")
    assert len(result.feedback.splitlines()) <= 20
    assert len(result.feedback.encode()) <= 4096
    assert "\x1b" not in result.feedback


VARIABLES = """
import json, os
print(json.dumps(dict(os.environ)), file=__import__("sys").stderr)
raise SystemExit(1)
"""


def test_variables(score):
    import json

    result = score(VARIABLES, budget="1m30s")
    variables = json.loads(result.feedback.splitlines()[0])
    own = {name: value for name, value in variables.items() if name.startswith("AR_")}
    assert own == {
        "AR_MUTABLE": "/candidate/solution.json", "AR_SEED": "22", "AR_RUN_SEED": "11", "AR_TIME_BUDGET": "90",
    }  # fmt: skip
    assert variables["OMP_NUM_THREADS"] == "1"
    assert "PYTHONHASHSEED" not in variables


def test_seeds_are_whole_numbers(sandbox, folder):
    source = "import os; print('x:', len(os.environ['AR_SEED'])); assert int(os.environ['AR_SEED']) == 2**63 - 1"
    result = sandbox.evaluate(folder(score=source).prepared(), b"", RunSeeds(run=0, scorer=2**63 - 1))
    assert result.score == 19


def test_hidden_only_where_there_is_some(sandbox, folder):
    source = """
    import os
    hidden = os.environ.get("AR_HIDDEN")
    assert (hidden is None) == (not os.path.exists("hidden"))
    print("x:", open(hidden + "/truth.txt").read() if hidden else -1)
    """
    made = folder(score=source, hidden={"truth.txt": "42"})
    seeds = RunSeeds(run=1, scorer=1)
    assert sandbox.evaluate(made.prepared(), b"", seeds).score == 42
    assert sandbox.evaluate(made.prepared(with_hidden=False), b"", seeds).score == -1


def test_hash_seed_and_folder_differ(sandbox, folder):
    source = "import os, sys; print(os.getcwd(), hash('a'), file=sys.stderr); raise SystemExit(1)"
    prepared = folder(score=source).prepared()
    seeds = RunSeeds(run=1, scorer=1)
    with sandbox.open(prepared) as opened:
        said = [opened.evaluate(b"", seeds, hash_seed=n).feedback.splitlines()[0] for n in (1, 1, 2)]
    assert said[0] == said[1]
    assert all(a != b for a, b in zip(said[1].split(), said[2].split(), strict=True))


def test_candidate_shadows_no_import(score):
    """A data candidate that has the name of a module is never imported by the scorer beside it."""
    result = score("import json; print('x: 1')", b"print('x: 999')", mutable="json.py")
    assert result.score == 1


def test_nothing_survives_to_the_next_run(sandbox, folder):
    source = """
    import os, pathlib
    left = [p for f in ("/tmp", "/dev/shm") for p in os.listdir(f)]
    for f in ("/tmp", "/dev/shm"): pathlib.Path(f, "cache").write_text("x")
    print("x:", len(left))
    """
    with sandbox.open(folder(score=source).prepared()) as opened:
        for _ in range(2):
            assert opened.evaluate(b"", RunSeeds(run=1, scorer=1)).score == 0


def test_each_candidate_is_the_one_given(sandbox, folder):
    source = "import os; print('x:', open(os.environ['AR_MUTABLE']).read())"
    with sandbox.open(folder(score=source).prepared()) as opened:
        for number in (5, 7, 5):
            assert opened.evaluate(str(number).encode(), RunSeeds(run=1, scorer=1)).score == number


def test_only_the_standard_library(score):
    result = score(
        """
        import sys, zlib, sqlite3, ssl, ctypes, multiprocessing
        try:
            import pip
        except ImportError:
            print("x: 1")
        """
    )
    assert result.score == 1, result.feedback


def test_owner_caps_win(score):
    result = score("import os; b = bytearray(400 << 20)", memory="1GiB", caps=Caps(memory=64 << 20))
    assert result.outcome is Outcome.OUT_OF_MEMORY
    result = score("import time; time.sleep(60)", caps=Caps(seconds=0.2))
    assert result.outcome is Outcome.TIMEOUT


def test_a_start_is_announced(sandbox: Sandbox, folder):
    started: list[str] = []
    sandbox.evaluate(folder().prepared(), b"", RunSeeds(run=1, scorer=1), on_start=started.append)
    assert started == ["scorer"]


def test_files_in_folders_and_odd_names(sandbox, folder):
    source = "print('x:', len(open('data/a b/ünï.txt').read()))"
    made = folder(score=source, others={"data/a b/ünï.txt": b"12345"})
    assert sandbox.evaluate(made.prepared(), b"", RunSeeds(run=1, scorer=1)).score == 5


def test_changed_locked_file_is_infrastructure(sandbox, folder):
    prepared = folder().prepared()
    with sandbox.open(prepared) as opened:
        opened._stage.write("scorer/score.py", b"print('x: 999')")
        result = opened.evaluate(b"", RunSeeds(run=1, scorer=1))
    assert result.outcome is Outcome.INFRASTRUCTURE
    assert result.score is None


def test_an_oversize_candidate_is_no_score(score):
    result = score("print('x: 1')", b"a" * (256 * 1024 + 1))
    assert result.outcome is Outcome.PROTOCOL
    assert "262144" in result.feedback


def test_the_largest_candidate(train):
    result = train("open(__import__('os').environ['AR_OUT'] + '/r', 'w').write('2')\n".ljust(256 * 1024, "#"))
    assert result.outcome is Outcome.OK, result.feedback


def test_hidden_files_are_not_quoted(score):
    """A traceback may quote what the scorer was reading; everybody reads what the proposer is told."""
    source = """
    import os, sys
    truth = open(os.environ["AR_HIDDEN"] + "/truth.txt").read() if "AR_HIDDEN" in os.environ else "visible"
    print("invalid: entry 3 is not a number", file=sys.stderr)
    raise ValueError(truth)
    """
    told = score(source, hidden={"truth.txt": "canary"}).feedback
    assert "canary" not in told
    assert "invalid: entry 3 is not a number" in told
    assert "ValueError: visible" in score(source).feedback
