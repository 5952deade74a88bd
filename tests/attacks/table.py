"""The table of ``make attacks``: what came of each row of the threats, and whether anything got through.

Not here: the attacks. A plugin of pytest, loaded only by that target.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ELSEWHERE = Path(__file__).with_name("elsewhere.toml")
_ROW = re.compile(r"row_(\d+)_?(\w*)")
_COUNTED = ("forged", "read", "connections", "left", "harmed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One attack on one kind of room, made by one backend; the last five count what must not happen."""

    row: int
    title: str
    kind: str
    backend: str
    verdict: str
    seconds: float
    forged: int = 0
    read: int = 0
    connections: int = 0
    left: int = 0
    harmed: int = 0


class Table:
    """Collects lines from the reports of tests, from whichever process they come."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.failed = 0
        named = tomllib.loads(ELSEWHERE.read_text())
        self.elsewhere = {test: int(row) for row, tests in named.items() for test in tests}

    def add(self, report: pytest.TestReport) -> None:
        """Take what a report tells; a test that records nothing itself is one line."""
        told = [Line(**fields) for name, fields in report.user_properties if name == "attack"]
        if report.failed:
            self.failed += 1
        if report.when != "call" and not (report.when == "setup" and not report.passed):
            return
        self.lines += told
        if told and not report.failed:
            return
        test, _, case = report.nodeid.partition("[")
        found = _ROW.search(report.nodeid.rpartition("::")[2])
        row = self.elsewhere.get(test) or (int(found[1]) if found is not None else None)
        if row is not None:
            name = re.sub(r"^(test_)?(row_\d+_)?", "", test.rpartition("::")[2]).replace("_", " ")
            verdict = {"passed": "held", "skipped": "not run", "failed": "FAILED"}[report.outcome]
            title = f"{name} ({case.rstrip(']')})" if case else name
            self.lines.append(
                Line(row=row, title=title, kind="", backend="", verdict=verdict, seconds=report.duration)
            )

    @property
    def held(self) -> bool:
        """Whether nothing got through."""
        return not self.failed and not any(self.total(name) for name in _COUNTED)

    def total(self, name: str) -> int:
        """Return the sum of one thing that must not happen."""
        return sum(int(getattr(line, name)) for line in self.lines)

    def text(self) -> Iterator[str]:
        """Yield the table and its last line."""
        head = ("row", "attack", "kind", "backend", "verdict", "seconds")
        order = sorted(self.lines, key=lambda line: (line.row, line.title, line.kind, line.backend))
        rows = [(str(x.row), x.title[:70], x.kind, x.backend, x.verdict, f"{x.seconds:.2f}") for x in order]
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        for row in (head, *rows):
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        allowed = sum("as this kind allows" in line.verdict for line in self.lines)
        yield ""
        if allowed:
            yield f"{allowed} forged scores of the kind inprocess, which has no wall there and says so on every page"
        if self.failed:
            yield f"{self.failed} tests failed"
        yield (
            f"{len({line.row for line in self.lines})} rows: {self.total('forged')} forged, "
            f"{self.total('read')} host files read, {self.total('connections')} network connections, "
            f"{self.total('left')} processes left, {self.total('harmed')} pools harmed"
        )


_TABLE = Table()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect."""
    _TABLE.add(report)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print."""
    terminalreporter.section("attacks")
    for line in _TABLE.text():
        terminalreporter.write_line(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End with an error unless everything held, and something was tried."""
    if not hasattr(session.config, "workerinput") and not (_TABLE.held and _TABLE.lines):
        session.exitstatus = session.exitstatus or 1
