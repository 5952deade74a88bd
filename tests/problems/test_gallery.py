"""What every problem of this gallery promises, whatever it is about."""

import re
from pathlib import Path

import pytest

from ar_core.candidate import check_policy
from ar_core.manifest import check_files, read_manifest

GALLERY = Path(__file__).resolve().parents[2] / "problems"
NAMES = ("api-latency", "bin-packing", "sorting-comparisons", "tiny-classifier", "tiny-gpt", "zlib-dictionary")
PACKAGES = {
    "tiny-gpt": {"numpy"}, "sorting-comparisons": {"socket", "time"}, "api-latency": {"socket", "statistics", "time"},
}  # fmt: skip


def files_of(name: str) -> dict[str, bytes]:
    folder = GALLERY / name
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_reads_and_fits_its_files(name: str) -> None:
    files = files_of(name)
    problem = read_manifest(files["problem.toml"])
    assert problem.name == name
    assert check_files(problem, files) == []
    assert check_policy(files[problem.files.mutable], problem.files.max_bytes) is None


@pytest.mark.parametrize("name", NAMES)
def test_what_is_hidden_stays_out_of_what_is_public(name: str) -> None:
    files = files_of(name)
    problem = read_manifest(files["problem.toml"])
    hidden = problem.hidden_files(files)
    public = problem.public_files(files)
    lines = {line for data in hidden.values() for line in data.splitlines() if len(line) > 40}
    assert len(lines) > 20
    assert all(path.startswith("hidden/") for path in hidden)
    for path, data in public.items():
        assert not lines & set(data.splitlines()), path


@pytest.mark.parametrize("name", NAMES)
def test_the_scorer_uses_what_it_names_only_and_runs_nothing(name: str) -> None:
    source = (GALLERY / name / "score.py").read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:import|from) (\w+)", source, flags=re.MULTILINE))
    known = {"json", "math", "operator", "os", "pathlib", "random", "re", "struct", "sys", "unicodedata", "zlib"}
    assert imported <= known | PACKAGES.get(name, set())
    assert not re.search(r"\b(?:eval|exec|__import__|pickle|subprocess|set_int_max_str_digits)\b", source)


@pytest.mark.parametrize("name", NAMES)
def test_the_words_for_people_are_there(name: str) -> None:
    program = (GALLERY / name / "program.md").read_text(encoding="utf-8")
    readme = (GALLERY / name / "README.md").read_text(encoding="utf-8")
    assert "**Goal:**" in program
    assert "## What is not allowed" in program
    assert "## What is known" in readme
    assert "## Recorded results" in readme
    assert not re.search(r"@\w", readme)
