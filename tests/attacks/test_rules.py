"""Rows 11 to 26 of the threats where the defence is a rule, and no room; each test is named by its row."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ar_core.acceptance import Pair, Verdict, Window, decide_betting, decide_exact, derive_window
from ar_core.manifest import ManifestError, check_files, read_manifest
from ar_core.metric import Direction, MinGain, read_score
from ar_core.paths import path_problem
from ar_core.scan import scan
from ar_sandbox.cheats import cheats
from ar_sandbox.registration import register
from ar_sandbox.rooms import PreparedProblem, RunSeeds, Sandbox

ALPHA = 0.005
VICTIMS = Path(__file__).parent / "rooms" / "victims"
ODD = st.sampled_from([0.0, -0.0, 5e-324, 1e-320, 1e308, -1e308, 1.0, 1.0 + 2**-52, math.inf, -math.inf, math.nan])
SCORES = st.none() | ODD | st.floats()
DIRECTIONS = st.sampled_from(list(Direction))
NUMERALS = st.sampled_from(["NaN", "Infinity", "-0", "1e-320", "1e400", "9" * 400, "true", '"5"', "[5]", "0x10"])


@given(st.lists(st.tuples(st.sampled_from(["points", "score", "x"]), st.sampled_from([": ", "=", '": ']), NUMERALS)))
@example([("points", ": ", "NaN")])
def test_row_11_whatever_is_printed_only_one_finite_number_in_range_is_a_score(lines: list[tuple[str, ...]]) -> None:
    text = "\n".join(f'{{"{a}{b}{c}}}' if b.startswith('"') else a + b + c for a, b, c in lines)
    seen = read_score(text, "points", 0.0, 10.0).score
    assert seen is None or (type(seen) is float and math.isfinite(seen) and 0 <= seen <= 10)


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_row_11_any_text_at_all(text: str, high: float) -> None:
    seen = read_score(text, "points", None, high).score
    assert seen is None or (math.isfinite(seen) and seen <= high)


@given(st.lists(st.tuples(SCORES, SCORES), max_size=60), DIRECTIONS, st.sampled_from([0.0, 1e-320, 1e-9, 0.5]))
def test_row_16_no_score_however_odd_tips_the_sum(
    scores: list[tuple[float | None, float | None]], direction: Direction, least: float
) -> None:
    """Evidence is added in logarithms of bounded bets: no single pair and no underflow accepts anything."""
    window = Window(low=-1.0, high=1.0)
    pairs = [Pair(index=n, candidate=a, incumbent=b) for n, (a, b) in enumerate(scores)]
    decision = decide_betting(pairs, window, direction, MinGain(value=least), ALPHA, 200)
    best = sum(window.clip(b, direction) != window.clip(a, direction) for a, b in scores)
    if decision.verdict is Verdict.ACCEPT:
        assert best >= math.log(1 / ALPHA) / math.log(1.9), "one pair at most doubles the evidence, nearly"
    worse = [Pair(index=n, candidate=b, incumbent=a) for n, (a, b) in enumerate(scores)]
    both = {decision.verdict, decide_betting(worse, window, direction, MinGain(value=least), ALPHA, 200).verdict}
    assert both != {Verdict.ACCEPT}, "a change and its reverse are not both better"


@given(SCORES, SCORES, DIRECTIONS)
def test_row_16_without_noise_one_odd_run_is_no_gain(a: float | None, b: float | None, direction: Direction) -> None:
    decision = decide_exact((a, b), (1.0, 1.0), direction, MinGain())
    if decision.verdict is Verdict.ACCEPT:
        assert a == b
        assert a is not None
        assert math.isfinite(a)
    with_zero = derive_window(mean=0.0, sd=0.0, min_gain=MinGain())
    assert with_zero.low < with_zero.high


def gamble(rng: random.Random, tries: int) -> bool:
    """Resubmit the same file until a verdict is lucky; every try is measured on fresh seeds."""
    window = Window(low=-4.0, high=4.0)
    for _ in range(tries):
        pairs = [Pair(index=n, candidate=rng.gauss(0, 1), incumbent=rng.gauss(0, 1)) for n in range(60)]
        if decide_betting(pairs, window, Direction.MAXIMIZE, MinGain(), ALPHA, 60).verdict is Verdict.ACCEPT:
            return True
    return False


def test_row_23_who_gambles_on_noise_is_believed_no_oftener_than_was_promised() -> None:
    rng = random.Random(23)
    gamblers, tries = 100, 10
    lucky = sum(gamble(rng, tries) for _ in range(gamblers))
    most = gamblers * tries * ALPHA
    assert lucky <= most + 3 * math.sqrt(most)
    naive = sum(max(rng.gauss(0, 1) for _ in range(tries)) > 0.5 for _ in range(gamblers))
    assert naive > 0.9 * gamblers, "one number against a recorded one would have believed nearly all of them"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox.detect()


def measured(sandbox: Sandbox, files: dict[str, bytes]) -> Any:
    seeds = (RunSeeds(run=n, scorer=n + 1) for n in range(100))
    return register(files, sandbox=sandbox, seeds=lambda _: next(seeds), clock=lambda: 0.0, runs=2)


def folder(name: str) -> dict[str, bytes]:
    paths = [*(VICTIMS / "all").iterdir(), *(VICTIMS / name).iterdir()]
    return {path.name: path.read_bytes() for path in paths}


def test_row_15_a_scorer_that_a_trivial_file_beats_cannot_be_published(sandbox: Sandbox) -> None:
    files = folder("data")
    files["problem.toml"] = files["problem.toml"].replace(b'hidden = ["hidden/"]\n', b"")
    honest = measured(sandbox, files)
    assert honest.ok, honest.findings
    tried = {cheat.name for cheat in cheats(read_manifest(files["problem.toml"]), files["solution.json"])}
    assert len(tried) >= 5
    # The mean of an empty list of mistakes: nothing answered, nothing wrong.
    files["score.py"] = b"import os\ntext = open(os.environ['AR_MUTABLE']).read()\nprint('points:', 50 - len(text))\n"
    fooled = measured(sandbox, files)
    assert not fooled.ok
    assert any("an empty file scores" in finding.message for finding in fooled.findings), fooled.findings


def test_row_17_what_fits_the_visible_cases_only_is_worth_little_beside_the_hidden_ones(sandbox: Sandbox) -> None:
    """A table of the public cases scores fully on a volunteer's machine, and not where the verdict comes from."""
    scorer = b"""
import json, os
from pathlib import Path
rule = json.loads(Path(os.environ["AR_MUTABLE"]).read_text())
cases = json.loads(Path("cases.json").read_text())
if "AR_HIDDEN" in os.environ:
    cases = json.loads(Path(os.environ["AR_HIDDEN"], "cases.json").read_text())
known = {x: y for x, y in rule.get("table", [])}
guess = lambda x: known.get(x, rule["slope"] * x)
print("points:", 100 * sum(guess(x) == y for x, y in cases) / len(cases))
"""
    files = folder("data") | {
        "score.py": scorer,
        "solution.json": b'{"slope": 2}',
        "cases.json": json.dumps([[n, 3 * n] for n in range(10)]).encode(),
        "hidden/cases.json": json.dumps([[n, 3 * n] for n in range(100, 200)]).encode(),
    }
    manifest = read_manifest(files["problem.toml"])
    memorised = json.dumps({"slope": 2, "table": [[n, 3 * n] for n in range(10)]}).encode()
    honest = b'{"slope": 3}'
    scores = {}
    for with_hidden in (False, True):
        with sandbox.open(PreparedProblem.of(manifest, files, with_hidden=with_hidden)) as opened:
            for name, content in (("memorised", memorised), ("honest", honest)):
                scores[name, with_hidden] = opened.evaluate(content, RunSeeds(run=1, scorer=2)).score
    assert scores == {
        ("memorised", False): 100.0, ("memorised", True): 0.0, ("honest", False): 100.0, ("honest", True): 100.0,
    }  # fmt: skip


