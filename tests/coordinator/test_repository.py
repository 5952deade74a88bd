"""A problem's repository, read back by the real git and by GitPython, attacked and killed in the middle."""

import os
import signal
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import git as gitpython
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.evidence import Publication, Score, parse_trailers
from ar_coordinator.git_objects import GitObject, PoolIdentity, blob, commit, edit_tree, tree
from ar_coordinator.git_paths import PathRefusedError, check_path, check_paths
from ar_coordinator.git_store import GitStore, RepositoryError, StaleHeadError, git_environment
from ar_coordinator.repository import MissingFileError, ProblemRepository
from ar_core.signing import PrivateKey

FILES = {
    "problem.toml": b"name='abc'\n",
    "program.md": b"goal\n",
    "src/deep/solution.py": b"x = 1\n",
    "src/a.txt": b"",
}
MUTABLE = "src/deep/solution.py"
PUBLISHED = Publication(problem="abc", revision=1, score=Score(value=0.5), locked_digest="0f").to_message()
Git = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def repository(tmp_path: Path, pool: PoolIdentity) -> ProblemRepository:
    return ProblemRepository(tmp_path / "abc.git", pool)


@pytest.fixture
def root(repository: ProblemRepository, when: datetime) -> str:
    return repository.create(FILES, PUBLISHED, "amber otter", when)


def accept(repository: ProblemRepository, head: str, content: bytes, when: datetime, note: str = "try") -> str:
    message = f"{note}: 0.4\n\nExperiment: x-1\nScore: 0.4 [n=2]\n".encode()
    return repository.commit_accept(head, MUTABLE, content, message, "Zoë <x@y>\n", when)


def test_the_root_commit_is_the_published_folder(
    repository: ProblemRepository, root: str, git: Git, when: datetime
) -> None:
    assert repository.head() == root
    assert repository.read_tree(root) == FILES
    assert repository.read_file(root, MUTABLE) == b"x = 1\n"
    assert git("fsck", "--strict", "--full", cwd=repository.path).stdout == ""
    shown = git("log", "-1", "--format=%an|%ae|%cn|%ce|%cI|%(trailers:key=Score,valueonly)", cwd=repository.path)
    assert shown.stdout.split("\n")[0] == (
        "amber otter|amber-otter@users.pool.invalid|Test Pool|pool@pool.invalid|2026-03-04T05:06:07+00:00|0.5 [n=1]"
    )


def test_accepts_are_a_signed_line(repository: ProblemRepository, root: str, git: Git, when: datetime) -> None:
    first = accept(repository, root, b"x = 2\n", when)
    second = accept(repository, first, b"x = 3\n", when)
    assert repository.read_tree(second) == FILES | {MUTABLE: b"x = 3\n"}
    records = repository.log()
    assert [record.commit for record in records] == [second, first, root]
    assert [record.parents for record in records] == [(first,), (root,), ()]
    assert records[0].author == "Zoë x@y"
    assert records[0].time == when
    assert records[0].subject == "try: 0.4"
    assert records[0].trailers == {"Experiment": "x-1", "Score": "0.4 [n=2]"}
    assert [record.commit for record in repository.log(since=root, limit=1)] == [second]
    assert repository.log(since=second) == []
    for commit_id in (root, first, second):
        assert (
            'Good "git" signature for pool@pool.invalid'
            in git("verify-commit", commit_id, cwd=repository.path).stderr
        )
        assert repository.is_signed(commit_id, repository.pool.key.public)
    assert not repository.is_signed(second, PrivateKey(raw=bytes(32)).public)


def test_gitpython_reads_the_same(repository: ProblemRepository, root: str) -> None:
    with gitpython.Repo(repository.path) as repo:
        assert repo.bare
        found = {item.path: item for item in repo.commit("main").tree.traverse() if item.type == "blob"}
        assert {path: item.data_stream.read() for path, item in found.items()} == FILES
        assert {stat.S_IMODE(item.mode) for item in found.values()} == {0o644}


