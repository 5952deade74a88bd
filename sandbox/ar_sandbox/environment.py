"""Which ``python`` a room has: the interpreter that runs us, its standard library, and no package of this machine.

Not here: the packages that a problem requires (``environment_build``, ``environment_cache``). Where there are some,
the room's ``python`` is that of a virtual environment with exactly these: the standard library comes first, and
``python -I`` has them too.
"""

import functools
import re
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

BIN = "/ar/bin"
"""The folder in every room that has ``python`` and ``python3``; first on its PATH."""
SEARCH_PATH = f"{BIN}:/usr/local/bin:/usr/bin:/bin"
VENV, VENV_SETTINGS = "/ar", "pyvenv.cfg"
"""The virtual environment of a room whose problem requires packages, and the file that makes it one."""
PREFIX = "/python"
"""Where ``Interpreter.prefix`` is in every room: a neutral place, that does not tell its owner's name."""
_CLAUSE = re.compile(r"^\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+){0,2})\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python as a room sees it."""

    executable: str
    """Path inside the room."""
    prefix: Path | None
    """The folder here that has to be bound into the room; ``None`` where /usr has it already."""
    libraries: str
    """The folder inside the room of its shared library, which it would look for where it was built; or empty."""
    masked: tuple[str, ...]
    """Folders inside the room that are covered, so that only the standard library can be imported."""
    version: tuple[int, int, int]

    @property
    def packages(self) -> str:
        """The folder inside a room where its virtual environment has its packages."""
        return f"{VENV}/lib/python{self.version[0]}.{self.version[1]}/site-packages"

    @property
    def venv_settings(self) -> bytes:
        """What makes ``/ar`` a virtual environment of this interpreter."""
        return f"home = {self.executable.rpartition('/')[0]}\ninclude-system-site-packages = false\n".encode()


@functools.cache
def base_interpreter() -> Interpreter:
    """Return the interpreter below the virtual environment (if any) that runs this process."""
    prefix = Path(sys.base_prefix).resolve()
    # A virtual environment's launcher is a link, or a copy whose original is named by the interpreter itself.
    executable = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    if not executable.is_relative_to(prefix):
        executable = prefix / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    version = sys.version_info[:3]
    library = f"lib/python{version[0]}.{version[1]}"
    if prefix.is_relative_to("/usr"):
        folders = [
            f"{prefix}/{library}/site-packages",
            f"/usr/local/{library}/site-packages",
            f"/usr/local/{library}/dist-packages",
            "/usr/lib/python3/dist-packages",
        ]
        masked = tuple(dict.fromkeys(folder for folder in folders if Path(folder).is_dir()))
        return Interpreter(executable=str(executable), prefix=None, masked=masked, libraries="", version=version)
    packages = f"{PREFIX}/{library}/site-packages"
    return Interpreter(
        executable=f"{PREFIX}/{executable.relative_to(prefix)}",
        prefix=prefix,
        masked=(packages,) if (prefix / library / "site-packages").is_dir() else (),
        libraries=f"{PREFIX}/lib" if sysconfig.get_config_var("Py_ENABLE_SHARED") else "",
        version=version,
    )


def satisfies(version: tuple[int, int, int], wanted: str) -> bool:
    """Tell whether ``version`` fits ``wanted`` (``>=3.11``, ``>=3.11,<4``); raises ``ValueError`` if unreadable."""
    for clause in wanted.split(","):
        match = _CLAUSE.match(clause)
        if match is None:
            raise ValueError(f'{wanted!r} is not a version of Python; write it like ">=3.11"')
        parts = tuple(int(part) for part in match.group(2).split("."))
        have = version[: len(parts)]
        fits = {
            ">=": version >= parts, ">": have > parts, "<=": have <= parts,
            "<": version < parts, "==": have == parts, "!=": have != parts,
        }  # fmt: skip
        if not fits[match.group(1)]:
            return False
    return True
