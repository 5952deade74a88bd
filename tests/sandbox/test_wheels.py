"""Wheels as archives that somebody made to do harm: each is refused as what it is, before it costs too much."""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ar_sandbox.wheels import MAX_FILES, PLACE_BYTES, Budget, WheelError, installed, unpack

DIRECTORY, END, END64_PLACE, END64 = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[..., Path]:
    """Unpack an archive of these bytes; return where."""

    def run(data: bytes, budget: Budget | None = None) -> Path:
        (tmp_path / "demo.whl").write_bytes(data)
        target = tmp_path / "out"
        target.mkdir()
        unpack(tmp_path / "demo.whl", target, budget or Budget(), going_on=lambda: None, place=installed)
        return target

    return run


def archive(files: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return made.getvalue()


def many_entries(count: int, comment: int) -> bytes:
    """An archive of ``count`` folders, whose end names the table of ZIP64 and has a comment of that length."""
    about = (20, 20, 0, 0, 0, 0x21, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0)
    table = (DIRECTORY + struct.pack("<HHHHHHIIIHHHHHII", *about) + b"d/") * count
    larger = END64 + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(table), 0)
    place = END64_PLACE + struct.pack("<IQI", 0, len(table), 1)
    return table + larger + place + END + struct.pack("<HHHHIIH", 0, 0, 1, 1, 48, 0, comment) + b" " * comment


@pytest.mark.parametrize("comment", [0, 1, 65_514, 65_515, 65_534, 65_535])
def test_the_larger_table_of_contents_is_never_read(attempt: Callable[..., Path], comment: int) -> None:
    with pytest.raises(WheelError, match="table of contents"):
        attempt(many_entries(3, comment))


def test_entries_are_counted_before_any_is_unpacked(attempt: Callable[..., Path]) -> None:
    """The end says less than there is; folders, of which nothing is written, count."""
    count = MAX_FILES + 1
    data = many_entries(count, 0)
    size = data.index(END64)
    with pytest.raises(WheelError, match="table of contents"):
        attempt(data[:size] + END + struct.pack("<HHHHIIH", 0, 0, 1, 1, size, 0, 0))


def at_offset(data: bytes, offset: int) -> bytes:
    """The archive with its first entry at a place that a field of ZIP64 gives."""
    start, end = data.index(DIRECTORY), data.rindex(END)
    name_bytes = int.from_bytes(data[start + 28 : start + 30], "little")
    entry = bytearray(data[start : start + 46 + name_bytes])
    extra = struct.pack("<HHQ", 1, 8, offset)
    entry[30:32] = len(extra).to_bytes(2, "little")
    entry[42:46] = b"\xff" * 4
    rest = data[start + 46 + name_bytes : end]
    last = bytearray(data[end:])
    last[12:16] = (len(entry) + len(extra) + len(rest)).to_bytes(4, "little")
    return bytes(data[:start] + entry + extra + rest + last)


@pytest.mark.parametrize("offset", [2**62, 2**63, 2**64 - 16])
def test_an_entry_that_lies_nowhere_is_damage(attempt: Callable[..., Path], offset: int) -> None:
    with pytest.raises(WheelError, match="damaged archive"):
        attempt(at_offset(archive({"demo.py": ""}), offset))


def test_a_place_in_the_archive_is_read_as_it_is(attempt: Callable[..., Path]) -> None:
    """What the test above changes is the place and nothing else."""
    assert (attempt(at_offset(archive({"demo.py": "x"}), 0)) / "demo.py").read_text() == "x"


def test_a_path_that_no_system_takes_is_too_long(attempt: Callable[..., Path]) -> None:
    with pytest.raises(WheelError, match="too long"):
        attempt(archive({"/".join([*["a" * 200] * 25, "x.py"]): ""}))


def test_folders_count(attempt: Callable[..., Path]) -> None:
    budget = Budget(files=100, bytes=1000 * PLACE_BYTES)
    attempt(archive({f"{one}/b/c/file": "12345" for one in "xyz"}), budget)
    assert budget.files == 100 - 12
    assert budget.bytes == (1000 - 12) * PLACE_BYTES - 15


def test_too_many_folders_are_refused(attempt: Callable[..., Path], tmp_path: Path) -> None:
    deep = {"/".join([str(one), *"abcdefghij", "file"]): "" for one in range(10)}
    with pytest.raises(WheelError, match="files and folders"):
        attempt(archive(deep), Budget(files=50))
    assert len(list((tmp_path / "out").rglob("*"))) <= 50


def test_a_folder_below_a_file_is_refused(attempt: Callable[..., Path]) -> None:
    with pytest.raises(WheelError, match="a file in one package and a folder in another"):
        attempt(archive({"demo": "", "demo/a/b.py": ""}))


@pytest.mark.parametrize("module", ["sitecustomize", "usercustomize"])
@pytest.mark.parametrize(
    "name", ["{}.py", "{}/__init__.py", "{}.cpython-311-x86_64-linux-gnu.so", "{}.abi3.so", "{}.pyc", "{}/data/x"]
)
def test_what_python_imports_by_itself_goes_nowhere(module: str, name: str) -> None:
    found = name.format(module)
    assert installed(found) is None
    assert installed(f"demo-1.0.data/purelib/{found}") is None
    assert installed(f"demo/{found}") == f"demo/{found}"


@pytest.mark.parametrize("name", ["sitecustomize-1.0.dist-info/METADATA", "sitecustomizer.py", "my_sitecustomize.py"])
def test_other_names_stay(name: str) -> None:
    assert installed(name) == name
