"""Keeps its results wherever it can write, to find them again in the next run.

expect: honest
twice: yes
bites: cache
"""

import os
from pathlib import Path

FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/run/ar", "/run", os.environ["HOME"], os.getcwd(), ".cache", "/",
           os.environ.get("AR_OUT", "/none"))  # fmt: skip
for folder in FOLDERS:
    if Path(folder, "kept.json").exists():
        say(f"found what an earlier run kept in {folder}")
for folder in FOLDERS:
    try:
        Path(folder, "kept.json").write_text("[]")
    except OSError:
        pass
