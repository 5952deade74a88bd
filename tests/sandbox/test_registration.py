"""Registration measures: each lie of a manifest and each scorer that a canned attack beats is found."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.manifest import read_manifest
from ar_core.metric import Direction, read_score
from ar_sandbox import judging
from ar_sandbox.cheats import cheats, fake_score
from ar_sandbox.registration import register, report_from_json, report_to_json
from ar_sandbox.report import Registration
from ar_sandbox.rooms import RunSeeds

HONEST = """
import json, math, os, sys
with open(os.environ["AR_MUTABLE"], encoding="utf-8", errors="replace") as file:
    try:
        x = json.loads(file.read(10000))
    except (ValueError, RecursionError):
        sys.exit("not JSON")
if type(x) not in (int, float) or not math.isfinite(x) or not 0 <= x <= 100:
    sys.exit("not a number from 0 to 100")
print("x:", x)
"""
NOISY = HONEST.replace(
    'print("x:", x)', 'import random\nprint("x:", x + random.Random(int(os.environ["AR_SEED"])).random())'
)


@pytest.fixture
def report(sandbox, folder):
    def run(score: str = HONEST, *, swap: tuple[bytes, bytes] | None = None, **settings) -> Registration:
        files = folder(score=score, **settings).files()
        if swap is not None:
            assert swap[0] in files["problem.toml"]
            files["problem.toml"] = files["problem.toml"].replace(*swap)
        clock = itertools.count().__next__
        return register(files, sandbox=sandbox, seeds=lambda i: RunSeeds(run=i, scorer=i), clock=clock)

    return run


def found(report: Registration, check: str) -> list[tuple[str, str]]:
    return [(finding.severity, finding.message) for finding in report.findings if finding.check == check]


def test_an_honest_problem(report):
    seen = report()
    assert seen.ok, seen.findings
    assert (seen.kind, seen.baseline) == ("data", 1.0)
    assert seen.noise is not None
    assert (seen.noise.deterministic, seen.noise.sd, seen.noise.n) == (True, 0.0, 5)
    assert seen.seconds > 0
    assert [(each.check, each.severity) for each in seen.findings] == [("cheat", "info"), ("self-test", "info")]
    assert found(seen, "self-test")[0][1].startswith("the start against itself is no gain")
    assert report_from_json(report_to_json(seen)) == seen


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"1\n\n1\xe2\x80\xae\n", "line 3 has the bidirectional character U+202E"),
        (b"1\n\x07", "line 2 has the control character U+0007"),
        (b"1\xe2\x80\x8b", "line 1 has the invisible character U+200B"),
        (b"1\xff", "not UTF-8 text (byte 1)"),
        (b"1" + b" " * 262_144, "already has 262145 bytes"),
    ],
)
def test_a_start_that_could_be_no_candidate(report, start, said):
    """The scorer does not mind; but whoever kept it in a proposal would be rejected."""
    seen = report("print('x: 1')", baseline=start)
    assert not seen.ok
    assert seen.noise is None, "nothing was run"
    ((severity, message),) = found(seen, "files")
    assert severity == "error"
    assert said in message


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (b"\x89PNG\r\n\x1a\n", "program.md: it is not UTF-8 text (byte 0)"),
        (b"# Goal\nring \x07\n", "program.md: line 2 has the control character U+0007"),
        ("# Goal \u202eloaG\n".encode(), "program.md: line 1 has the bidirectional character U+202E"),
        (b"# Goal\roverwritten\n", "program.md: line 1 has the control character U+000D"),
    ],
)
def test_a_goal_that_nobody_can_read(report, program, said):
    seen = report(others={"program.md": program})
    assert not seen.ok
    assert found(seen, "files") == [("error", said)]


def test_a_goal_in_any_language(report):
    seen = report(others={"program.md": "\ufeff# Ziel: größer \U0001f469\u200d\U0001f52c\r\n\tمرحبا\r\n".encode()})
    assert seen.ok, seen.findings


def test_noise_that_was_not_declared(report):
    seen = report(NOISY)
    assert not seen.ok
    assert [severity for severity, _ in found(seen, "noise")] == ["error"]


def test_noise_that_is_not_there(report):
    seen = report(more='[acceptance]\nnoise = "seed"')
    assert seen.ok
    assert [severity for severity, _ in found(seen, "noise")] == ["warning"]


def test_noise_as_declared(report):
    seen = report(NOISY, more='[acceptance]\nnoise = "seed"\nmin_gain = 0.5')
    assert seen.ok, seen.findings
    assert seen.noise is not None
    assert seen.noise.sd > 0
    assert found(seen, "min_gain")


def test_the_start_against_itself_with_noise_that_no_seed_explains(report):
    seen = report(
        NOISY.replace('int(os.environ["AR_SEED"])', "None"), more='[acceptance]\nnoise = "seed"\nmin_gain = 2'
    )
    assert seen.ok, seen.findings
    ((severity, message),) = found(seen, "self-test")
    assert severity == "info"
    assert re.fullmatch(r"the start against itself is no gain: \d+ pairs, evidence \S+ of the 200 needed", message)


TIMED = """
import os, time
text = open(os.environ["AR_MUTABLE"], errors="replace").read(10000)
if text.split() != ["word"] * 1000:
    raise SystemExit("those are not the words")
