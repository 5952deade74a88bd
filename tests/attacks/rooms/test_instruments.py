"""The instruments of these tests: who calls is counted, what is left is seen, and the table ends with an error."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
LINE = {"row": 1, "title": "t", "kind": "data", "backend": "b", "verdict": "v", "seconds": 0.1}


def test_who_calls_is_counted_once(host: Any) -> None:
    tcp, udp, abstract = host.listeners
    assert host.connections() == 0
    for address, kind, family in (
        (tcp.getsockname(), socket.SOCK_STREAM, socket.AF_INET),
        (udp.getsockname(), socket.SOCK_DGRAM, socket.AF_INET),
        (abstract.getsockname(), socket.SOCK_STREAM, socket.AF_UNIX),
    ):
        with socket.socket(family, kind) as caller:
            caller.connect(address)
            caller.send(b"x")
    assert host.connections() == 3
    assert host.connections() == 0


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ({}, 0, "0 forged, 0 host files read, 0 network connections, 0 processes left, 0 pools harmed"),
        ({"forged": True, "read": 2, "connections": 3, "left": 4, "harmed": True}, 1,
         "1 forged, 2 host files read, 3 network connections, 4 processes left, 1 pools harmed"),
    ],
    ids=["nothing", "everything"],
)  # fmt: skip
def test_the_table_ends_with_an_error_unless_all_is_zero(
    more: dict[str, int], code: int, said: str, tmp_path: Path
) -> None:
    test = f"def test_x(request):\n    request.node.user_properties.append(('attack', {LINE | more!r}))\n"
    (tmp_path / "test_x.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, "-p", "tests.attacks.table", "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert f"1 rows: {said}\n" in done.stdout
