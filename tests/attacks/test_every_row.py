"""Every row of the threats is a test by its number, or has a reason in the table of what is not there yet."""

import re
import tomllib
from pathlib import Path

import pytest

ROWS = set(range(1, 63))
ATTACKS = Path(__file__).parent
TESTS = ATTACKS.parent
PAGE = TESTS.parent / "docs" / "6-trust-and-sandbox.md"


def numbers(text: str) -> set[int]:
    """Read ``1–7``, ``21`` and ``9, 12``."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:–(\d+))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def rows_tested() -> set[int]:
    by_name = re.compile(r"(?:def test_|^    \"|candidates/)row_(\d+)_", re.MULTILINE)
    texts = [path.read_text() for path in TESTS.rglob("test_*.py")]
    texts += [f"candidates/{path.name}" for path in (ATTACKS / "rooms" / "candidates").glob("row_*.py")]
    return {int(row) for text in texts for row in by_name.findall(text)} | {int(row) for row in elsewhere()}


def elsewhere() -> dict[str, list[str]]:
    return tomllib.loads((ATTACKS / "elsewhere.toml").read_text())


def not_yet() -> list[list[str]]:
    section = PAGE.read_text().partition("\n## Not yet\n")[2]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [line for line in lines if line[0] != "rows"]


def test_every_row_is_tested_or_has_a_reason() -> None:
    assert all(len(line) == 4 and all(line) for line in not_yet()), "rows, threat, today, why"
    reasons = set().union(*(numbers(line[0]) for line in not_yet()))
    assert ROWS - rows_tested() - reasons == set()
    assert rows_tested() | reasons == ROWS, "a row that is none"


def test_the_page_says_what_each_row_is() -> None:
    section = PAGE.read_text().partition("\n## Attacks that are tried\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if re.match(r"\| \d", line)]
    assert set().union(*(numbers(line[0]) for line in lines)) == ROWS


@pytest.mark.parametrize("test", [test for tests in elsewhere().values() for test in tests])
def test_what_is_said_to_be_elsewhere_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name}(" in (TESTS.parent / path).read_text()
