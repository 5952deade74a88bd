"""Packages that problems require: what a room sees of them, and that installing them runs nothing of theirs."""

import io
import os
import stat
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ar_core.errors import PoolError
from ar_sandbox.environment_cache import Environment, default_folder
from ar_sandbox.registration import register
from ar_sandbox.rooms import Outcome, Result, RunSeeds, Sandbox

SEEDS = RunSeeds(run=1, scorer=2)
NEEDS = '[environment]\nrequirements = "requirements.txt"'
MODULE = "VALUE = 42\n"


@pytest.fixture
def closed_home(tmp_path: Path) -> Path:
    """A folder that only its owner may enter, as AR_HOME often is."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return home


@pytest.fixture
def sandbox(closed_home: Path) -> Sandbox:
    return Sandbox.detect(environments=closed_home / "environments")


@pytest.fixture
def install(sandbox: Sandbox) -> Callable[..., Environment]:
    def run(*lines: str) -> Environment:
        return sandbox.environments.use("".join(lines).encode())

    return run


@pytest.fixture
def refused(install: Callable[..., Environment], closed_home: Path) -> Callable[..., PoolError]:
    """Install in vain; return why. Nothing may be left of it."""

    def run(*lines: str) -> PoolError:
        with pytest.raises(PoolError) as caught:
            install(*lines)
        left = [path.name for path in (closed_home / "environments").iterdir() if path.suffix != ".lock"]
        assert left == []
        assert "127.0.0.1" not in caught.value.detail, "the owner's package index is nobody's business"
        return caught.value

    return run


@pytest.fixture
def score(sandbox: Sandbox, folder: Any) -> Callable[..., Result]:
    """Score with a scorer's source in rooms that have these packages."""

    def run(source: str, *lines: str, **settings: Any) -> Result:
        others = {"requirements.txt": "".join(lines).encode()}
        prepared = folder(score=source, more=NEEDS, others=others, **settings).prepared()
        return sandbox.evaluate(prepared, settings.get("baseline", b"1"), SEEDS, hash_seed=5)

    return run


def test_both_rooms_have_the_packages_and_nothing_else_of_this_machine(
    package_index: Any, score: Callable[..., Result]
) -> None:
    lines = [
        package_index.wheel("demo", {"demo/__init__.py": MODULE, "demo/data.txt": "words"}),
        package_index.wheel("other_one", {"other_one.py": "import demo\nVALUE = demo.VALUE + 1\n"}),
    ]
    train = b"import demo, os; open(os.environ['AR_OUT'] + '/n', 'w').write(str(demo.VALUE))"
    source = """
        import importlib.util, os, pathlib, subprocess, sys
        import other_one
        made = int(open(os.environ["AR_OUT"] + "/n").read())
        beside = (pathlib.Path(other_one.__file__).parent / "demo/data.txt").read_text()
        command = ["python3", "-I", "-c", "import demo; print(demo.VALUE)"]
        alone = subprocess.run(command, capture_output=True, text=True)
        others = [name for name in ("pip", "numpy", "msgspec", "ar_core") if importlib.util.find_spec(name)]
        assert (beside, alone.stdout, others) == ("words", "42\\n", []), (beside, alone, others)
        print("x:", made + other_one.VALUE)
    """
    seen = score(source, *lines, kind="artifact", mutable="train.py", baseline=train)
    assert (seen.outcome, seen.score) == (Outcome.OK, 85.0), seen.feedback


def test_packages_are_read_only_and_do_not_hide_the_standard_library(
    package_index: Any, score: Callable[..., Result]
) -> None:
    line = package_index.wheel("demo", {"demo.py": MODULE, "random.py": "raise SystemExit(3)\n"})
    source = """
        import demo, os, random
        for path in (demo.__file__, os.path.dirname(demo.__file__) + "/new", "/ar/pyvenv.cfg", "/ar/new"):
            try:
                open(path, "a").close()
            except OSError:
                continue
            raise SystemExit(f"{path} can be written")
        print("x:", random.Random(1).random() > 0)
        print("x: 1")
    """
    seen = score(source, line)
    assert (seen.outcome, seen.score) == (Outcome.OK, 1.0), seen.feedback


