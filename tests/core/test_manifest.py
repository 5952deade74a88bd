"""``problem.toml`` is read as the format page says: defaults, findings that name their key, and no surprise."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from ar_core.manifest import MAX_BUNDLE_BYTES, MAX_FILES, ManifestError, ManifestFinding, check_files, read_manifest
from ar_core.metric import Direction, MinGain
from ar_core.problem import (
    Acceptance,
    BestKnown,
    Environment,
    Guard,
    Kind,
    Noise,
    Problem,
    Resources,
    Search,
    digest_files,
)  # fmt: skip
from ar_core.text import one_line

LEAST: dict[str, Any] = {
    "name": "circle-packing-26",
    "title": "26 circles in a square",
    "files": {"program": "program.md", "mutable": "solution.json"},
    "metric": {"name": "sum_radii", "direction": "maximize"},
    "evaluation": {"kind": "data", "score": ["python", "score.py"], "time_budget": "60s"},
}
FILES = {
    "problem.toml": b"", "program.md": b"Be good.\n", "solution.json": b"[]\n", "score.py": b"print(1)\n",
    "data/a.csv": b"1,2\n", "hidden/b.csv": b"3,4\n",
}  # fmt: skip
WHOLE = b"""
name = "circle-packing-26"              # [a-z0-9-]{3,64}, unique in a pool
title = "26 circles in a square"
summary = "Place 26 disjoint circles in the unit square; maximise the sum of their radii."
licence = "CC0-1.0"
tags = ["geometry", "cpu"]

[files]
program = "program.md"
mutable = "solution.json"
locked  = ["score.py", "data/"]
hidden  = ["hidden/"]
max_bytes = 262144

[metric]
name = "sum_radii"
direction = "maximize"
unit = ""
range = [0.0, 3.0]
decimals = 9
best_known = { value = 2.635983, source = "somebody", date = "2026-05" }

[evaluation]
kind = "artifact"
run = ["python", "train.py"]
score = ["python", "score.py"]
time_budget = "60s"
score_timeout = "2m"

[resources]
cpus = 2
memory = "2GiB"
disk = "32MiB"
processes = 16
gpus = 1

[environment]
python = ">=3.12"
requirements = "requirements.txt"
system = ["sqlite3"]

[acceptance]
noise = "seed"
min_gain = 1e-6
window = [0.2, 2.9]
max_pairs = 100
guards = [{ metric = "size_bytes", max_regression = "20%" }]
max_plausible_gain = "50%"

