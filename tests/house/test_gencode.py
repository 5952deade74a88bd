"""The generated protocol code, as the runtime that is installed loads it."""

import subprocess
import sys
from pathlib import Path


def test_the_generated_code_loads_silently(root: Path) -> None:
    folder = root / "proto" / "ar_proto" / "v1"
    modules = sorted(f"ar_proto.v1.{path.stem}" for path in folder.glob("*_pb2*.py"))
    assert modules
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {', '.join(modules)}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_proto_has_its_typed_code_and_nothing_else_is_left(root: Path) -> None:
    folder = root / "proto" / "ar_proto" / "v1"
    sources = {path.stem for path in folder.glob("*.proto")}
    for suffix in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi"):
        assert {path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}")} == sources, suffix