begun = time.perf_counter()
for _ in range(2000):
    text.split()
print("x:", time.perf_counter() - begun)
"""


def timed(report, score=TIMED, rules='min_gain = "50%"', baseline=b"word " * 1000, **settings):
    swap = (b'direction = "maximize"', b'direction = "minimize"')
    more = f'[acceptance]\nnoise = "timing"\n{rules}'
    return report(score, more=more, swap=swap, baseline=baseline, **settings)


def test_times_as_declared(report):
    seen = timed(report)
    assert seen.noise is not None
    assert (seen.noise.declared, seen.noise.deterministic) == ("timing", False)
    assert seen.baseline == seen.noise.mean > 0
    assert any("an accept takes at least 11 pairs" in message for _, message in found(seen, "min_gain"))
    ((severity, message),) = found(seen, "self-test")
    assert severity == "info"
    assert "no gain" in message
    assert found(seen, "noise") == []


def test_times_that_are_none(report):
    seen = timed(report, "print('x: 5')")
    assert [severity for severity, _ in found(seen, "noise")] == ["warning"]
    assert "this is no timing" in found(seen, "noise")[0][1]


def test_scores_that_no_time_can_have(report):
    seen = timed(report, "import time; print('x:', -1 - time.perf_counter() % 1)")
    assert not seen.ok
    assert [severity for severity, _ in found(seen, "noise")] == ["error"]
    assert found(seen, "self-test") == []


def test_min_gain_far_below_the_noise(report):
    seen = report(NOISY, more='[acceptance]\nnoise = "seed"\nmin_gain = 0.001')
    assert [severity for severity, _ in found(seen, "min_gain")] == ["warning"]
    assert "pairs" in found(seen, "min_gain")[0][1]


@pytest.mark.parametrize("hash_dependent", ["hash('a') % 7", "len(os.getcwd()) * 0 + hash(os.getcwd()) % 97"])
def test_a_score_that_depends_on_hashing_or_the_folder(report, hash_dependent):
    seen = report(HONEST.replace('print("x:", x)', f'print("x:", x + {hash_dependent})'))
    assert [severity for severity, _ in found(seen, "noise")] == ["error"]


def test_a_baseline_that_fails(report):
    seen = report("raise SystemExit('broken scorer')")
    assert not seen.ok
    assert seen.baseline is None
    assert "broken scorer" in found(seen, "baseline")[0][1]


def test_a_scorer_that_believes_what_it_reads(report):
    seen = report("import os; print(open(os.environ['AR_MUTABLE']).read() or 1)", baseline=b"x: 1")
    assert not seen.ok
    assert any("fake score" in message for severity, message in found(seen, "cheat") if severity == "error")


def test_a_scorer_that_an_empty_file_beats(report):
    seen = report("import os; print('x:', -len(open(os.environ['AR_MUTABLE']).read()))")
    assert any("empty file" in message for severity, message in found(seen, "cheat") if severity == "error")


def test_an_artifact_scorer_that_trusts_a_result_file(report):
    train = b"import os\nopen(os.environ['AR_OUT'] + '/score.txt', 'w').write('x: 1')\n"
    source = "import os; print(open(os.environ['AR_OUT'] + '/score.txt').read())"
    seen = report(source, kind="artifact", mutable="train.py", baseline=train, budget="5s")
    assert any("fake results" in message for severity, message in found(seen, "cheat") if severity == "error")


def test_an_honest_artifact(report):
    train = b"import os\nopen(os.environ['AR_OUT'] + '/answer', 'w').write('0.5')\n"
    source = """
