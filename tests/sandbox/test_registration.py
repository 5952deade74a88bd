"""Registration measures: each lie of a manifest and each scorer that a canned attack beats is found."""

import itertools

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
    assert [finding.severity for finding in seen.findings] == ["info"]
    assert report_from_json(report_to_json(seen)) == seen


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
        (b'kind = "data"', b'kind = "service"\nrun = ["a"]', "cannot be run yet"),
        (b'kind = "data"', b'kind = "inprocess"', "yet"),
        (b"[resources]", b'[acceptance]\nnoise = "timing"\n[resources]', "yet"),
        (b"[resources]", b'[environment]\nrequirements = "program.md"\n[resources]', "yet"),
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