def test_an_empty_repository_has_no_head(repository: ProblemRepository) -> None:
    assert repository.head() is None
    assert repository.log() == []
    assert repository.remove_stale_locks() == []
    GitStore.create(repository.path)
    assert repository.head() is None
    assert repository.log() == []


def test_a_problem_is_created_once(repository: ProblemRepository, root: str, when: datetime) -> None:
    with pytest.raises(StaleHeadError):
        repository.create({"other": b""}, PUBLISHED, "x", when)
    assert repository.head() == root


def test_a_revision_replaces_the_tree(repository: ProblemRepository, root: str, git: Git, when: datetime) -> None:
    files = {"src": b"a file now", "new.md": b"x"}
    head = repository.publish_revision(root, files, PUBLISHED, "x", when)
    assert repository.read_tree(head) == files
    assert repository.log()[0].parents == (root,)
    assert git("verify-commit", head, cwd=repository.path)
    with pytest.raises(StaleHeadError):
        repository.publish_revision(root, files, PUBLISHED, "x", when)


def test_a_stale_head_is_refused(repository: ProblemRepository, root: str, when: datetime) -> None:
    first = accept(repository, root, b"1", when)
    with pytest.raises(StaleHeadError) as caught:
        accept(repository, root, b"2", when)
    assert (caught.value.expected, caught.value.actual) == (root, first)
    assert repository.head() == first


def test_of_many_at_once_one_wins(repository: ProblemRepository, root: str, when: datetime) -> None:
    def attempt(number: int) -> str | None:
        try:
            return accept(repository, root, b"%d" % number, when)
        except RepositoryError:
            # Stale, or the other's lock was in the way: either way not committed.
            return None

    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(attempt, range(12)))
    winners = [result for result in results if result]
    assert winners == [repository.head()]
    assert repository.log()[0].parents == (root,)


def test_missing_files_are_named(repository: ProblemRepository, root: str, when: datetime) -> None:
    for path in ("nothing", "src", "src/deep", "program.md/x"):
        with pytest.raises(MissingFileError, match="not a file"):
            repository.commit_accept(root, path, b"", PUBLISHED, "x", when)
        with pytest.raises(MissingFileError, match="not a file"):
            repository.read_file(root, path)


@pytest.mark.parametrize("bad", ["HEAD", "main", "--help", "", "0" * 39, "A" * 40, "x\n" + "0" * 40])
def test_only_full_hashes_name_commits(repository: ProblemRepository, root: str, when: datetime, bad: str) -> None:
    with pytest.raises(ValueError, match="full"):
        repository.read_file(bad, "x")
    with pytest.raises(ValueError, match="full"):
        repository.log(since=bad)
    with pytest.raises(ValueError, match="full"):
        repository.commit_accept(bad, MUTABLE, b"", PUBLISHED, "x", when)
    with pytest.raises(ValueError, match="full"):
        repository.read_tree(bad)


def test_it_works_after_gc(repository: ProblemRepository, root: str, git: Git, when: datetime) -> None:
    git("gc", "--quiet", "--prune=now", cwd=repository.path)
    git("pack-refs", "--all", cwd=repository.path)
    assert not (repository.path / "refs/heads/main").exists()
    assert repository.head() == root
    head = accept(repository, root, b"after", when)
    assert repository.read_file(head, MUTABLE) == b"after"


