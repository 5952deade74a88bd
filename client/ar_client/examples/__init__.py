"""The problems that ``ar-pool init`` writes, one folder for each kind, as they are.

Not here: checking and publishing them.
"""

import re
from importlib import resources
from pathlib import Path, PurePosixPath

from ar_core.errors import PoolError
from ar_core.problem import MANIFEST_NAME

_TEMPLATES = {
    "data": ("problem.toml", "program.md", "points.json", "score.py"),
    "artifact": (
        "problem.toml", "program.md", "train.py", "score.py", "data/train.csv", "data/validation.csv",
        "hidden/test.csv",
    ),
    "service": ("problem.toml", "program.md", "policy.py", "serve.py", "score.py", "hidden/seed.txt"),
}  # fmt: skip
_TEMPLATE_NAME = 'name = "my-problem"'


def example_files(folder_name: str, kind: str) -> tuple[str, dict[str, bytes]]:
    """Return a problem's name, made from its folder's, and its files (path to content)."""
    name = problem_name(folder_name)
    source = resources.files(__name__) / kind
    files = {path: source.joinpath(*PurePosixPath(path).parts).read_bytes() for path in _TEMPLATES[kind]}
    manifest = files[MANIFEST_NAME].decode("utf-8")
    files[MANIFEST_NAME] = manifest.replace(_TEMPLATE_NAME, f'name = "{name}"', 1).encode("utf-8")
    return name, files


def problem_name(folder_name: str) -> str:
    """Return a name out of a-z, 0-9 and -, with 3 to 64 characters, as near to ``folder_name`` as can be."""
    name = re.sub(r"[^a-z0-9]+", "-", folder_name.lower()).strip("-")[:64].strip("-")
    return name if len(name) >= 3 else "my-problem"


def write_example(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files below ``folder``; raises ``PoolError`` AR-A106, before writing any, where one exists."""
    for path in sorted(files):
        if (folder / path).exists() or (folder / path).is_symlink():
            raise PoolError("AR-A106", f"{folder / path} exists already", hint="choose an empty or new folder")
    try:
        for path, data in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(data)
    except OSError as error:
        raise PoolError("AR-A106", f"{error.filename or folder}: {error.strerror}") from None
