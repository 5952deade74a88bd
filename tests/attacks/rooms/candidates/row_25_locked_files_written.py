"""Writes to the locked files, renames, links and replaces them, by every name that they have.

expect: honest
"""

import os
from pathlib import Path

for folder in (".", "/problem", "/problem/../problem", "/proc/self/cwd", "/proc/1/root/problem", "/candidate"):
    for name in ("score.py", "inputs.json", "make.py", "serve.py", "problem.toml"):
        path = Path(folder, name)
        for action in (
            lambda path: path.chmod(0o666),
            lambda path: path.write_text("print('points: 999')\n"),
            lambda path: path.unlink(),
            lambda path: path.rename(f"{path}.old"),
            lambda path: path.symlink_to("/tmp/evil"),
            lambda path: os.truncate(path, 0),
        ):
            try:
                action(path)
            except OSError:
                pass