def test_what_python_would_start_by_itself_is_left_out(package_index: Any, score: Callable[..., Result]) -> None:
    """A .pth file in a folder of packages is run by every Python that starts."""
    started = "import os; os.environ['STARTED'] = '1'\n"
    line = package_index.wheel(
        "demo",
        {
            "demo.py": MODULE,
            "demo.pth": started,
            "Demo.PTH": started,
            "demo-1.0.data/purelib/again.pth": started,
            "demo-1.0.data/purelib/pure.py": MODULE,
            "demo-1.0.data/scripts/demo": "#!python\n",
            "demo-1.0.data/data/etc/thing": "x",
        },
    )
    source = """
        import os, sys
        import demo, pure
        assert "STARTED" not in os.environ
        print("x:", float(len(os.listdir(os.path.dirname(demo.__file__)))))
    """
    seen = score(source, line)
    assert seen.score == 4.0, seen.feedback  # two modules, their bytecode, and what the package says about itself


@pytest.mark.parametrize("module", ["sitecustomize", "usercustomize"])
def test_what_python_would_import_by_itself_is_left_out(
    package_index: Any, score: Callable[..., Result], module: str
) -> None:
    started = "import os; os.environ['STARTED'] = '1'\n"
    places = [f"{module}.py", f"{module}/__init__.py", f"demo-1.0.data/platlib/{module}.py"]
    line = package_index.wheel("demo", {"demo.py": MODULE, **dict.fromkeys(places, started)})
    source = f"""
        import importlib.util, os, subprocess, sys
        asked = "import os; print('STARTED' in os.environ)"
        for options in ((), ("-I",)):
            seen = subprocess.run(["python", *options, "-c", asked], capture_output=True, text=True).stdout
            assert seen == "False\\n", (options, seen)
        import demo
        found = importlib.util.find_spec({module!r})
        assert found is None or "site-packages" not in found.origin, found
        print("x:", demo.VALUE)
    """
    seen = score(source, line)
    assert seen.score == 42.0, seen.feedback


def test_modules_come_compiled(
    package_index: Any, install: Callable[..., Environment], score: Callable[..., Result]
) -> None:
    line = package_index.wheel(
        "demo",
        {"demo/__init__.py": MODULE, "demo/bad.py": "def\n", "demo/__pycache__/__init__.cpython-311.pyc": b"x"},
    )
    with install(line) as environment:
        compiled = [str(path.relative_to(environment.packages)) for path in environment.packages.rglob("*.pyc")]
    assert compiled == [f"demo/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"]
    seen = score("import demo, os\nprint('x:', int(os.path.isfile(demo.__cached__)) + demo.VALUE)", line)
    assert seen.score == 43.0, seen.feedback