[search]
policy = "greedy"
tune = ["radius_* 0..1", "lr 1e-5..1e-1 log"]
lease = "10m"
"""


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(c if c.isalnum() or c in " -_./%=" else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    return repr(value)


def manifest(**changes: Any) -> bytes:
    """Return the least manifest with ``table__key`` set, or left out where the value is ``None``."""
    tables: dict[str, Any] = {key: dict(v) if isinstance(v, dict) else v for key, v in LEAST.items()}
    for name, value in changes.items():
        table, _, key = name.partition("__")
        target, key = (tables.setdefault(table, {}), key) if key else (tables, table)
        if value is None:
            del target[key]
        else:
            target[key] = value
    return "\n".join(f"{key} = {toml(value)}" for key, value in tables.items()).encode()


def read(**changes: Any) -> Problem:
    return read_manifest(manifest(**changes))


def findings(**changes: Any) -> dict[str, str]:
    with pytest.raises(ManifestError) as caught:
        read(**changes)
    assert all(f.fix and f.message for f in caught.value.findings)
    return {finding.where: finding.message for finding in caught.value.findings}


def test_the_example_of_the_format_page() -> None:
    problem = read_manifest(WHOLE)
    assert problem.metric.best_known == BestKnown(value=2.635983, source="somebody", date="2026-05", decimals=6)
    assert (problem.metric.low, problem.metric.high, problem.metric.decimals) == (0.0, 3.0, 9)
    assert problem.evaluation.kind is Kind.ARTIFACT
    assert problem.evaluation.run == ("python", "train.py")
    assert (problem.evaluation.time_budget, problem.evaluation.score_timeout) == (60.0, 120.0)
    assert problem.evaluation.seconds_at_most == 180.0
    assert problem.resources == Resources(cpus=2, memory=2 * 1024**3, disk=32 * 1024**2, processes=16, gpus=1)
    assert problem.environment == Environment(
        python=">=3.12", requirements="requirements.txt", system=("sqlite3",)
    )  # fmt: skip
    assert problem.acceptance == Acceptance(
        noise=Noise.SEED, min_gain=MinGain(value=1e-6), window=(0.2, 2.9), max_pairs=100,
        guards=(Guard(metric="size_bytes", max_regression=0.2, direction=Direction.MINIMIZE),),
        max_plausible_gain=MinGain(value=0.5, relative=True),
    )  # fmt: skip
    assert problem.search == Search(policy="greedy", tune=("radius_* 0..1", "lr 1e-5..1e-1 log"), lease=600.0)
    assert problem.tags == ("geometry", "cpu")


def test_the_defaults_of_the_format_page() -> None:
    problem = read()
    assert problem.files.max_bytes == 256 * 1024
    assert problem.files.locked == problem.files.hidden == ()
    assert problem.resources == Resources(cpus=1, memory=1024**3, disk=64 * 1024**2, processes=64, gpus=0)
    assert problem.evaluation.score_timeout == problem.evaluation.time_budget == 60.0
    assert problem.acceptance == Acceptance(noise=Noise.NONE, min_gain=MinGain(), max_pairs=200)
    assert problem.acceptance.max_plausible_gain is None
    assert problem.metric.decimals == 6
    assert problem.search.lease == 300.0
    assert problem.search.policy == "champion"


REQUIRED = [
    "name", "title", "files__program", "files__mutable", "metric__name", "metric__direction", "evaluation__kind",
    "evaluation__score", "evaluation__time_budget",
]  # fmt: skip


@pytest.mark.parametrize("key", REQUIRED)
def test_a_required_key_that_is_missing_is_named(key: str) -> None:
    assert findings(**{key: None})[key.replace("__", ".")] == "is missing"


@pytest.mark.parametrize("kind", ["artifact", "service"])
def test_a_kind_with_two_rooms_needs_run(kind: str) -> None:
    assert findings(evaluation__kind=kind) == {"evaluation.run": "is missing"}
    assert read(evaluation__kind=kind, evaluation__run=["./a"]).evaluation.run == ("./a",)


@pytest.mark.parametrize("kind", ["data", "inprocess"])
def test_a_kind_with_one_room_has_one_command(kind: str) -> None:
    assert read(evaluation__kind=kind).evaluation.seconds_at_most == 60.0
    assert "evaluation.run" in findings(evaluation__kind=kind, evaluation__run=["./a"])


def test_nothing_is_kept_from_a_candidate_in_the_only_room() -> None:
    assert set(findings(evaluation__kind="inprocess", files__hidden=["hidden/"])) == {"files.hidden"}
    found = findings(evaluation__kind="inprocess", acceptance={"simpler": True})
    assert set(found) == {"acceptance.simpler"}
    assert read(acceptance={"simpler": True}).acceptance.simpler


@pytest.mark.parametrize("kind", ["data", "artifact", "service", "inprocess"])
def test_without_a_plausible_gain_only_what_can_be_forged_needs_a_person(kind: str) -> None:
    run = {"evaluation__run": ["./a"]} if kind in {"artifact", "service"} else {}
    forged = kind == "inprocess"
    problem = read(evaluation__kind=kind, **run)
    assert problem.plausible_gain == (MinGain(value=0.0) if forged else None)
    assert (problem.evaluation.kind.integrity, bool(problem.evaluation.kind.caveat)) == (
        ("low", True) if forged else ("high", False)
    )
    limited = read(evaluation__kind=kind, acceptance={"max_plausible_gain": "5%"}, **run)
    assert limited.plausible_gain == MinGain(value=0.05, relative=True)


def test_everything_wrong_is_reported_at_once() -> None:
    found = findings(name=None, metric__direction="sideways", resources={"cpus": 0}, nonsense=1)
    assert set(found) == {"name", "metric.direction", "resources.cpus", "nonsense"}


@pytest.mark.parametrize("table", [
    "", "files", "metric", "evaluation", "resources", "environment", "acceptance", "search", "metric.best_known",
])  # fmt: skip
def test_an_unknown_key_is_named_at_every_level(table: str) -> None:
    if table == "metric.best_known":
        assert findings(metric__best_known={"value": 1, "colour": 1})["metric.best_known.colour"]
    else:
        key = f"{table}__colour" if table else "colour"
        assert findings(**{key: 1})[key.replace("__", ".")] == "is not a known key"


def test_what_a_finding_shows_cannot_disturb_a_terminal() -> None:
    for where, message in findings(**{"\x1b[31mred\u202e": 1, "title": 5, "name": "\x1b[2J"}).items():
        assert (where + message).isprintable()


WRONG = [
    ("name", "Circle"), ("name", "ab"), ("name", "a" * 65), ("name", "a/b"), ("name", "abc\n"), ("name", ""),
    ("name", 7), ("title", ""), ("title", " \t"), ("title", ["a"]), ("summary", 1), ("tags", "cpu"), ("tags", [1]),
    ("files", 3), ("files__max_bytes", 0), ("files__max_bytes", 262145), ("files__max_bytes", "257KiB"),
    ("files__max_bytes", True), ("files__max_bytes", 1.5), ("files__locked", "score.py"), ("files__locked", [1]),
    ("files__hidden", ["a/", "b/"]), ("metric__name", "sum radii"), ("metric__name", "9lives"),
    ("metric__name", "x" * 65), ("metric__name", "x\n"), ("metric__direction", "up"), ("metric__direction", 1),
    ("metric__range", [1]), ("metric__range", [2, 1]), ("metric__range", [1, 1]), ("metric__range", ["0", "1"]),
    ("metric__range", [0, float("inf")]), ("metric__decimals", -1), ("metric__decimals", 18),
    ("metric__decimals", True), ("metric__decimals", 2.0), ("metric__best_known", 2.6),
    ("metric__unit", 3), ("evaluation__kind", "dat"), ("evaluation__kind", True), ("evaluation__score", "python"),
    ("evaluation__score", []), ("evaluation__score", [""]), ("evaluation__score", ["a", 1]),
    ("evaluation__score", ["a\x00b"]), ("evaluation__score", ["py\u202ethon"]), ("evaluation__time_budget", "0s"),
    ("evaluation__time_budget", "25h"), ("evaluation__time_budget", -1), ("evaluation__time_budget", "fast"),
    ("evaluation__time_budget", float("nan")), ("evaluation__score_timeout", "10ms"), ("resources__cpus", 0),
    ("resources__cpus", "1"), ("resources__memory", "1MiB"), ("resources__memory", "2PiB"),
    ("resources__memory", 10**400), ("resources__disk", "1KiB"), ("resources__disk", "65GiB"),
    ("resources__processes", 0),
    ("resources__gpus", -1), ("environment__system", "sqlite3"), ("environment__requirements", "../r.txt"),
    ("acceptance__noise", "some"), ("acceptance__min_gain", -1), ("acceptance__min_gain", "-1%"),
    ("acceptance__min_gain", "1"), ("acceptance__min_gain", True), ("acceptance__min_gain", 10**400),
    ("acceptance__max_pairs", 0), ("acceptance__max_pairs", 1), ("acceptance__max_plausible_gain", "much"),
    ("title", "x" * 121), ("title", "x" * 100_000), ("summary", "x" * 501), ("metric__unit", "x" * 25),
    ("tags", ["x" * 1001]), ("environment__system", ["../../bin/sh"]), ("environment__system", ["/bin/sh"]),
    ("environment__system", [".sh"]), ("environment__system", ["-c"]), ("environment__system", [""]),
    ("environment__system", ["a b"]), ("environment__system", ["sqlite3", "a/b"]),
    ("environment__system", ["x" * 65]),
    ("acceptance__window", [0.0, 1.0]), ("acceptance__guards", {"metric": "a"}), ("acceptance__guards", ["a"]),
    ("acceptance__guards", [{"metric": "a"}]), ("acceptance__guards", [{"metric": "a", "max_regression": 0.2}]),
    ("acceptance__simpler", 1), ("acceptance__strict", "yes"), ("acceptance__strict", True),
    ("acceptance__guards", [{"metric": "a b", "max_regression": "2%"}]),
    ("acceptance__guards", [{"metric": "a", "max_regression": "2%", "x": 1}]),
    ("acceptance__guards", [{"metric": "a", "max_regression": "2%", "direction": "up"}]), ("search__policy", "luck"),
    ("search__lease", "0s"), ("search__tune", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_wrong_value_is_named(key: str, value: object) -> None:
    assert key.replace("__", ".") in findings(**{key: value})


def test_texts_may_be_as_long_as_the_format_page_says() -> None:
    problem = read(title="ä" * 120, summary="x" * 500, metric__unit="x" * 24, tags=["x" * 1000])
    assert (len(problem.title), len(problem.summary), len(problem.metric.unit)) == (120, 500, 24)
    assert findings(title="x" * 121)["title"] == "has 121 characters, at most 120 are allowed"
    assert read(title=" a \t b ").title == "a b", "spaces that nobody sees do not count"


def test_names_of_programs() -> None:
    names = ["sqlite3", "g++", "clang-17", "7z", "python3.11", "_x"]
    assert read(environment__system=names).environment.system == tuple(names)


def fixes(**changes: Any) -> dict[str, str]:
    with pytest.raises(ManifestError) as caught:
        read(**changes)
    return {finding.where: finding.fix for finding in caught.value.findings}


def test_a_finding_says_what_to_write_instead() -> None:
    assert fixes(metric__best_known=5)["metric.best_known"] == "write `[metric.best_known]` and its keys below"
    assert fixes(files=3)["files"] == "write `[files]` and its keys below"
    like = 'write a list like ["python", "score.py"]'
    for value, said in (
        ("python score.py", "is text, not a list of words"),
        (5, "is 5, not a list of words"),
        ([], "is empty"),
        ([""], "is empty"),
    ):
        assert findings(evaluation__score=value)["evaluation.score"] == f"{said}; {like}"
    assert "has 101 words" in findings(evaluation__score=["a"] * 101)["evaluation.score"]


ESCAPES = [
    "../a", "/etc/passwd", "a/../../b", "a//b", "./a", "a/.", "..", "a\\b", "C:x", ".git/config", "a/.GIT/hooks/x",
    ".git /x", ".git::$INDEX_ALLOCATION/x", "git~1/config", ".gitmodules", "x/.gitattributes", "a\x00b", "a\nb",
    "a\u200bb", "a\u202eb", "x" * 256, "/".join("a" * 17), "a.", "a ", "\uff0egit/config",
]  # fmt: skip


@pytest.mark.parametrize("path", ESCAPES)
def test_a_path_that_leaves_the_folder_or_means_something_to_git_is_refused(path: str) -> None:
    for key, value in (("files__program", path), ("files__mutable", path), ("files__locked", [path]),
                       ("files__hidden", [path]), ("environment__requirements", path)):  # fmt: skip
        assert key.replace("__", ".") in findings(**{key: value}), key
    assert [f.where for f in check_files(read(), {**FILES, path: b""})] != []


@pytest.mark.parametrize("path", ["a/b.txt", ".gitignore", "ünïcödé.txt", "a b.txt", "gitlab.yml", "x.git"])
def test_an_ordinary_path_is_fine(path: str) -> None:
    assert read(files__mutable=path).files.mutable == path
    assert check_files(read(), {**FILES, path: b""}) == []


def test_words_of_a_command_stay_as_written() -> None:
    words = ["sh", "-c", "echo  'two  spaces'\n\techo x"]
    assert read(evaluation__score=words).evaluation.score == tuple(words)


@pytest.mark.parametrize(("word", "direction"), [
    ("maximize", "maximize"), ("max", "maximize"), ("higher", "maximize"), ("minimize", "minimize"),
    ("min", "minimize"), ("lower", "minimize"), ("Maximise", "maximize"),
])  # fmt: skip
def test_directions_as_people_write_them(word: str, direction: str) -> None:
    assert read(metric__direction=word).metric.direction.value == direction


@pytest.mark.parametrize(("printed", "decimals"), [
    ("2.635983", 6), ("2.50", 2), ("3", 0), ("2.0", 1), ("1e-7", 7), ("1.25e-3", 5), ("1e22", 0), ("1_000.25", 2),
    ("-0.5", 1),
])  # fmt: skip
def test_the_last_printed_decimal_of_the_best_known_value(printed: str, decimals: int) -> None:
    text = manifest().decode().replace('"direction" = ', f'"best_known" = {{ value = {printed} }}, "direction" = ')
    best = read_manifest(text.encode()).metric.best_known
    assert best is not None
    assert best.decimals == decimals
    assert type(best.value) is float
    assert best.value == float(printed)


def test_gains_are_in_the_unit_or_a_share_of_the_incumbent() -> None:
    assert read(acceptance__min_gain=0.5).acceptance.min_gain.at(-200.0) == 0.5
    assert read(acceptance__min_gain="1%").acceptance.min_gain.at(-200.0) == pytest.approx(2.0)


def test_a_guard_may_say_its_direction() -> None:
    guards = [{"metric": "accuracy", "max_regression": "0%", "direction": "higher"}]
    assert read(acceptance__guards=guards).acceptance.guards == (
        Guard(metric="accuracy", max_regression=0.0, direction=Direction.MAXIMIZE),
    )


@pytest.mark.parametrize("data", [
    b"\xff", b"name = ", b"a = 1\na = 2", b"[files]\n[files]", b"x = " + b"[" * 5000, b"x = " + b"1" * 5000,
    b"[files]\nmax_bytes = 0x" + b"f" * 5000, b"[evaluation]\ntime_budget = 0x" + b"f" * 5000,
    b"[metric]\nrange = [0, 0x" + b"f" * 5000 + b"]", b'[resources]\nmemory = "' + b"9" * 400 + b'"',
    b"[search]\nlease = 1e999", b"x = 2026-13-45", b"",
])  # fmt: skip
def test_bytes_that_are_no_manifest(data: bytes) -> None:
    with pytest.raises(ManifestError) as caught:
        read_manifest(data)
    assert caught.value.findings


def test_a_hostile_duration_is_read_in_no_time() -> None:
    # With optional units this took 2^n steps; it would run into the time limit of a test.
    assert "search.lease" in findings(search__lease="1" * 60 + "x")


scalars = st.one_of(
    st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.just(10**400), st.just("1" * 40 + "x"),
    st.sampled_from(["1%", "60s", "64MiB", "data", "seed", "max", "a/b", "../a"]),
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
paths = st.sampled_from([
    "name", "title", "tags", "summary", "files", "files__program", "files__mutable", "files__locked", "files__hidden",
    "files__max_bytes", "metric", "metric__name", "metric__range", "metric__decimals", "metric__best_known",
    "evaluation", "evaluation__kind", "evaluation__score", "evaluation__run", "evaluation__time_budget", "resources",
    "resources__cpus", "resources__memory", "resources__address_space", "environment", "acceptance",
    "acceptance__noise", "acceptance__min_gain", "acceptance__guards", "acceptance__window", "search", "search__tune",
    "search__lease",
])  # fmt: skip


@given(st.dictionaries(paths, values.filter(lambda value: value is not None), max_size=4))
def test_whatever_the_values_are_there_is_a_problem_or_findings(changes: dict[str, Any]) -> None:
    deep = {key: value for key, value in changes.items() if "__" in key and key.partition("__")[0] not in changes}
    found: list[ManifestFinding] = []
    try:
        read_manifest(manifest(**{**{k: v for k, v in changes.items() if "__" not in k}, **deep}))
    except ManifestError as error:
        found = error.findings
        event("findings")
    for shown in (f.where + f.message for f in found):
        assert shown == one_line(shown, limit=len(shown)), "fit for a terminal"


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@example(b"a = 1979-05-27T00:00:00-07:00")
def test_whatever_the_bytes_are_there_are_findings(data: bytes) -> None:
    with pytest.raises(ManifestError):
        read_manifest(data)


def where(changes: dict[str, Any], edit: Callable[[dict[str, bytes]], Any]) -> list[str]:
    files = dict(FILES)
    edit(files)
    return [finding.where for finding in check_files(read(**changes), files)]


def nothing(files: dict[str, bytes]) -> None:
    return None


@pytest.mark.parametrize(("changes", "edit", "expected"), [
    ({}, nothing, []),
    ({"files__locked": ["score.py", "data/"], "files__hidden": ["hidden/"]}, nothing, []),
    ({}, lambda f: f.pop("program.md"), ["files.program"]),
    ({}, lambda f: f.pop("solution.json"), ["files.mutable"]),
    ({"files__locked": ["solution.json", "score.py"]}, nothing, ["files.mutable"]),
    ({"files__locked": ["data/"], "files__mutable": "data/a.csv"}, nothing, ["files.mutable"]),
    ({"files__locked": ["nowhere/"]}, nothing, ["files.locked"]),
    ({"files__hidden": ["nowhere"]}, nothing, ["files.hidden"]),
    ({"files__hidden": ["score.py"]}, nothing, ["files.hidden"]),
    ({"files__hidden": ["hidden"], "files__mutable": "hidden/b.csv"}, nothing, ["files.mutable"]),
    ({"files__hidden": ["hidden"], "files__program": "hidden/b.csv"}, nothing, ["files.program"]),
    ({"files__max_bytes": 2}, nothing, ["files.max_bytes"]),
    ({"environment__requirements": "r.txt"}, nothing, ["environment.requirements"]),
    ({"environment__requirements": "solution.json"}, nothing, ["environment.requirements"]),
    ({"environment__requirements": "hidden/b.csv", "files__hidden": ["hidden/"]}, nothing,
     ["environment.requirements"]),
    ({}, lambda f: f.update({"score.py/x": b""}), ["score.py/x"]),
    ({}, lambda f: f.update({f"f{i}": b"" for i in range(MAX_FILES)}), ["files"]),
    ({}, lambda f: f.update(big=bytes(MAX_BUNDLE_BYTES)), ["files"]),
])  # fmt: skip
def test_manifest_and_files_belong_together(
    changes: dict[str, Any], edit: Callable[[dict[str, bytes]], Any], expected: list[str]
) -> None:
    assert where(changes, edit) == expected


@pytest.mark.parametrize(("key", "value"), [("files__mutable", "program.md"), ("files__mutable", "problem.toml")])
def test_the_mutable_file_is_a_file_of_its_own(key: str, value: str) -> None:
    assert "files.mutable" in findings(**{key: value})


def test_who_sees_which_file() -> None:
    problem = read(files__locked=["score.py"], files__hidden=["hidden/"], environment__requirements="r.txt")
    files = {**FILES, "r.txt": b""}
    assert set(problem.hidden_files(files)) == {"hidden/b.csv"}
    assert set(problem.public_files(files)) == set(files) - {"hidden/b.csv"}
    assert set(problem.locked_files(files)) == {"problem.toml", "program.md", "score.py", "r.txt"}
    assert set(read(files__hidden=["hidden/"]).locked_files(FILES)) == set(FILES) - {"solution.json", "hidden/b.csv"}
    assert not read(files__hidden=["hidden"]).is_hidden("hidden.csv")


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), st.binary(max_size=5))
)
def test_the_digest_says_which_files_in_whatever_order(files: dict[str, bytes]) -> None:
    assert digest_files(files) == digest_files(dict(reversed(files.items())))
    for path in files:
        assert digest_files({**files, path: files[path] + b"x"}) != digest_files(files)
        assert digest_files({p: d for p, d in files.items() if p != path}) != digest_files(files)


def test_simpler_and_strict_are_off_and_only_where_they_mean_something() -> None:
    assert not read().acceptance.simpler
    assert not read().acceptance.strict
    assert read(acceptance__simpler=True).acceptance.simpler
    seed = {"acceptance__noise": "seed", "acceptance__min_gain": 0.1, "acceptance__strict": True}
    assert read(**seed, acceptance__simpler=True).acceptance.strict
    for wrong in (
        {"acceptance__noise": "seed", "acceptance__simpler": True},
        {"acceptance__noise": "timing", "acceptance__min_gain": 0.1, "acceptance__simpler": True},
    ):
        with pytest.raises(ManifestError) as caught:
            read(**wrong)
        assert [finding.where for finding in caught.value.findings] == ["acceptance.simpler"]
