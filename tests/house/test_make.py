"""The Makefile and its scripts: help, when the environment is made again, system packages, package index."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROMISED = {"setup", "demo", "check", "test", "attacks", "bench", "proto", "proto-check", "fmt", "clean"}
PROMISED |= {"lock", "help"}


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one program with no input; nothing of an outer make leaks into it."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean if env is None else env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_make_alone_prints_what_there_is(root: Path) -> None:
    done = run("make", cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[1] for line in done.stdout.splitlines()} == PROMISED


def test_continuous_integration_calls_make_and_nothing_else(root: Path) -> None:
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "exec make check test </dev/null"]


def test_every_script_parses_and_can_be_run(root: Path) -> None:
    for script in sorted((root / "deploy").glob("*.sh")):
        shell = "sh" if script.read_text().startswith("#!/bin/sh") else "bash"
        assert run(shell, "-n", script, cwd=root).returncode == 0, script.name
        sourced = not script.read_text().startswith("#!")
        assert os.access(script, os.X_OK) != sourced, script.name


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A copy of what decides about the environment, with the mark that one was made here."""
    for name in ("deploy", "requirements"):
        shutil.copytree(root / name, tmp_path / name)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(root / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".made-in").write_text(f"{tmp_path}\n")
    return tmp_path


def would_make_environment(checkout: Path) -> bool:
    done = run("make", "--dry-run", "setup", cwd=checkout)
    assert done.returncode == 0, done.stderr
    return "make-environment.sh" in done.stdout


def test_setup_does_nothing_when_nothing_changed(checkout: Path) -> None:
    assert not would_make_environment(checkout)


@pytest.mark.parametrize("changed", ["requirements/dev.lock", "requirements/setup.lock", "pyproject.toml"])
def test_setup_follows_what_it_reads(checkout: Path, changed: str) -> None:
    stamp = (checkout / ".venv" / ".made-in").stat()
    os.utime(checkout / changed, (stamp.st_atime + 10, stamp.st_mtime + 10))
    assert would_make_environment(checkout)


def test_setup_remakes_an_environment_that_was_moved(checkout: Path) -> None:
    (checkout / ".venv" / ".made-in").write_text("/elsewhere\n")
    assert would_make_environment(checkout)


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The variables of a machine that has every program we need; a test takes away what it wants missing."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bwrap", "git", "ssh-keygen", "prlimit", "setpriv", "unshare", "chromium"):
        program(programs / name, "exit 0")
    program(programs / "id", "echo 1000")
    for name in ("env", "cat"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return {"PATH": str(programs), "PYTHON": sys.executable}


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def install(root: Path, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return run(root / "deploy" / "install-system-packages.sh", *options, cwd=root, env=env)


def apt(programs: Path, *, knows: str, after_update: bool = False) -> Path:
    """An apt-get that installs `knows`, at once or only after an update; returns the record of its calls."""
    record = programs.parent / "apt"
    ready = programs.parent / "updated"
    if not after_update:
        ready.touch()
    chmod = shutil.which("chmod")
    program(
        programs / "apt-get",
        f"""echo "$*" >>{record}
case "$*" in
*update*) : >{ready} ;;
*install*) [ -e {ready} ] || exit 100; : >{programs}/{knows}; {chmod} 755 {programs}/{knows} ;;
esac""",
    )
    return record


def test_a_machine_that_has_everything_is_left_alone(root: Path, bare: dict[str, str]) -> None:
    done = install(root, bare, "--browser")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_ordinary_user_gets_the_one_line_to_run(root: Path, bare: dict[str, str]) -> None:
    programs = Path(bare["PATH"])
    (programs / "bwrap").unlink()
    record = apt(programs, knows="bwrap")
    done = install(root, bare)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "sudo apt-get update && sudo apt-get install -y bubblewrap" in done.stderr
    assert not record.exists()


def test_a_machine_without_apt_is_told_the_names(root: Path, bare: dict[str, str]) -> None:
    for name in ("git", "ssh-keygen"):
        (Path(bare["PATH"]) / name).unlink()
    done = install(root, bare)
    assert done.returncode == 1
    assert "git openssh-client" in done.stderr


@pytest.mark.parametrize("after_update", [False, True])
def test_root_installs_and_updates_only_when_it_must(root: Path, bare: dict[str, str], after_update: bool) -> None:
    programs = Path(bare["PATH"])
    program(programs / "id", "echo 0")
    (programs / "bwrap").unlink()
    record = apt(programs, knows="bwrap", after_update=after_update)
    done = install(root, bare)
    assert done.returncode == 0, done.stderr
    calls = record.read_text().splitlines()
    assert ["update" in call for call in calls] == ([False, True, False] if after_update else [False])
    assert calls[-1].endswith("bubblewrap")


def test_sudo_is_used_only_if_it_asks_nothing(root: Path, bare: dict[str, str]) -> None:
    programs = Path(bare["PATH"])
    (programs / "bwrap").unlink()
    record = apt(programs, knows="bwrap")
    program(programs / "sudo", 'case "$1" in -n) shift; exec "$@" ;; esac; exit 1')
    program(programs / "true", "exit 0")
    done = install(root, bare)
    assert done.returncode == 0, done.stderr
    assert record.read_text().endswith("bubblewrap\n")


def test_going_without_a_browser_is_allowed(root: Path, bare: dict[str, str]) -> None:
    (Path(bare["PATH"]) / "chromium").unlink()
    done = install(root, bare, "--browser")
    assert done.returncode == 0
    assert "tests/browser will be skipped" in done.stderr
    assert "chromium" in done.stderr


@pytest.fixture
def pip_configuration(root: Path, tmp_path: Path) -> dict[str, str]:
    """The variables of a user whose pip has an index, two more, and two folders of wheels, one gone."""
    if not (root / ".venv-setup" / "bin" / "uv").exists():
        pytest.skip("make setup was not used for this environment")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (tmp_path / "pip.conf").write_text(
        "[global]\n"
        "index-url = https://index.example/all\n"
        "extra-index-url = https://more.example/a\n    https://more.example/b\n"
        f"find-links = {wheels} {tmp_path}/gone\n"
    )
    keep = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return {**keep, "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PYTHON": sys.executable}


def uv_settings(root: Path, env: dict[str, str]) -> dict[str, str]:
    """What uv is told: the UV_* variables after its configuration from pip's."""
    script = "set -euo pipefail; . deploy/uv.sh; use_pips_other_sources; env"
    done = run("bash", "-c", script, cwd=root, env=env)
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^(UV_\w+)=(.*)$", done.stdout, re.MULTILINE))


def test_uv_uses_the_index_that_pip_uses(root: Path, pip_configuration: dict[str, str], tmp_path: Path) -> None:
    told = uv_settings(root, pip_configuration)
    assert told["UV_DEFAULT_INDEX"] == "https://index.example/all"
    assert told["UV_INDEX"] == "https://more.example/a https://more.example/b"
    assert told["UV_FIND_LINKS"] == str(tmp_path / "wheels")


def test_a_variable_of_pip_wins_over_its_file(root: Path, pip_configuration: dict[str, str]) -> None:
    told = uv_settings(root, {**pip_configuration, "PIP_INDEX_URL": "https://variable.example/all"})
    assert told["UV_DEFAULT_INDEX"] == "https://variable.example/all"


def test_what_uv_was_told_by_its_user_stays(root: Path, pip_configuration: dict[str, str]) -> None:
    told = uv_settings(root, {**pip_configuration, "UV_INDEX_URL": "https://mine.example/all"})
    assert "UV_DEFAULT_INDEX" not in told
