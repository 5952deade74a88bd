"""What may be in the repository: names, sizes, docstrings, and no address of a package registry."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROLES = {
    "proto": "ar_proto",
    "core": "ar_core",
    "sandbox": "ar_sandbox",
    "search": "ar_search",
    "client": "ar_client",
    "worker": "ar_worker",
    "coordinator": "ar_coordinator",
}
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
REGISTRY_HOST = re.compile(
    rb"(?:[\w-]+\.)*(?:pypi|pythonhosted|npmjs|testpypi)[\w.-]*\.(?:org|com|io|net|cn|dev)\b", re.IGNORECASE
)
REGISTRY_ADDRESS = re.compile(rb"https?://[^\s\"'>)]*(?:pypi|pythonhosted|npmjs|/simple\b)", re.IGNORECASE)
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
BUILT = re.compile(r"(^|/)(__pycache__|\.venv[^/]*|\.[a-z_]+_cache|build|dist|[^/]+\.egg-info)(/|$)|\.py[co]$")
LONGEST = 500


def modules(root: Path, committed: list[Path]) -> Iterator[Path]:
    """The modules of our packages that a person wrote."""
    for path in committed:
        role = path.relative_to(root).parts[0]
        if role in ROLES and path.suffix == ".py" and not GENERATED.search(path.name):
            yield path


@pytest.mark.parametrize(
    "text",
    [
        b"https://" + b"py" + b"pi.org/simple",
        b"files." + b"python" + b"hosted.org",
        b"http://10.0.0.7/simple/",
    ],
)
def test_the_patterns_find_a_registry(text: bytes) -> None:
    assert REGISTRY_HOST.search(text) or REGISTRY_ADDRESS.search(text)


def test_no_file_names_a_registry_host(root: Path, committed: list[Path]) -> None:
    found = []
    for path in committed:
        data = path.read_bytes()
        if b"\0" in data[:8000] or path == Path(__file__).resolve():
            continue
        hits = [*REGISTRY_HOST.findall(data), *REGISTRY_ADDRESS.findall(data)]
        found += [f"{path.relative_to(root)}: {hit.decode(errors='replace')}" for hit in hits]
    assert found == []


def test_no_file_names_the_folder_of_this_checkout(root: Path, committed: list[Path]) -> None:
    if len(root.parts) < 3:
        pytest.skip("the checkout lies directly below the root, where its path is an ordinary word")
    needle = f"{root}/".encode()
    assert [str(path.relative_to(root)) for path in committed if needle in path.read_bytes()] == []


def test_nothing_built_is_committed(root: Path, committed: list[Path]) -> None:
    names = [str(path.relative_to(root)) for path in committed]
    assert [name for name in names if BUILT.search(name)] == []


def test_each_role_folder_holds_its_one_package(root: Path, committed: list[Path]) -> None:
    for role, package in ROLES.items():
        below = {path.relative_to(root / role).parts for path in committed if path.is_relative_to(root / role)}
        folders = {parts[0] for parts in below if len(parts) > 1}
        loose = {parts[0] for parts in below if len(parts) == 1 and parts[0].endswith(".py")}
        assert (folders, loose) == ({package}, set()), role
        assert (root / role / package / "__init__.py").is_file()


def test_every_module_says_what_it_is(root: Path, committed: list[Path]) -> None:
    silent = [
        str(path.relative_to(root))
        for path in modules(root, committed)
        if not (ast.get_docstring(ast.parse(path.read_bytes())) or "").strip()
    ]
    assert silent == []


def test_names_say_the_noun(root: Path, committed: list[Path]) -> None:
    vague = [
        str(path.relative_to(root))
        for path in committed
        if path.suffix == ".py" and NAMES_THAT_SAY_NOTHING & {path.stem, path.parent.name}
    ]
    assert vague == []


def test_no_file_is_about_everything(root: Path, committed: list[Path]) -> None:
    long = {
        str(path.relative_to(root)): lines
        for path in modules(root, committed)
        if (lines := len(path.read_bytes().splitlines())) > LONGEST
    }
    assert long == {}, f"split these; a file is about one thing, and rarely longer than {LONGEST} lines"


def test_the_licence_is_whole_and_the_one_that_is_declared(root: Path) -> None:
    text = (root / "LICENSE").read_text()
    assert "Apache License\n" in text
    assert "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability." in text
    assert "limitations under the License." in text
    assert 'license = "Apache-2.0"' in (root / "pyproject.toml").read_text()
