"""Environments on disk: made once, whole or not at all, shared, and removed when others need the place."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from ar_core.errors import PoolError
from ar_sandbox.environment_build import PACKAGES, build
from ar_sandbox.environment_cache import Environment, EnvironmentCache
from ar_sandbox.rooms import Outcome, RunSeeds, Sandbox

SECONDS = 100
SEEDS = RunSeeds(run=1, scorer=2)
NEEDS = '[environment]\nrequirements = "requirements.txt"'
# Another process that uses an environment, says so, and goes on until its input ends.
USER = """
import sys
from pathlib import Path
from ar_sandbox.rooms import Sandbox
sandbox = Sandbox.detect(environments=Path(sys.argv[1]))
print("ready", flush=True)
with sandbox.environments.use(Path(sys.argv[2]).read_bytes()) as environment:
    print(environment.packages, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home / "environments"


@pytest.fixture
def cache(sandbox: Sandbox, base: Path) -> EnvironmentCache:
    return EnvironmentCache(base, partial(build, sandbox.machine))


def whole(base: Path) -> list[str]:
    """The environments that are there; nothing half made or half removed may lie beside them."""
    names = [path.name for path in base.iterdir() if path.suffix != ".lock"]
    assert all(len(name) == 64 for name in names), names
    return sorted(names)


@pytest.fixture
def user(base: Path, tmp_path: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Start a process that uses the environment of a requirements file; it has found its sandbox already."""
    started: list[subprocess.Popen[str]] = []

    def start(lines: str) -> "subprocess.Popen[str]":
        file = tmp_path / f"{len(started)}.txt"
        file.write_text(lines)
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(base), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_problems_with_the_same_packages_share_them(package_index: Any, base: Path, folder: Any) -> None:
    sandbox = Sandbox.detect(environments=base)
    line = package_index.wheel("demo", {"demo.py": "VALUE = 7\n"})
    for text, score in (
        (line, "print('x:', __import__('demo').VALUE)"),
        (f"# others\n{line}", "import demo; print('x: 8')"),
    ):
        prepared = folder(score=score, more=NEEDS, others={"requirements.txt": text.encode()}).prepared()
        assert sandbox.evaluate(prepared, b"1", SEEDS).outcome is Outcome.OK
    assert package_index.fetched() == ["demo-1.0-py3-none-any.whl"]
    assert len(whole(base)) == 1


def test_those_not_used_for_longest_go_first_and_never_one_in_use(
    package_index: Any, sandbox: Sandbox, base: Path
) -> None:
    size = 200_000
    cache = EnvironmentCache(base, partial(build, sandbox.machine), max_bytes=3 * size + 150_000)
    lines = [package_index.wheel(f"demo{n}", {f"demo{n}.py": "", "data": os.urandom(size)}) for n in range(5)]
    used: dict[int, Environment] = {}

    def use(number: int) -> str:
        used[number] = cache.use(lines[number].encode())
        return used[number].packages.parent.name

    names = [use(0), use(1), use(2)]
    used[0].close()
    used[2].close()
    lock = base / f"{names[0]}.lock"
    os.utime(lock, (lock.stat().st_mtime + 60,) * 2)  # the first was used again a minute later
    names.append(use(3))
    assert whole(base) == sorted([names[0], names[1], names[3]]), "the third was not used for longest"
    names.append(use(4))
    assert whole(base) == sorted([names[1], names[3], names[4]]), "the second is in use, and so is the fourth"
    for environment in used.values():
        environment.close()
    fetched = len(package_index.fetched())
    assert use(1) == names[1]
    assert len(package_index.fetched()) == fetched
    assert use(2) == names[2]
    assert len(package_index.fetched()) == fetched + 1
    used[1].close()
    used[2].close()


def test_an_unreadable_size_is_counted_again(package_index: Any, sandbox: Sandbox, base: Path) -> None:
    cache = EnvironmentCache(base, partial(build, sandbox.machine), max_bytes=500_000)
    data = os.urandom(200_000)
    with cache.use(package_index.wheel("demo", {"demo.py": "", "data": data}).encode()) as environment:
        size = environment.packages.parent / "bytes"
        for number, said in enumerate(("", "many", "-5", "9" * 5000, None)):
            size.unlink() if said is None else size.write_text(said)
            cache.use(package_index.wheel(f"small{number}", {"small.py": ""}).encode()).close()
            assert len(whole(base)) == 2 + number, "together they are small enough"
    cache.use(package_index.wheel("third", {"third.py": "", "data": data}).encode()).close()
    assert environment.packages.parent.name not in whole(base), "the first was not used for longest"


def test_empty_files_and_folders_take_a_place_too(package_index: Any, sandbox: Sandbox, base: Path) -> None:
    cache = EnvironmentCache(base, partial(build, sandbox.machine))
    names = {f"demo/{one}/a/b/c/empty": "" for one in range(50)}
    with cache.use(package_index.wheel("demo", names).encode()) as environment:
        counted = int((environment.packages.parent / "bytes").read_text())
    assert counted > 50 * 5 * 4096


def test_what_cannot_be_removed_does_not_spoil_a_new_one(package_index: Any, sandbox: Sandbox, base: Path) -> None:
    old = base / ("0" * 64)
    (old / PACKAGES).mkdir(parents=True)
    (old / "bytes").write_text("5")
    in_the_way = base / f".going-{old.name}"
    in_the_way.write_text("a file, so that nothing can be moved there")
    cache = EnvironmentCache(base, partial(build, sandbox.machine), max_bytes=1)
    with cache.use(package_index.wheel("demo", {"demo.py": ""}).encode()) as environment:
        assert (environment.packages / "demo.py").is_file()
    assert old.is_dir()
    in_the_way.unlink()
    with cache.use(package_index.wheel("other", {"other.py": ""}).encode()):
        assert len(whole(base)) == 1


def test_a_limit_below_one_environment_keeps_the_newest(package_index: Any, sandbox: Sandbox, base: Path) -> None:
    cache = EnvironmentCache(base, partial(build, sandbox.machine), max_bytes=1)
    for number in range(2):
        line = package_index.wheel(f"demo{number}", {f"demo{number}.py": "VALUE = 1\n"})
        with cache.use(line.encode()) as environment:
            assert (environment.packages / f"demo{number}.py").is_file()
        assert len(whole(base)) == 1


def test_two_processes_at_once_make_it_once(
    package_index: Any, base: Path, user: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    line = package_index.wheel("demo", {"demo.py": ""})
    package_index.held.clear()
    both = [user(line), user(line)]
    assert package_index.waiting.wait(SECONDS)
    package_index.held.set()
    assert len({answer(process) for process in both}) == 1
    assert package_index.fetched() == ["demo-1.0-py3-none-any.whl"]
    assert len(whole(base)) == 1


def test_two_threads_at_once_make_it_once(package_index: Any, cache: EnvironmentCache, base: Path) -> None:
    line = package_index.wheel("demo", {"demo.py": ""})
    package_index.held.clear()
    found: list[str] = []

    def use() -> None:
        with cache.use(line.encode()) as environment:
            found.append(str(environment.packages))

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert package_index.waiting.wait(SECONDS)
    package_index.held.set()
    for thread in threads:
        thread.join(SECONDS)
    assert len(found) == 2
    assert len(set(found)) == 1
    assert package_index.fetched() == ["demo-1.0-py3-none-any.whl"]


def test_a_process_that_is_killed_in_the_middle_leaves_nothing_that_matters(
    package_index: Any, cache: EnvironmentCache, base: Path, user: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    line = package_index.wheel("demo", {"demo.py": "VALUE = 1\n"})
    other = package_index.wheel("other", {"other.py": "VALUE = 1\n"})
    package_index.held.clear()
    process = user(line)
    assert package_index.waiting.wait(SECONDS)
    pips = psutil.Process(process.pid).children(recursive=True)
    assert pips
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert psutil.wait_procs(pips, timeout=SECONDS)[1] == [], "what it had started ends with it"
    assert list(base.glob(".making-*"))
    package_index.held.set()
    with cache.use(other.encode()):
        # Whoever makes one tidies up behind the dead.
        assert len(whole(base)) == 1
    with cache.use(line.encode()) as environment:
        assert (environment.packages / "demo.py").is_file()
    assert len(whole(base)) == 2


def test_the_same_environment_is_made_again_where_somebody_was_killed_making_it(
    package_index: Any, cache: EnvironmentCache, base: Path, user: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    line = package_index.wheel("demo", {"demo.py": "VALUE = 1\n"})
    package_index.held.clear()
    process = user(line)
    assert package_index.waiting.wait(SECONDS)
    process.kill()
    process.wait()
    package_index.held.set()
    with cache.use(line.encode()) as environment:
        assert (environment.packages / "demo.py").is_file()
    assert len(whole(base)) == 1


def test_what_another_process_uses_stays(
    package_index: Any, sandbox: Sandbox, base: Path, user: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    used = Path(answer(user(package_index.wheel("demo", {"demo.py": ""}))))
    cache = EnvironmentCache(base, partial(build, sandbox.machine), max_bytes=1)
    cache.use(package_index.wheel("other", {"other.py": ""}).encode()).close()
    assert (used / "demo.py").is_file()
    assert len(whole(base)) == 2


def test_making_one_can_be_stopped_and_leaves_nothing(
    package_index: Any, cache: EnvironmentCache, base: Path
) -> None:
    line = package_index.wheel("demo", {"demo.py": ""})
    package_index.held.clear()
    before = psutil.Process().children(recursive=True)

    class StoppedError(Exception):
        pass

    def going_on() -> None:
        if package_index.waiting.is_set():
            raise StoppedError

    with pytest.raises(StoppedError):
        cache.use(line.encode(), going_on=going_on)
    assert whole(base) == []
    assert [p for p in psutil.Process().children(recursive=True) if p not in before] == []


def test_a_folder_that_cannot_be_written_is_said(package_index: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = EnvironmentCache(tmp_path / "file" / "environments", partial(build, sandbox.machine))
    with pytest.raises(PoolError) as caught:
        cache.use(package_index.wheel("demo", {"demo.py": ""}).encode())
    assert caught.value.code == "AR-S503"
    assert str(tmp_path) not in caught.value.detail, "a pool may be told this"