BAD_PATHS = [
    "", "/", "/etc/passwd", "a//b", "a/", "./a", "../a", "a/../b", "a/..", "..", ".", "a\\b", "..\\a", "C:x", "a:b",
    ".git", ".git/config", ".GIT/hooks/x", "a/.Git", ".git ", ".git.", ".git. .", "git~1", "a/GIT~1/x", "GIT~2",
    ".git::$INDEX_ALLOCATION", ".g\u200cit", ".gi\u200dt/config", ".gitmodules", ".GITMODULES", "gitmod~1",
    "gi7eba~1", ".gitattributes", "sub/.gitattributes", "gi7d29~2",
    "a\nb", "a\tb", "a\0b", "a\x1bb", "a\u202eb", "a\ufeff",
    "a" * 256, "/".join("a" * 17), "/".join(["b" * 200] * 6), "e\u0301", "a\ud800", "\u2028", "a /b", " a", "x\x7f",
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_names_are_refused(tmp_path: Path, pool: PoolIdentity, when: datetime, path: str) -> None:
    with pytest.raises(PathRefusedError):
        check_path(path)
    repository = ProblemRepository(tmp_path / "x.git", pool)
    with pytest.raises(PathRefusedError) as caught:
        repository.create({"ok": b"", path: b""}, PUBLISHED, "x", when)
    assert str(caught.value).isascii()
    assert not repository.path.exists()


@pytest.mark.parametrize(
    "paths",
    [["a", "a/b"], ["A", "a"], ["src/x", "SRC/y"], ["ß", "ss"], ["README.md", "readme.md"], ["a/B/c", "a/b"]],
)
def test_names_that_are_one_file_elsewhere_are_refused(paths: list[str]) -> None:
    with pytest.raises(PathRefusedError):
        check_paths(paths)


@pytest.mark.parametrize(
    "path", [".gitignore", "a/b.c", "ünïcode/名前.txt", "-x", "--help", ".hidden", "a b", "@{u}", "*"]
)
def test_ordinary_names_are_kept(tmp_path: Path, pool: PoolIdentity, when: datetime, git: Git, path: str) -> None:
    repository = ProblemRepository(tmp_path / "x.git", pool)
    head = repository.create({path: b"1"}, PUBLISHED, "x", when)
    head = repository.commit_accept(head, path, b"2", PUBLISHED, "x", when)
    assert repository.read_tree(head) == {path: b"2"}
    git("clone", "--quiet", str(repository.path), str(tmp_path / "clone"))
    assert (tmp_path / "clone" / path).read_bytes() == b"2"


@pytest.mark.parametrize("mode", [b"120000", b"160000", b"100755"])
def test_no_link_or_submodule_enters_by_a_path(mode: bytes) -> None:
    """Whatever stood there before, what we write is a plain file."""
    root, _made = edit_tree({"": {"x": (mode, "1" * 40)}}, {"x": "2" * 40})
    assert root == tree({"x": (b"100644", "2" * 40)})


def test_git_itself_refuses_a_malformed_tree(repository: ProblemRepository, root: str) -> None:
    store = repository.store
    file = blob(b"x")
    with pytest.raises(RepositoryError):
        store.write([file, tree({".git": (b"100644", file.oid)})])
    with pytest.raises(RepositoryError):
        store.write([tree({"x": (b"100644", "1" * 40)})])
    with pytest.raises(RepositoryError):
        store.write([GitObject(kind="commit", data=b"tree nothing\n")])
    store.write([])


@given(st.dictionaries(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), st.binary(max_size=3)))
def test_edited_trees_hold_what_was_asked(wanted: dict[str, bytes]) -> None:
    try:
        check_paths(wanted)
    except PathRefusedError:
        return
    root, made = edit_tree({}, {path: blob(data).oid for path, data in wanted.items()})
    assert made[-1] == root
    by_oid = {item.oid: item for item in made}
    assert len(by_oid) <= len(made)
    expected = {path.rsplit("/", 1)[0] if "/" in path else "" for path in wanted}
    assert len(made) >= len(expected) or not wanted


