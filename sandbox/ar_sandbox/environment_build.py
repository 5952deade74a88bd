"""Making the folder of packages that a problem's requirements name: fetched by pip, checked and unpacked by us.

Not here: where it is kept and for how long (``environment_cache``). No code of a package runs: pip only downloads,
wheels only, with the owner's settings for the package index and nobody else's; wheels are plain archives
(``wheels``); and Python's bytecode is made in a room.
"""

import contextlib
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

from ar_core import text
from ar_core.errors import PoolError
from ar_sandbox.bwrap import Bind
from ar_sandbox.crossing import refused
from ar_sandbox.machine import Machine
from ar_sandbox.policy import MIB, Limits
from ar_sandbox.requirements import Requirement, Requirements
from ar_sandbox.supervisor import End
from ar_sandbox.wheels import PLACE_BYTES, Budget, WheelError, installed, unpack

PACKAGES = "packages"
"""The folder of the packages below the folder of an environment."""
CANNOT, NOT_NOW = "AR-S502", "AR-S503"
"""The codes of a failure that will come again, and of one that may pass."""
MAX_DOWNLOAD = 2 * 1024**3
PIP_MEMORY, PIP_SECONDS = 1024 * MIB, 300
"""Address space and processor time of pip, which reads what a wheel says about itself outside any room."""
_PATIENCE = 900.0
_TICK = 0.1
_LOG_BYTES, _LOG_LINE = 16 * MIB, 1_000
"""What of pip's words is looked at: they quote what strangers wrote, of any length."""
_SETTINGS = (
    "PIP_CONFIG_FILE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_TRUSTED_HOST",
    "PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_KEYRING_PROVIDER", "PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT",
    "PIP_RETRIES", "HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "NETRC", "PATH",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
"""The owner's variables that say where packages come from; pip gets these and no other."""
_ADDRESS = re.compile(r"\S*(?:://|/)\S*")
_PIN = r"(?<![A-Za-z0-9._-])(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;,()]{1,100})"
_UNREACHABLE = re.compile(
    r"Retrying \(|Could not fetch URL (?!.*\b(?:404|410) )|Connection(?:Error| refused| broken)|Max retries"
    r"|Read timed out|HTTP error 5\d\d|No space left|Temporary failure|Name or service"
)
# Pip failed while it read a wheel, however it says that. These are lines of its tracebacks, which it gives for all.
_BAD_WHEEL = re.compile(
    r"^ *(?:File \".*/(?:zipfile(?:/__init__)?|pip/_internal/metadata/[\w/]+)\.py\", line"
    r"|pip\._internal\.exceptions\.[\w.]*(?:UnsupportedWheel|InvalidWheel|MetadataInvalid|MetadataInconsistent)\b)",
    re.MULTILINE,
)
_NO_REQUIREMENT = re.compile(
    r"^ERROR: Invalid requirement|^ *File \".*/packaging/(?:markers|requirements|_parser|_tokenizer)\.py\", line",
    re.MULTILINE,
)
_NO_MEMORY = re.compile(r"^ *MemoryError\b|Cannot allocate memory", re.MULTILINE)
# It ends with us, however we end, and the kernel keeps its files, its memory and (by SIGXCPU) its processor time.
_PIP = """\
import ctypes, os, resource, runpy, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
def limit(kind, most, later=0):
    had = resource.getrlimit(kind)[1]
    hard = most + later if had == resource.RLIM_INFINITY else min(most + later, had)
    resource.setrlimit(kind, (min(most, hard), hard))
limit(resource.RLIMIT_CORE, 0)
limit(resource.RLIMIT_FSIZE, int(sys.argv[2]))
limit(resource.RLIMIT_AS, int(sys.argv[3]))
limit(resource.RLIMIT_CPU, int(sys.argv[4]), 5)
sys.argv[:5] = ["pip"]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
# Made without running what is compiled: sources are read, and their bytecode goes into one archive.
_COMPILER = """\
import os, py_compile, sys, zipfile
top = sys.argv[1]
with zipfile.ZipFile("/out/bytecode.zip", "w") as made:
    for folder, below, names in os.walk(top):
        below.sort()
        for name in sorted(names):
            if not name.endswith(".py"):
                continue
            source = os.path.join(folder, name)
            try:
                py_compile.compile(source, "/tmp/one", doraise=True,
                                   invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
                data = open("/tmp/one", "rb").read()
            except Exception:
                continue
            at = f"{os.path.relpath(folder, top)}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc"
            made.writestr(at.removeprefix("./"), data)
"""
_COMPILER_LIMITS = Limits(seconds=300, cpus=1, memory=1024 * MIB, disk=256 * MIB, processes=16, address_space=None)

GoingOn = Callable[[], None]
"""Called again and again while something takes long; ends it by raising."""


def machine_words() -> tuple[str, ...]:
    """Return what decides, beside the requirements, which files an environment has; first our own rules for that."""
    return ("2", sys.implementation.cache_tag or "", sys.abiflags, sysconfig.get_platform(), *platform.libc_ver())


def build(
    machine: Machine, requirements: Requirements, folder: Path, going_on: GoingOn, on_room: Callable[[], None] | None
) -> None:
    """Fill the empty ``folder`` with the packages; raises ``PoolError`` AR-S502 (never possible here) or AR-S503.

    ``on_room`` is called when a room has started, in which nothing of the packages runs, and ``going_on`` when it has
    ended.
    """
    fetched, packages = folder / "fetched", folder / PACKAGES
    for path in (fetched, packages):
        path.mkdir(mode=0o755)
    try:
        _download(requirements, fetched, going_on)
        _unpack_all(requirements, fetched, packages, going_on)
        shutil.rmtree(fetched)
        _add_bytecode(machine, packages, going_on, on_room)
        _close(packages)
    except OSError as error:
        raise PoolError(NOT_NOW, f"the folder for packages: {error.strerror}") from None


def _download(requirements: Requirements, fetched: Path, going_on: GoingOn) -> None:
    """Have pip put one wheel for each package into ``fetched/wheels``."""
    wanted, wheels, temporary = fetched / "requirements.txt", fetched / "wheels", fetched / "tmp"
    wanted.write_text(requirements.text)
    wheels.mkdir()
    temporary.mkdir()
    command = [
        sys.executable, "-I", "-c", _PIP, str(os.getpid()), str(MAX_DOWNLOAD), str(PIP_MEMORY), str(PIP_SECONDS),
        "download", "-vv", "--no-input", "--disable-pip-version-check",
        "--no-color", "--progress-bar", "off", "--no-cache-dir", "--require-hashes", "--no-deps",
        "--only-binary", ":all:", "--dest", str(wheels), "--requirement", str(wanted),
    ]  # fmt: skip
    own = {name: os.environ[name] for name in _SETTINGS if name in os.environ}
    with (fetched / "log").open("w+b") as log:
        variables = {**own, "TMPDIR": str(temporary), "LC_ALL": "C.UTF-8"}
        status = _watched(command, variables, fetched, log.fileno(), going_on)
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_BYTES))  # why it failed is at the end
        lines = log.read(_LOG_BYTES).decode(errors="replace").splitlines()
    if status != 0:
        raise _why(status, "\n".join(line[:_LOG_LINE] for line in lines), requirements)


def _watched(command: list[str], variables: dict[str, str], folder: Path, log: int, going_on: GoingOn) -> int:
    """Run pip until it ends, takes too long or fetches too much; nothing of it is left then."""
    deadline = time.monotonic() + _PATIENCE
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables, cwd=folder,
        close_fds=True, start_new_session=True,
    )  # fmt: skip
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_TICK)
            going_on()
            if time.monotonic() > deadline:
                raise PoolError(NOT_NOW, f"fetching them took longer than {_PATIENCE / 60:g} minutes")
            if bytes_below(folder) > MAX_DOWNLOAD:
                raise PoolError(CANNOT, f"they are more than {MAX_DOWNLOAD >> 30} GiB")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def bytes_below(folder: Path) -> int:
    """Return what a folder takes up with everything below it, of which some may go meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        total += PLACE_BYTES * (1 + len(names))
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # pip moves and removes them meanwhile
                total += Path(place, name).lstat().st_size
    return total


def _why(status: int, said: str, requirements: Requirements) -> PoolError:
    """Return why pip did not get everything, in our words: its own may name the owner's package index."""
    if status == -signal.SIGXCPU:
        return PoolError(CANNOT, f"reading their wheels takes more than {PIP_SECONDS} s of processor time")
    if _NO_MEMORY.search(said):
        return PoolError(CANNOT, f"reading their wheels takes more than {PIP_MEMORY // MIB} MiB of memory")
    if _BAD_WHEEL.search(said):
        return PoolError(CANNOT, "one of their wheels cannot be used: it is damaged, or not the named package")
    if _NO_REQUIREMENT.search(said):
        return PoolError(CANNOT, "pip does not read one of the versions or conditions", hint="correct that file")
    here = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if _UNREACHABLE.search(said):
        return PoolError(NOT_NOW, "this machine's package index did not give them")
    if "File too large" in said:
        return PoolError(CANNOT, f"one of them is larger than {MAX_DOWNLOAD >> 30} GiB")
    if "DO NOT MATCH THE HASHES" in said:
        named = re.search(rf"{_PIN} from", said)
        return PoolError(
            CANNOT, f"the file that the package index has for {_pin(named, requirements)} has another hash",
            hint="make the file of requirements again with `uv pip compile --generate-hashes`",
        )  # fmt: skip
    named = re.search(rf"No matching distribution found for {_PIN}", said) or re.search(
        rf"that satisfies the requirement {_PIN}", said
    )
    if named is not None:
        return PoolError(
            CANNOT,
            f"the package index has no wheel of {_pin(named, requirements)} for {here}; what has to be built is "
            "never installed, because building runs code of the package",
            hint="choose a version that has wheels, and keep the hashes of those for every kind of machine",
        )
    last = next((line for line in reversed(said.splitlines()) if line.startswith("ERROR:")), "pip failed")
    return PoolError(NOT_NOW, text.one_line(_ADDRESS.sub("…", last.removeprefix("ERROR:")), limit=200))


def _pin(named: re.Match[str] | None, requirements: Requirements) -> str:
    """Return the package that pip named as its publisher wrote it."""
    pins = {one.pin for one in requirements.packages}
    if named is None:
        return "a package"
    found = f"{re.sub(r'[-_.]+', '-', named['name']).lower()}=={named['version']}"
    return found if found in pins else "a package"


def _unpack_all(requirements: Requirements, fetched: Path, packages: Path, going_on: GoingOn) -> None:
    by_hash: dict[str, Requirement] = {digest: one for one in requirements.packages for digest in one.hashes}
    budget = Budget()
    for wheel in sorted((fetched / "wheels").iterdir()):
        with wheel.open("rb") as file:
            package = by_hash.get(hashlib.file_digest(file, "sha256").hexdigest())
        if package is None or wheel.suffix != ".whl":
            # Pip has checked both; this is so that nothing depends on that.
            raise PoolError(CANNOT, "the package index gave a file that the requirements do not name")
        try:
            unpack(wheel, packages, budget, going_on=going_on, place=installed)
        except WheelError as error:
            raise PoolError(CANNOT, f"the wheel of {package.pin} cannot be used: {error}") from None
        wheel.unlink()


def _add_bytecode(machine: Machine, packages: Path, going_on: GoingOn, on_room: Callable[[], None] | None) -> None:
    """Let a room compile the packages, so that not every import does; where that fails they are only slower."""
    with machine.stage({"main.py": _COMPILER.encode()}, packages=packages) as stage:
        stage.write("compiler/main.py", _COMPILER.encode())
        with stage.out("out", _COMPILER_LIMITS.disk) as out:
            run = machine.run(
                stage,
                ("python", "-I", "-S", "/problem/main.py", machine.interpreter.packages),
                limits=_COMPILER_LIMITS,
                binds=(
                    Bind(source=f"{stage.path}/compiler", target="/problem"),
                    Bind(source=out, target="/out", writable=True),
                ),
                on_start=on_room,
            )
            going_on()
            if run.end is not End.EXIT or run.status != 0 or refused(stage.root, "out") is not None:
                return
            made = packages.parent / "bytecode.zip"
            made.write_bytes(stage.read("out/bytecode.zip"))

    def place(name: str) -> str | None:
        """Only beside a source file of the same name."""
        path = Path(name)
        source = path.parent.parent / f"{path.name.partition('.')[0]}.py"
        return name if path.parent.name == "__pycache__" and (packages / source).is_file() else None

    with contextlib.suppress(WheelError):
        unpack(made, packages, Budget(), going_on=going_on, place=place)
    made.unlink()


def _close(packages: Path) -> None:
    """Let nobody write there any more; its files are closed already."""
    for folder, _, _ in os.walk(packages, topdown=False):
        Path(folder).chmod(0o555)