import math, os, sys
try:
    x = float(open(os.environ["AR_OUT"] + "/answer").read(100))
except (OSError, ValueError):
    sys.exit("no answer")
print("x:", 1 - (x - 0.3) ** 2)
"""
    seen = report(source, kind="artifact", mutable="train.py", baseline=train, budget="5s")
    assert seen.ok, seen.findings
    assert seen.kind == "artifact"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'kind = "data"', b'kind = "service"', "evaluation.run"),
        (b"[resources]", b'[environment]\nrequirements = "program.md"\n[resources]', "names no package"),
        (b"[resources]", b'[environment]\nsystem = ["no-such-program"]\n[resources]', "no-such-program"),
        (b"[resources]", b'[environment]\npython = ">=9"\n[resources]', "Python >=9"),
        (b"[resources]", b"[resources]\ngpus = 1", "GPU"),
        (b'direction = "maximize"', b'direction = "sideways"', "sideways"),
        (b'mutable = "solution.json"', b'mutable = "missing"', "missing"),
        (
            b"[resources]",
            b'[acceptance]\nguards = [{ metric = "size", max_regression = "5%" }]\n[resources]',
            "guard",
        ),
    ],
)
def test_what_is_refused(report, old, new, said):
    seen = report(swap=(old, new))
    assert not seen.ok
    messages = [finding.message for finding in seen.findings if finding.severity == "error"]
    assert any(said in message for message in messages), messages
    assert all(finding.fix for finding in seen.findings if finding.severity == "error")


def test_no_manifest(sandbox):
    seen = register({}, sandbox=sandbox, seeds=lambda i: RunSeeds(run=i, scorer=i), clock=lambda: 0.0)
    assert not seen.ok
    assert seen.kind == ""


def test_time_runs_out(sandbox, folder):
    ticks = itertools.count(step=200.0)
    files = folder(score=HONEST).files()
    seen = register(
        files, sandbox=sandbox, seeds=lambda i: RunSeeds(run=i, scorer=i), clock=lambda: float(next(ticks))
    )
    assert seen.noise is not None
    assert seen.noise.n == 2
    assert any("runs fitted" in message for _, message in found(seen, "baseline"))


SERVER = b"""
import os, socket
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["AR_SOCKET"])
server.listen()
while True:
    connection, _ = server.accept()
    for line in connection.makefile("rb"):
        connection.sendall(b"%d\\n" % max(3, 2 * int(line)))
"""
ASKS = """
import os, random, socket, sys, time
deadline = time.monotonic() + 5
while True:
    asking = socket.socket(socket.AF_UNIX)
    asking.settimeout(1)
    try:
        asking.connect(os.environ["AR_SOCKET"])
        break
    except OSError:
        if time.monotonic() > deadline:
            sys.exit("nobody listens")
        time.sleep(0.01)
