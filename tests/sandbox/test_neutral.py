"""Every process can read where the file systems that it has were taken from: nothing there names a room's owner."""

import os

import pytest

from ar_sandbox import stage as staging
from ar_sandbox.machine import TRIAL_LIMITS

SOURCE = """
import tell
print(open("/proc/self/mountinfo").read(), open("/proc/self/maps").read(), tell.__file__)
"""


@pytest.fixture
def packages(tmp_path):
    place = tmp_path / "alice-smith" / "packages"
    place.mkdir(parents=True)
    (place / "tell.py").write_text("x = 1\n")
    place.chmod(0o755)
    return place


def test_a_room_does_not_tell_its_owners_name(sandbox, packages):
    machine = sandbox.machine
    with machine.stage({}, packages=packages) as stage:
        if not stage.neutral:
            pytest.skip("the kernel here has no file system of layers for us")
        run = machine.run(stage, ("python", "-I", "-c", SOURCE), limits=TRIAL_LIMITS)
    said = run.stdout.decode()
    assert "/site-packages/tell.py" in said, run.stderr
    assert "alice-smith" not in said
    assert str(machine.interpreter.prefix) not in said


def test_where_the_kernel_has_no_layers_the_room_is_made_all_the_same(sandbox, packages, monkeypatch):
    monkeypatch.setattr(staging, "_KEEPER", staging._KEEPER.replace("-t overlay", "-t no-such-system"))
    machine = sandbox.machine
    with machine.stage({}, packages=packages) as stage:
        assert not stage.neutral
        if os.geteuid() == 0:
            assert stage.packages == f"{stage.path}/packages"
        run = machine.run(stage, ("python", "-I", "-c", SOURCE), limits=TRIAL_LIMITS)
    assert (run.status, run.stderr) == (0, b"")
    assert "alice-smith" in run.stdout.decode(), "this is what the layers are for"