PARTS = st.sampled_from(["..", ".", "", "a", "score.py", "~", "\0", "\\", "C:", "\u2024\u2024", "…", " ", "a\u202e"])


@given(st.lists(PARTS, min_size=1, max_size=5).map("/".join))
@example("../score.py")
@example("a/../../score.py")
@example("a/")
def test_row_25_no_name_leads_out_of_a_folder(path: str) -> None:
    if path_problem(path) is None:
        assert Path("/at", path).resolve().is_relative_to("/at")
        assert ".." not in path.split("/")
    for key in ("mutable", "program"):
        manifest = (VICTIMS / "data" / "problem.toml").read_text()
        old = {"mutable": '"solution.json"', "program": '"program.md"'}[key]
        try:
            problem = read_manifest(manifest.replace(old, json.dumps(path)).encode())
        except ManifestError:
            continue
        name = getattr(problem.files, key)
        assert path_problem(name.rstrip("/")) is None
        if name.endswith("/"):
            found = check_files(problem, {name.rstrip("/"): b"", "score.py": b""})
            assert any(one.where == f"files.{key}" for one in found), "a folder is not a file"


def test_row_26_what_is_disguised_is_pointed_out_and_decides_nothing() -> None:
    candidates = VICTIMS.parent / "candidates"
    assert {flag.what for flag in scan((candidates / "row_26_code_in_disguise.py").read_bytes())} >= {
        "unpacks text", "runs text as code", "imports by name",
    }  # fmt: skip
    assert scan((candidates / "row_19_memory_that_nobody_owns.py").read_bytes())[0].what.startswith("calls into C")
    assert scan((VICTIMS / "data" / "solution.json").read_bytes()) == ()
