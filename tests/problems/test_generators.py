"""The generators: repeatable from a seed, different without one, and never needed by a score."""

import random
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

GALLERY = Path(__file__).resolve().parents[2] / "problems"


def generate(name: str, into: Path, *seed: str) -> dict[str, bytes]:
    command = [sys.executable, "-B", str(GALLERY / name / "hidden" / "generate.py"), "--into", str(into), *seed]
    subprocess.run(command, check=True, env={}, timeout=60)
    return {path.relative_to(into).as_posix(): path.read_bytes() for path in into.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["api-latency", "bin-packing", "sorting-comparisons", "zlib-dictionary"])
def test_a_seed_repeats_its_data_and_no_seed_never_does(name: str, tmp_path: Path) -> None:
    first = generate(name, tmp_path / "first", "--seed", "spring")
    assert first == generate(name, tmp_path / "again", "--seed", "spring")
    secret = generate(name, tmp_path / "secret")
    shipped = {path: (GALLERY / name / path).read_bytes() for path in first}
    assert first.keys() == secret.keys() == shipped.keys()
    for path in first:
        assert len({first[path], secret[path], shipped[path], secret[path.replace("data/", "hidden/")]}) >= 3


def test_letters_repeat_and_have_the_promised_shape() -> None:
    module = runpy.run_path(str(GALLERY / "tiny-classifier" / "hidden" / "generate.py"), run_name="imported")
    images = module["alphabet"](random.Random("spring"))
    assert images == module["alphabet"](random.Random("spring"))
    assert {folder: len(rows) for folder, rows in images.items()} == {
        "data/train": 160,
        "data/validation": 120,
        "hidden": 320,
    }
    assert all(len(pixels) == 64 and pixels.isdecimal() for rows in images.values() for _, pixels in rows)
    hits = module["nearest_mean_hits"](images["data/train"], images["hidden"])
    assert module["HARDEST"] <= hits <= module["EASIEST"]
