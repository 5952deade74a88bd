"""Choosing the sandbox of this machine, and refusing clearly where there is none."""

import os
import shutil
import stat

import pytest

from ar_core.errors import Exit, PoolError
from ar_sandbox.environment import base_interpreter, satisfies
from ar_sandbox.rooms import Sandbox


def test_refused_without_bubblewrap(tmp_path):
    for path in ("", str(tmp_path)):
        with pytest.raises(PoolError) as caught:
            Sandbox.detect(path)
        assert caught.value.code == "AR-S500"
        assert caught.value.exit_code == Exit.NO_SANDBOX
        assert "apt-get install -y bubblewrap" in caught.value.hint


def test_path_is_used_by_default(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PoolError, match="bubblewrap"):
        Sandbox.detect()


def test_never_from_the_current_directory(tmp_path, monkeypatch):
    planted = tmp_path / "bwrap"
    planted.write_text("#!/bin/sh\nexit 0\n")
    planted.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for path in (".", "", str(tmp_path), f".{os.pathsep}{tmp_path}"):
        with pytest.raises(PoolError, match="not on PATH"):
            Sandbox.detect(path)


def test_a_bubblewrap_that_fails_is_refused_with_what_it_said(tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    broken.chmod(0o755)
    tmp_path.chmod(tmp_path.stat().st_mode | stat.S_IXOTH)
    with pytest.raises(PoolError) as caught:
        Sandbox.detect(str(tmp_path))
    assert caught.value.code == "AR-S500"


def test_name(sandbox):
    assert sandbox.name == "bubblewrap"
    assert shutil.which("bwrap")


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ((3, 11, 7), ">=3.11", True),
        ((3, 11, 7), ">=3.12", False),
        ((3, 12, 0), ">=3.11,<3.12", False),
        ((3, 11, 7), "==3.11", True),
        ((3, 11, 7), ">3.11", False),
        ((3, 11, 7), "<=3.11", True),
        ((3, 11, 7), "!=3.11", False),
        ((3, 11, 7), "<4", True),
    ],
)
def test_versions(version, wanted, fits):
    assert satisfies(version, wanted) is fits


def test_an_unreadable_version():
    with pytest.raises(ValueError, match="not a version"):
        satisfies((3, 11, 0), "~=3.11")


def test_python_in_the_room_is_ours(seen):
    found = seen("print(json.dumps([list(sys.version_info[:3]), sys.prefix, sys.flags.isolated]))")
    assert tuple(found[0]) == base_interpreter().version
    assert found[1] in {"/python", "/usr", "/usr/local"}
