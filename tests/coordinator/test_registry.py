"""The registry: private files in git, changed together or not at all."""

import stat
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ar_coordinator.git_objects import PoolIdentity
from ar_coordinator.git_paths import PathRefusedError
from ar_coordinator.git_store import StaleHeadError
from ar_coordinator.registry import Registry
from ar_coordinator.repository import EXPORT_MARKER
from ar_core.signing import PrivateKey

Git = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def registry(tmp_path: Path, pool: PoolIdentity) -> Registry:
    return Registry(tmp_path / "registry.git", pool)


def test_an_empty_registry(registry: Registry, pool: PoolIdentity) -> None:
    assert registry.head() is None
    assert registry.read("identities/a.json") is None
    assert registry.list() == []
    assert registry.read_all("problems/") == {}
    assert registry.remove_stale_locks() == []
    assert Registry(registry.store.path, pool).head() is None


def test_changes_are_one_signed_commit(registry: Registry, when: datetime, git: Git, pool: PoolIdentity) -> None:
    first = registry.write({"identities/a.json": b"{}", "bans/b.json": b"1"}, "Join a", when)
    second = registry.write({"identities/a.json": b"[]", "bans/b.json": None}, "Lift the ban of b", when)
    assert second is not None
    assert registry.read_all() == {"identities/a.json": b"[]"}
    assert git("rev-list", "main", cwd=registry.store.path).stdout.split() == [second, first]
    assert git("log", "-1", "--format=%s", cwd=registry.store.path).stdout == "Lift the ban of b\n"
    assert git("verify-commit", second, cwd=registry.store.path).returncode == 0
    assert git("fsck", "--strict", cwd=registry.store.path).stdout == ""
    assert Registry(registry.store.path, pool).read("identities/a.json") == b"[]"


def test_prefixes_are_folders(registry: Registry, when: datetime) -> None:
    hidden = {f"problems/abc/1/hidden/{n}.txt": b"%d" % n for n in range(3)}
    registry.write(hidden | {"problems/abc/10/hidden/x": b"", "problems/abcd/1/hidden/x": b""}, "x", when)
    assert registry.list("problems/abc/1/") == registry.list("problems/abc/1") == list(hidden)
    assert registry.read_all("problems/abc/1/hidden") == hidden
    assert registry.list("problems/ab") == []
    assert registry.read("problems/abc") is None
    for bad in ("..", "../x", "/etc", ".git", "a\nb"):
        with pytest.raises(PathRefusedError):
            registry.list(bad)
        with pytest.raises(PathRefusedError):
            registry.read(bad)


def test_nothing_new_is_no_commit(registry: Registry, when: datetime) -> None:
    head = registry.write({"a": b"1"}, "x", when)
    assert registry.write({"a": b"1"}, "x", when) is None
    assert registry.write({"b": None, "c/d": None}, "x", when) is None
    assert registry.write({}, "x", when) is None
    assert registry.head() == head


def test_everything_can_be_removed(registry: Registry, when: datetime, git: Git) -> None:
    registry.write({"a/b/c": b"1"}, "x", when)
    registry.write({"a/b/c": None}, "x", when)
    assert registry.list() == []
    assert git("fsck", "--strict", cwd=registry.store.path).stdout == ""
    registry.write({"a/b": b"2"}, "x", when)
    assert registry.read_all() == {"a/b": b"2"}


def test_a_file_and_a_folder_cannot_share_a_name(registry: Registry, when: datetime) -> None:
    registry.write({"a/b": b"1", "c": b""}, "x", when)
    for changes in ({"a": b""}, {"a/b/c": b""}, {"c/d": b""}, {"x": b"", "x/y": b""}, {"a": None}):
        with pytest.raises(PathRefusedError):
            registry.write(changes, "x", when)
    assert registry.list() == ["a/b", "c"]


def test_a_stale_writer_is_refused(registry: Registry, when: datetime) -> None:
    first = registry.write({"a": b"1"}, "x", when)
    second = registry.write({"a": b"2"}, "x", when, expected_head=first)
    with pytest.raises(StaleHeadError):
        registry.write({"a": b"3"}, "x", when, expected_head=first)
    assert registry.head() == second


@pytest.mark.parametrize("message", ["", "\n", "a\0b", "a\u202eb", "a\rb"])
def test_messages_are_clean(registry: Registry, when: datetime, message: str) -> None:
    with pytest.raises(ValueError):
        registry.write({"a": b""}, message, when)


def test_it_is_never_served(registry: Registry, when: datetime, git: Git, tmp_path: Path) -> None:
    registry.write({"tokens/a.json": b"hash"}, "x", when)
    assert stat.S_IMODE(registry.store.path.stat().st_mode) == 0o700
    assert not (registry.store.path / EXPORT_MARKER).exists()
    assert git("ls-remote", str(registry.store.path)).stdout.split() == []
    git("clone", "--quiet", str(registry.store.path), str(tmp_path / "clone"), check=False)
    assert not list((tmp_path / "clone").glob("tokens/*"))


class RegistryBesideDict(RuleBasedStateMachine):
    """Whatever is written and removed, the registry holds what a dictionary would."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        pool = PoolIdentity(name="p", key=PrivateKey(raw=bytes(32)))
        self.number = RegistryBesideDict.made = RegistryBesideDict.made + 1
        self.registry = Registry(self.folder / str(self.number), pool)
        self.model: dict[str, bytes] = {}

    made = 0

    @rule(
        changes=st.dictionaries(
            st.sampled_from(["a/x", "a/y", "b/c/x", "b/c/y", "b/z", "top"]), st.none() | st.binary(max_size=2)
        )
    )
    def write(self, changes: dict[str, bytes | None]) -> None:
        self.registry.write(changes, "x", datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
        merged = {**self.model, **changes}
        self.model = {path: data for path, data in merged.items() if data is not None}

    @invariant()
    def holds_the_same(self) -> None:
        assert self.registry.read_all() == self.model
        assert list(self.registry.list()) == sorted(self.model)


def test_it_holds_what_a_dictionary_would(tmp_path: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    machine = type("Machine", (RegistryBesideDict,), {"folder": tmp_path})
    run_state_machine_as_test(machine, settings=settings(max_examples=6, stateful_step_count=6, deadline=None))