def test_files_are_closed_and_plain(package_index: Any, install: Callable[..., Environment]) -> None:
    def with_program(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("demo/program")
        info.external_attr = (stat.S_IFREG | 0o4777) << 16
        archive.writestr(info, "#!/bin/sh\n")

    with install(package_index.wheel("demo", {"demo/a.py": MODULE}, change=with_program)) as environment:
        modes = {
            str(path.relative_to(environment.packages)): stat.S_IMODE(path.lstat().st_mode)
            for path in [environment.packages, *environment.packages.rglob("*")]
        }
    assert modes["demo/a.py"] == 0o444
    assert modes["demo/program"] == 0o555
    assert modes["."] == modes["demo"] == 0o555


def test_conditions_choose_for_this_python(package_index: Any, install: Callable[..., Environment]) -> None:
    here = package_index.wheel("demo", {"demo.py": MODULE}).replace(" --", " ; python_version >= '3.11' --")
    elsewhere = package_index.wheel("absent", {"absent.py": MODULE}).replace(" --", " ; python_version < '3' --")
    with install(here, elsewhere) as environment:
        assert (environment.packages / "demo.py").is_file()
        assert not (environment.packages / "absent.py").exists()
    assert [name for name in package_index.fetched() if name.startswith("absent")] == []


def test_dependencies_are_not_followed(package_index: Any, install: Callable[..., Environment]) -> None:
    about = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: unlisted\n"
    line = package_index.wheel("demo", {"demo.py": MODULE, "demo-1.0.dist-info/METADATA": about})
    package_index.wheel("unlisted", {"unlisted.py": MODULE})
    with install(line):
        assert package_index.fetched() == ["demo-1.0-py3-none-any.whl"]


def test_another_hash_is_refused(package_index: Any, refused: Callable[..., PoolError]) -> None:
    line = package_index.wheel("demo", {"demo.py": MODULE})
    digest = line.strip().rpartition(":")[2]
    error = refused(line.replace(digest, "0" * 64))
    assert error.code == "AR-S502"
    assert "demo==1.0 has another hash" in error.detail


def test_what_has_to_be_built_is_refused_and_none_of_its_code_runs(
    package_index: Any, refused: Callable[..., PoolError], closed_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 43 of the threats: a setup.py that writes into HOME."""
    monkeypatch.setenv("HOME", str(closed_home))
    canary = closed_home / "canary"
    setup = f"open({str(canary)!r}, 'w').write('built')\nfrom setuptools import setup\nsetup(name='demo')\n"
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in (
            ("setup.py", setup),
            ("pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = 'back'\nbackend-path = ['.']\n"),
            ("back.py", setup),
            ("PKG-INFO", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"),
        ):
            info = tarfile.TarInfo(f"demo-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    line = f"demo==1.0 --hash=sha256:{package_index.add('demo-1.0.tar.gz', made.getvalue())}\n"
    error = refused(line)
    assert error.code == "AR-S502"
    assert "no wheel of demo==1.0" in error.detail
    assert "runs code of the package" in error.detail
    assert not canary.exists()
    # Nor where the owner has told pip to build everything, or has a wheel of that very package for another system.
    package_index.wheel("demo", {"demo.py": MODULE}, tag="cp27-cp27m-win32")
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    assert "no wheel of demo==1.0" in refused(line).detail
    assert not canary.exists()


def test_publishers_variables_never_reach_pip(
    package_index: Any, install: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only what says where the owner's packages come from is passed on."""
    canary = tmp_path / "canary"
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "sitecustomize.py").write_text(f"open({str(canary)!r}, 'w')")
    monkeypatch.setenv("PYTHONPATH", str(trap))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PIP_PRE", "1")
    monkeypatch.chdir(trap)
    (trap / "pip").mkdir()
    (trap / "pip" / "__init__.py").write_text(f"open({str(canary)!r}, 'w')")
    with install(package_index.wheel("demo", {"demo.py": MODULE})) as environment:
        assert (environment.packages / "demo.py").is_file()
    assert not canary.exists()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "name", ["../canary", "/canary", "demo/../../canary", "a/./b", "a//b", "..", "a\\..\\b", "x\x1b"]
)
def test_a_wheel_that_would_write_elsewhere_is_refused(
    package_index: Any, refused: Callable[..., PoolError], closed_home: Path, name: str
) -> None:
    error = refused(package_index.wheel("demo", {"demo.py": MODULE, name: "x"}))
    assert error.code == "AR-S502"
    assert "demo==1.0 cannot be used: it has a file that would be written elsewhere" in error.detail
    assert list(closed_home.rglob("*canary*")) == []