def test_object_names_are_gits(git: Git, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content\0")
    assert git("hash-object", str(tmp_path / "x")).stdout.strip() == blob(b"content\0").oid


def test_a_changed_commit_no_longer_verifies(
    repository: ProblemRepository, root: str, git: Git, when: datetime
) -> None:
    head = accept(repository, root, b"x = 2\n", when)
    (item,) = repository.store.read([head])
    assert item is not None
    forged = GitObject(kind="commit", data=item.data.replace(b"Score: 0.4", b"Score: 0.1"))
    repository.store.write([forged])
    repository.store.move_ref("refs/heads/main", forged.oid, head)
    assert not repository.is_signed(forged.oid, repository.pool.key.public)
    assert git("verify-commit", forged.oid, cwd=repository.path, check=False).returncode != 0
    assert git("verify-commit", head, cwd=repository.path).returncode == 0


def test_a_commit_by_another_key_does_not_verify(
    repository: ProblemRepository, root: str, git: Git, when: datetime
) -> None:
    other = PoolIdentity(name="Test Pool", key=PrivateKey(raw=bytes(32)))
    head = accept(ProblemRepository(repository.path, other), root, b"x", when)
    assert git("verify-commit", head, cwd=repository.path, check=False).returncode != 0
    assert not repository.is_signed(head, repository.pool.key.public)


def test_damage_on_disk_is_noticed(repository: ProblemRepository, root: str, git: Git, when: datetime) -> None:
    file = repository.path / "objects" / root[:2] / root[2:]
    file.chmod(0o644)
    file.write_bytes(zlib.compress(zlib.decompress(file.read_bytes()).replace(b"Score: 0.5", b"Score: 0.1")))
    assert not repository.is_signed(root, repository.pool.key.public)
    assert git("fsck", cwd=repository.path, check=False).returncode != 0


HOSTILE_NAMES = [
    "", "   ", "<>", "a\nb <x@y> 1 +0000", "x\0y", "> 0 +0000\nparent " + "1" * 40, "...", "a" * 5000, "\u202eevil",
    "<root@localhost>", "日本", "\ud800", "\\", '"', "a\ncommitter x <y> 1 +0000\n\nScore: 9",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_authors_cannot_forge_headers(
    tmp_path: Path, pool: PoolIdentity, when: datetime, git: Git, name: str
) -> None:
    repository = ProblemRepository(tmp_path / "x.git", pool)
    head = repository.create({"a": b""}, PUBLISHED, name, when)
    assert git("fsck", "--strict", cwd=repository.path).stdout == ""
    shown = git("log", "-1", "--format=%P|%ae|%ce|%an", cwd=repository.path).stdout.rstrip("\n").split("|", 3)
    assert shown[0] == ""
    assert shown[1].endswith("@users.pool.invalid")
    assert shown[2] == "pool@pool.invalid"
    assert 0 < len(shown[3]) <= 100
    assert repository.log()[0].trailers == parse_trailers(PUBLISHED.decode())
    assert repository.is_signed(head, pool.key.public)


@pytest.mark.parametrize(
    "message", [b"", b"\n", b"no line end", b"a\0b\n", b"\xff\n", b"a\rb\n", "a\u202eb\n".encode()]
)
def test_messages_that_hide_something_are_refused(
    repository: ProblemRepository, root: str, when: datetime, message: bytes
) -> None:
    with pytest.raises(ValueError):
        repository.commit_accept(root, MUTABLE, b"x", message, "x", when)
    assert repository.head() == root


def test_a_naive_time_is_refused(repository: ProblemRepository, root: str, pool: PoolIdentity) -> None:
    with pytest.raises(ValueError, match="aware"):
        commit(
            tree_oid=root,
            parents=(),
            author="x",
            pool=pool,
            when=datetime(2026, 1, 1),  # noqa: DTZ001
            message=b"x\n",
        )


def test_objects_without_a_ref_change_nothing(
    repository: ProblemRepository, root: str, git: Git, pool: PoolIdentity, when: datetime
) -> None:
    """A crash after the objects and before the ref: as if the commit had never been tried."""
    file = blob(b"lost")
    top, trees = repository.store.edit(root, {MUTABLE: file.oid})
    made = commit(tree_oid=top.oid, parents=(root,), author="x", pool=pool, when=when, message=b"lost\n")
    repository.store.write([file, *trees, made])
    assert repository.head() == root
    assert len(repository.log()) == 1
    assert git("fsck", "--connectivity-only", "--no-dangling", cwd=repository.path).stdout == ""
    assert repository.read_file(accept(repository, root, b"lost", when), MUTABLE) == b"lost"


ENDLESS_COMMITTER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ar_coordinator.git_objects import PoolIdentity
from ar_coordinator.repository import ProblemRepository
from ar_core.signing import PrivateKey
pool = PoolIdentity(name="Test Pool", key=PrivateKey(raw=bytes(range(32))))
repository = ProblemRepository(Path(sys.argv[1]), pool)
when = datetime(2026, 1, 1, tzinfo=UTC)
number = 0
while True:
    head = repository.commit_accept(
        repository.head(), "src/deep/solution.py", b"%d" % number, b"n: %d\\n" % number, "x", when
    )
    number += 1
    print(head, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 2, 3, 5])
def test_kill_9_loses_no_acknowledged_commit(
    repository: ProblemRepository, root: str, git: Git, when: datetime, acknowledged: int
) -> None:
    command = [sys.executable, "-c", ENDLESS_COMMITTER, str(repository.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        known = [process.stdout.readline().strip() for _ in range(acknowledged)]
        os.killpg(process.pid, signal.SIGKILL)
        known += [line.strip() for line in process.stdout if len(line) == 41]
    repository.remove_stale_locks()
    history = [record.commit for record in repository.log()]
    # The last commit may have been made and not yet printed.
    assert history[-len(known) - 1 :] == [*reversed(known), root]
    assert len(history) <= len(known) + 2
    assert git("fsck", "--strict", "--no-dangling", cwd=repository.path, check=False).stdout == ""
    assert repository.log()[0].commit == repository.head()
    assert repository.read_file(accept(repository, history[0], b"next", when), MUTABLE) == b"next"


def test_stale_locks_are_removed(repository: ProblemRepository, root: str, when: datetime) -> None:
    locks = [
        repository.path / name
        for name in ("refs/heads/main.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "gc.pid")
    ]
    half = repository.path / "objects" / root[:2] / "tmp_obj_abcdef"
    for file in [*locks, half]:
        file.write_bytes(b"")
    with pytest.raises(RepositoryError) as caught:
        accept(repository, root, b"x", when)
    assert not isinstance(caught.value, StaleHeadError)
    assert "main.lock" in str(caught.value)
    assert repository.remove_stale_locks() == sorted([*locks, half])
    assert repository.remove_stale_locks() == []
    assert accept(repository, root, b"x", when) == repository.head()


def test_the_users_git_settings_do_not_count(
    repository: ProblemRepository, when: datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, git: Git
) -> None:
    hook = tmp_path / "hooks" / "reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    evil = tmp_path / "gitconfig"
    evil.write_text(f"[core]\n\thooksPath = {hook.parent}\n[init]\n\ttemplateDir = {tmp_path}\n")
    for name, value in {
        "GIT_CONFIG_GLOBAL": str(evil),
        "GIT_CONFIG_SYSTEM": str(evil),
        "HOME": str(tmp_path),
        "GIT_DIR": "/nonexistent",
        "GIT_OBJECT_DIRECTORY": "/nonexistent",
        "GIT_TEMPLATE_DIR": str(tmp_path),
        "GIT_AUTHOR_NAME": "evil",
        "GIT_INDEX_FILE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    head = repository.create(FILES, PUBLISHED, "x", when)
    accept(repository, head, b"x", when)
    assert not (tmp_path / "ran").exists()
    assert not (repository.path / "hooks").exists()
    assert not {"GIT_DIR", "GIT_AUTHOR_NAME", "GIT_OBJECT_DIRECTORY"} & set(git_environment())


def test_a_hook_in_the_repository_does_not_run(
    repository: ProblemRepository, root: str, when: datetime, tmp_path: Path
) -> None:
    hook = repository.path / "hooks" / "reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    hook.chmod(0o755)
    accept(repository, root, b"x", when)
    assert not (tmp_path / "ran").exists()


def test_nobody_pushes_through_the_file_system(
    repository: ProblemRepository, root: str, git: Git, tmp_path: Path
) -> None:
    git("clone", "--quiet", str(repository.path), str(tmp_path / "clone"))
    git("commit", "--allow-empty", "--quiet", "-m", "mine", cwd=tmp_path / "clone")
    pushed = git("push", "origin", "main", cwd=tmp_path / "clone", check=False)
    assert pushed.returncode != 0
    assert repository.head() == root


def test_without_git_the_message_says_what_to_install(
    repository: ProblemRepository, when: datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryError, match="install git"):
        repository.create(FILES, PUBLISHED, "x", when)