numbers = random.Random(5)
wrong = 0
try:
    for _ in range(50):
        number = numbers.randrange(8)
        asking.sendall(b"%d\\n" % number)
        answer = b""
        while not answer.endswith(b"\\n"):
            answer += asking.recv(1)
            if len(answer) > 20:
                sys.exit("a long answer")
        wrong += CHECK
except OSError as error:
    sys.exit(f"no answer: {error}")
print("x:", -wrong)
"""


def test_an_honest_service(report):
    seen = report(
        ASKS.replace("CHECK", 'answer != b"%d\\n" % (2 * number)'), kind="service", mutable="serve.py",
        baseline=SERVER, budget="3s", timeout="20s",
    )  # fmt: skip
    assert seen.ok, seen.findings
    assert (seen.kind, seen.integrity) == ("service", "high")
    assert [severity for severity, _ in found(seen, "cheat")] == ["info"], seen.findings


def test_a_service_whose_scorer_believes_any_answer(report):
    believing = ASKS.replace("CHECK", 'answer == b"3\\n"')
    seen = report(believing, kind="service", mutable="serve.py", baseline=SERVER, budget="3s", timeout="20s")
    assert not seen.ok
    messages = [message for severity, message in found(seen, "cheat") if severity == "error"]
    assert any("answers the same to everything" in message for message in messages), seen.findings


PROGRAM = b"print('x:', 1)\n"


def in_one_room(report, **settings) -> Registration:
    return report(
        "", kind="inprocess", mutable="train.py", baseline=PROGRAM, budget="4s",
        swap=(b'score = ["python", "score.py"]', b'score = ["python", "train.py"]'), **settings,
    )  # fmt: skip


def test_inprocess_is_labelled_and_its_cheats_only_warn(report):
    seen = in_one_room(report)
    assert seen.ok, seen.findings
    assert (seen.kind, seen.integrity, seen.baseline) == ("inprocess", "low", 1.0)
    assert [severity for severity, _ in found(seen, "integrity")] == ["warning"]
    assert "every gain waits for a person" in found(seen, "integrity")[0][1]
    assert any("fake score" in message for severity, message in found(seen, "cheat") if severity == "warning")
    assert not [finding for finding in seen.findings if finding.severity == "error"]
    assert report_from_json(report_to_json(seen)) == seen


def test_inprocess_says_from_where_a_person_decides(report):
    seen = in_one_room(report, more='[acceptance]\nmax_plausible_gain = "20%"')
    assert "a gain above 20% waits for a person" in found(seen, "integrity")[0][1]


def test_inprocess_has_nothing_hidden(report):
    seen = in_one_room(report, hidden={"truth.txt": "x"})
    assert not seen.ok
    assert any("files.hidden" in message for _, message in found(seen, "manifest"))


@given(mean=st.floats(1e-3, 1.0), sd=st.floats(1e-3, 10.0), reach=st.floats(1.0, 100.0), more=st.floats(1.1, 4.0))
def test_more_gain_never_needs_more_pairs(mean, sd, reach, more):
    few = judging.pairs_needed(mean * more, sd, reach)
    assert 2 <= few <= judging.pairs_needed(mean, sd, reach)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_fake_score_is_the_best_there_is(folder, direction):
    manifest = folder().files()["problem.toml"].replace(b'"maximize"', f'"{direction}"'.encode())
    problem = read_manifest(manifest)
    reading = read_score(fake_score(problem), "x", -1000.0, 1000.0)
    assert reading.score == (1000.0 if problem.metric.direction is Direction.MAXIMIZE else -1000.0)


def test_attacks_keep_to_the_size_limit(folder):
    made = folder(kind="artifact", mutable="train.py", more="")
    problem = read_manifest(made.files()["problem.toml"])
    attacks = list(cheats(problem, b"1"))
    assert len({attack.name for attack in attacks}) == len(attacks) > 10
    assert all(len(attack.content) <= problem.files.max_bytes for attack in attacks)