def test_a_wheel_with_a_link_is_refused(package_index: Any, refused: Callable[..., PoolError]) -> None:
    def with_link(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("demo/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")

    assert "is a link" in refused(package_index.wheel("demo", {"demo.py": MODULE}, change=with_link)).detail


def test_a_wheel_that_unpacks_to_too_much_is_refused(
    package_index: Any, refused: Callable[..., PoolError], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = package_index.wheel("demo", {"demo.py": MODULE, "zeros": bytes(4 * 1024**2)})
    assert len(package_index.files["demo-1.0-py3-none-any.whl"]) < 16_384
    monkeypatch.setattr("ar_sandbox.wheels.Budget.__init__.__defaults__", (65_536, 1024**2))
    assert "unpacks to more than" in refused(line).detail


def test_a_download_that_is_too_large_is_stopped(
    package_index: Any, refused: Callable[..., PoolError], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = package_index.wheel("demo", {"demo.py": MODULE, "data": os.urandom(4 * 1024**2)})
    monkeypatch.setattr("ar_sandbox.environment_build.MAX_DOWNLOAD", 1024**2)
    error = refused(line)
    assert error.code == "AR-S502"
    assert "larger than" in error.detail or "more than" in error.detail


def test_a_wheel_with_too_many_files_is_refused(
    package_index: Any, refused: Callable[..., PoolError], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = package_index.wheel("demo", {f"demo/{number}": "" for number in range(64)})
    monkeypatch.setattr("ar_sandbox.wheels.Budget.__init__.__defaults__", (32, 1024**2))
    assert "more than" in refused(line).detail


@pytest.mark.parametrize("entries", [0xFFFF, 70])
def test_a_table_of_contents_that_is_too_large_is_not_even_read(tmp_path: Path, entries: int) -> None:
    from ar_sandbox.wheels import Budget, WheelError, installed, unpack

    made = tmp_path / "demo.whl"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("demo.py", MODULE)
    data = bytearray(made.read_bytes())
    end = data.rfind(b"PK\x05\x06")
    if entries == 0xFFFF:
        data[end + 10 : end + 12] = b"\xff\xff"
    else:
        data[end + 12 : end + 16] = (64 * 1024**2).to_bytes(4, "little")
    made.write_bytes(data)
    with pytest.raises(WheelError, match="table of contents"):
        unpack(made, tmp_path / "out", Budget(), going_on=lambda: None, place=installed)


def test_a_damaged_wheel_is_refused(package_index: Any, refused: Callable[..., PoolError]) -> None:
    package_index.wheel("demo", {"demo.py": MODULE, "data": os.urandom(4096)})
    name = "demo-1.0-py3-none-any.whl"
    data = bytearray(package_index.files[name])
    at = data.find(b"data") + 200
    data[at : at + 64] = bytes(64)
    digest = package_index.add(name, bytes(data))
    assert "damaged archive" in refused(f"demo==1.0 --hash=sha256:{digest}\n").detail


def entry(name: str, data: bytes) -> Callable[[zipfile.ZipFile], None]:
    """One more file for a wheel, perhaps of a name that it has already; the later one counts."""

    def run(archive: zipfile.ZipFile) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(name, data)

    return run


def test_pips_memory_is_bounded(
    package_index: Any, refused: Callable[..., PoolError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads everything that a wheel says about itself, and it runs in no room."""
    bomb = entry("demo-1.0.dist-info/licenses.txt", bytes(256 * 1024**2))
    line = package_index.wheel("demo", {"demo.py": MODULE}, change=bomb)
    assert len(package_index.files["demo-1.0-py3-none-any.whl"]) < 1024**2
    monkeypatch.setattr("ar_sandbox.environment_build.PIP_MEMORY", 256 * 1024**2)
    error = refused(line)
    assert error.code == "AR-S502"
    assert "reading their wheels takes more than 256 MiB of memory" in error.detail


def test_pips_processor_time_is_bounded(
    package_index: Any, refused: Callable[..., PoolError], monkeypatch: pytest.MonkeyPatch
) -> None:
    about = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n" + b"X: y\n" * 1_000_000
    line = package_index.wheel("demo", {"demo.py": MODULE}, change=entry("demo-1.0.dist-info/METADATA", about))
    monkeypatch.setattr("ar_sandbox.environment_build.PIP_SECONDS", 1)
    error = refused(line)
    assert error.code == "AR-S502"
    assert "reading their wheels takes more than 1 s of processor time" in error.detail


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("demo-1.0.dist-info/METADATA", b"\xff\xfe\n"),
        ("demo-1.0.dist-info/METADATA", b"nothing\n"),
        ("other-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"),
        ("", b"no archive at all"),
    ],
)
def test_a_wheel_that_pip_cannot_read_is_not_fetched_again(
    package_index: Any, refused: Callable[..., PoolError], name: str, data: bytes
) -> None:
    if name:
        line = package_index.wheel("demo", {"demo.py": MODULE}, change=entry(name, data))
    else:
        line = f"demo==1.0 --hash=sha256:{package_index.add('demo-1.0-py3-none-any.whl', data)}\n"
    error = refused(line)
    assert error.code == "AR-S502"
    assert "one of their wheels cannot be used" in error.detail
    refused(line)
    assert package_index.fetched() == ["demo-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("marker", ["'a' ~= 'x'", "'3' < '4'", "platform_release ~= '5'"])
def test_a_condition_that_pip_cannot_decide_is_not_tried_again(
    package_index: Any, refused: Callable[..., PoolError], marker: str
) -> None:
    line = package_index.wheel("demo", {"demo.py": MODULE}).replace(" --", f" ; {marker} --")
    error = refused(line)
    assert error.code == "AR-S502"
    assert "versions or conditions" in error.detail


def test_an_index_that_does_not_answer_may_do_so_later(
    package_index: Any, refused: Callable[..., PoolError], install: Callable[..., Environment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    line = package_index.wheel("demo", {"demo.py": MODULE})
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/index/")  # the port of a service that nobody runs
    error = refused(line)
    assert error.code == "AR-S503"
    monkeypatch.setenv("PIP_INDEX_URL", package_index.url)
    install(line).close()


def test_a_failure_that_comes_again_is_not_tried_at_once(
    package_index: Any, refused: Callable[..., PoolError]
) -> None:
    line = f"absent==1.0 --hash=sha256:{'0' * 64}\n"
    first = refused(line)
    asked = len(package_index.asked)
    assert asked > 0
    second = refused(line)
    assert (second.code, second.detail) == (first.code, first.detail)
    assert len(package_index.asked) == asked


def test_registration_says_why_packages_cannot_be_installed(
    package_index: Any, sandbox: Sandbox, folder: Any
) -> None:
    def findings(text: str) -> list[tuple[str, str, str]]:
        files = folder(more=NEEDS, others={"requirements.txt": text.encode()}).files()
        seen = register(files, sandbox=sandbox, seeds=lambda i: RunSeeds(run=i, scorer=i), clock=lambda: 0.0)
        assert not seen.ok
        return [(found.check, found.severity, found.message) for found in seen.findings]

    unpinned = findings("\ndemo>=1\n")
    assert unpinned[0][:2] == ("environment", "error")
    assert "line 2: demo has no exact version" in unpinned[0][2]
    absent = findings(f"absent==1.0 --hash=sha256:{'0' * 64}\n")
    assert absent[0][:2] == ("environment", "error")
    assert "no wheel of absent==1.0" in absent[0][2]


def test_registration_measures_with_the_packages(package_index: Any, sandbox: Sandbox, folder: Any) -> None:
    line = package_index.wheel("demo", {"demo.py": "VALUE = 7\n"})
    source = """
        import demo, os, sys
        if open(os.environ["AR_MUTABLE"]).read() != "1":
            sys.exit("invalid: not 1")
        print("x:", demo.VALUE)
    """
    files = folder(score=source, more=NEEDS, others={"requirements.txt": line.encode()}).files()
    said: list[str] = []
    seen = register(
        files, sandbox=sandbox, runs=2, seeds=lambda i: RunSeeds(run=i, scorer=i), clock=lambda: 0.0,
        on_progress=said.append,
    )  # fmt: skip
    assert seen.ok, seen.findings
    assert seen.baseline == 7.0
    assert said[0] == "installing the packages that it requires"


def test_environments_are_below_ar_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AR_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "environments"
    monkeypatch.delenv("AR_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert default_folder() == tmp_path / "caches" / "auto-research-pool" / "environments"
