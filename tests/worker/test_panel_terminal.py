"""The panel on terminals: what a small terminal makes of its control sequences, and a real run under a pty."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from ar_core.panel.foot import Foot
from ar_core.panel.frame import framed

_SECONDS = 100
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|(\x1b.?)|([\x00-\x1f\x7f])|([^\x00-\x1f\x7f\x1b]+)")


class Screen:
    """A terminal that knows what the panel may send, and refuses everything else. Narrowing it folds long rows."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.height = columns, rows
        self.rows = [""]
        self.cursor = (0, 0)
        self.visible = self.wraps = True
        self.hidden_before = False

    def take(self, text: str) -> None:
        for token in _TOKEN.finditer(text):
            private, number, final, strange, control, plain = token.groups()
            if final:
                self._sequence(private, number, final)
            elif plain:
                for character in plain:
                    self._put(character)
            elif control == "\r":
                self.cursor = (self.cursor[0], 0)
            elif control == "\n":
                self._down()
            else:
                raise AssertionError(f"what is {strange or control!r} in {text!r}")

    def _sequence(self, private: str, number: str, final: str) -> None:
        row, column = self.cursor
        match (private, final):
            case ("", "A"):
                self.cursor = (max(row - int(number), max(0, len(self.rows) - self.height)), column)
            case ("", "K"):
                assert column < self.columns, "this erases the last character of a full row"
                self.rows[row] = self._cut(row, column)
            case ("", "J"):
                self.rows[row:] = [self._cut(row, column)]
            case ("", "m"):
                pass
            case ("?", "h" | "l") if number == "25":
                self.visible = final == "h"
                self.hidden_before |= not self.visible
            case ("?", "h" | "l") if number == "7":
                self.wraps = final == "h"
            case _:
                raise AssertionError(f"what is {private}{number}{final}")

    def _cut(self, row: int, column: int) -> str:
        return self.rows[row][:column]

    def _put(self, character: str) -> None:
        row, column = self.cursor
        if column >= self.columns:
            if self.wraps:
                self._down()
                row, column = self.cursor[0], 0
            else:
                column = self.columns - 1
        line = self.rows[row].ljust(column)
        self.rows[row] = line[:column] + character + line[column + 1 :]
        self.cursor = (row, column + 1)

    def _down(self) -> None:
        row = self.cursor[0] + 1
        if row == len(self.rows):
            self.rows.append("")
        self.cursor = (row, 0)

    def resize(self, columns: int, rows: int) -> None:
        """Take another size, as most terminals do it: rows that do not fit become several."""
        folded: list[str] = []
        for index, line in enumerate(self.rows):
            if index == self.cursor[0]:
                self.cursor = (len(folded), 0)
            folded += [line[i : i + columns] for i in range(0, len(line), columns)] or [""]
        self.rows, self.columns, self.height = folded, columns, rows

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.rows]


def block(*rows: str, width: int = 40) -> list[Text]:
    return framed(list(rows), title="title", width=width)


def plain(lines: list[Text]) -> list[str]:
    return [line.plain.rstrip() for line in lines]


def test_the_block_stays_at_the_foot_and_lines_pass_above_it() -> None:
    screen, foot = Screen(60, 24), Foot(colour=True)
    screen.take("$ command\r\n")
    screen.take(foot.draw(block("one", "two", "three"), 60))
    screen.take(foot.draw(block("one", "2", "three"), 60, [Text("first", style="green"), Text("x" * 100)]))
    screen.take(foot.draw(block("2"), 60, [Text("last")]))
    assert screen.lines == ["$ command", "first", "x" * 60, "x" * 40, "last", *plain(block("2")), ""]
    assert screen.cursor == (len(screen.rows) - 1, 0)
    assert screen.visible
    assert screen.wraps
    screen.take("^C")
    screen.take(foot.draw(block("3"), 60))
    assert screen.lines[-2:] == [plain(block("3"))[-1], ""], "what was typed below the block goes"
    screen.take(foot.draw([], 60, [Text("the end")]))
    assert screen.lines == ["$ command", "first", "x" * 60, "x" * 40, "last", "the end", ""]


def test_nothing_is_written_where_nothing_changed() -> None:
    foot = Foot(colour=False)
    assert foot.draw(block("one"), 60)
    assert foot.draw(block("one"), 60) == ""


def test_without_colour_no_colours_are_sent() -> None:
    line = [Text("word", style="bold green")]
    assert "\x1b[1;32mword\x1b[0m" in Foot(colour=True).draw(line, 60)
    assert not _COLOUR.search(Foot(colour=False).draw(line, 60))


@pytest.mark.parametrize("columns", [41, 39, 25, 13])
def test_a_window_that_becomes_narrow_shows_no_rests_of_the_block(columns: int) -> None:
    screen, foot = Screen(60, 50), Foot(colour=False)
    screen.take("$ command\r\n")
    screen.take(foot.draw(block("one", "two", width=40), 60))
    screen.resize(columns, 50)
    screen.take(foot.draw(block("one", "two", width=12), columns))
    assert screen.lines == ["$ command", *plain(block("one", "two", width=12)), ""]
    screen.resize(60, 50)
    screen.take(foot.draw(block("one", "two", width=40), 60))
    assert screen.lines == ["$ command", *plain(block("one", "two", width=40)), ""]


def test_after_somebody_else_used_the_terminal_the_block_begins_anew() -> None:
    screen, foot = Screen(60, 24), Foot(colour=False)
    screen.take(foot.draw(block("one"), 60))
    screen.take("$ ls\r\nfile\r\n")
    foot.forget()
    screen.take(foot.draw(block("two"), 60))
    assert screen.lines == [*plain(block("one")), "$ ls", "file", *plain(block("two")), ""]


# --- A real run


class UnderTerminal:
    """``ar-worker`` with a pty as its controlling terminal; what it writes is kept."""

    def __init__(self, home: Path, *arguments: str, columns: int = 100, rows: int = 30, **extra: str) -> None:
        self.master, slave = os.openpty()
        self.resize(columns, rows)
        self.attributes = termios.tcgetattr(slave)
        environment = {**os.environ, "AR_HOME": str(home), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **extra}
        for name in ("NO_COLOR", "PYTHONIOENCODING"):
            if name not in extra:
                environment.pop(name, None)
        code = "import fcntl, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); from ar_worker.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self.slave = slave
        self._alarm = threading.Timer(_SECONDS, self.process.kill)
        self._alarm.start()
        self.text = self.raw = ""
        """What it wrote, without colours and with them."""
        self._bytes = b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, pattern: str, after: int = 0) -> int:
        """Read until a pattern is there, and return where it ends."""
        while not (found := re.compile(pattern, re.DOTALL).search(self.text, after)):
            assert self._read(), f"no {pattern!r}:\n{self.text[-4000:]}"
        return found.end()

    def _read(self) -> bool:
        # The terminal outlives the program, since we have its other side open too: the pid tells of its end.
        while not _readable(self.master, 0.1):
            if self.process.poll() is not None and not _readable(self.master, 0.0):
                return False
        self._bytes += os.read(self.master, 65536)
        self.raw = self._bytes.decode(errors="replace")
        self.text = _COLOUR.sub("", self.raw)
        return True

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        self._alarm.cancel()
        return self.process.wait(_SECONDS)

    def clear_away(self) -> None:
        self._alarm.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def _readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


@pytest.fixture
def terminal() -> Iterator[Callable[..., UnderTerminal]]:
    with ExitStack() as stack:

        def start(home: Path, *arguments: str, **options: Any) -> UnderTerminal:
            running = UnderTerminal(home, *arguments, **options)
            stack.callback(running.clear_away)
            return running

        yield start


@pytest.fixture(scope="module")
def pool(
    start_pool: Callable[..., Any],
    problems: Path,
    sleepy: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    running = start_pool("--verifiers", "1", "--name", "test pool")
    ada = running.person(tmp_path_factory.mktemp("ada"), "ada")
    ada.publish(problems / "zlib-dictionary")
    ada.publish(sleepy(50))
    return running


def started(pool: Any, terminal: Callable[..., UnderTerminal], home: Path, problem: str, **options: Any) -> Any:
    return terminal(
        home, "join", pool.grpc, "--token", pool.token("worker"), "--name", home.name, "--slots", "1",
        "--problems", problem, "--max-experiments", "5000", **options,
    )  # fmt: skip


def screen_of(text: str, columns: int = 100, rows: int = 30) -> Screen:
    screen = Screen(columns, rows)
    screen.take(text)
    return screen


def test_a_run_on_a_terminal_shows_its_panel_and_ctrl_c_takes_it_away(
    pool: Any, terminal: Callable[..., UnderTerminal], tmp_path: Path
) -> None:
    run = started(pool, terminal, tmp_path / "eve", "zlib-dictionary")
    run.until(r"verdict +zlib-dictionary: accepted")
    # One more whole frame, so that the verdict is counted in what is looked at.
    end = run.until(r"[1-9]\d* accepted, .*?\x1b\[\?25h")
    seen = screen_of(run.text[:end]).lines
    panel = seen[next(i for i, line in enumerate(seen) if line.startswith("╭─ test pool · eve ─")) :]
    assert panel[1].startswith("│ working")
    assert re.match(r"│ 1     zlib-dictionary +━+·* +[0-2]:\d\d +\d+ +\d+ +\d+ │", panel[4])
    assert re.match(r"│ \d+ of 5000 evaluations, .*/s +\d+ claims?: \d+ accepted, 0 held, \d+ rejected │", panel[6])
    assert any(re.match(r"│ \d\d:\d\d:\d\d  verdict   zlib-dictionary: accepted", line) for line in panel)
    assert "Ctrl-C gives the machine back ─╯" in panel[-2]

    os.write(run.master, b"\x03")
    assert run.end() == 0
    screen = screen_of(run.text)
    assert screen.hidden_before
    assert _COLOUR.search(run.raw)
    assert screen.visible
    assert screen.wraps
    assert termios.tcgetattr(run.slave) == run.attributes
    assert not any("╭" in line or "│" in line or "╰" in line for line in screen.lines), "the panel is gone"
    assert re.match(r"\d\d:\d\d:\d\d  stopped   stopped by its owner; \d+ experiments in this run", screen.lines[-3])
    assert re.match(r"in all    \d+ evaluations, \d+ claims?: ", screen.lines[-2])
    assert any(re.match(r"\d\d:\d\d:\d\d  verdict   zlib-dictionary: acc", line) for line in screen.lines)
    assert not any("  reported  " in line for line in screen.lines)


def test_a_run_that_is_ended_or_refused_leaves_the_terminal_in_order(
    pool: Any, terminal: Callable[..., UnderTerminal], tmp_path: Path
) -> None:
    run = started(pool, terminal, tmp_path / "fay", "sleepy-sum")
    run.until(r"│ 1     sleepy-sum ")
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 0
    screen = screen_of(run.text)
    assert screen.visible
    assert "╭" not in "".join(screen.lines)

    run = terminal(tmp_path / "fay", "start", "--slots", "1", "--problems", "sleepy-sum")
    run.until(r"│ 1     sleepy-sum ")
    machine = next(iter(re.findall(r"this machine is (m-\w+)", run.text)))
    assert pool.coordinator("workers", "ban", machine).code == 0
    assert run.end() == 5
    screen = screen_of(run.text)
    assert screen.visible
    assert "╭" not in "".join(screen.lines)
    assert screen.lines[-3].startswith("error: "), "what went wrong stands below, on rows of its own"


def test_a_second_ctrl_c_leaves_the_terminal_in_order_too(
    pool: Any, terminal: Callable[..., UnderTerminal], tmp_path: Path
) -> None:
    run = started(pool, terminal, tmp_path / "guy", "sleepy-sum")
    run.until(r"│ 1     sleepy-sum .*?\x1b\[\?25h")
    # The pool does not answer, so that the first one takes its time.
    os.kill(pool.pid, signal.SIGSTOP)
    try:
        os.write(run.master, b"\x03")
        run.until(r"│ stopping .*?\x1b\[\?25h")
        os.write(run.master, b"\x03")
        code = run.end()
    finally:
        os.kill(pool.pid, signal.SIGCONT)
    assert code in {130, 0}
    screen = screen_of(run.text)
    assert screen.visible
    assert screen.wraps
    assert screen.cursor[0] == len(screen.rows) - 1


def test_a_window_that_changes_gets_a_panel_of_its_size(
    pool: Any, terminal: Callable[..., UnderTerminal], tmp_path: Path
) -> None:
    run = started(pool, terminal, tmp_path / "hal", "sleepy-sum")
    run.until(r"╭─ test pool · hal [^\n╮]{79}╮")
    run.resize(60, 20)
    run.until(r"╭─ test pool · hal [^\n╮]{39}╮")
    run.resize(20, 20)
    run.until(r"\x1b\[J\x1b\[\?7l\x1b\[\?7h")
    run.resize(300, 50)
    run.until(r"╭─ test pool · hal [^\n╮]{100}╮")
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 0


def test_no_color_has_a_panel_without_colours_and_a_dumb_terminal_has_none(
    pool: Any, terminal: Callable[..., UnderTerminal], tmp_path: Path
) -> None:
    run = started(pool, terminal, tmp_path / "ida", "sleepy-sum", NO_COLOR="1")
    run.until(r"│ 1     sleepy-sum ")
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 0
    assert not _COLOUR.search(run.raw)

    run = started(pool, terminal, tmp_path / "jon", "sleepy-sum", TERM="dumb")
    run.until(r"leased    sleepy-sum")
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 0
    assert "\x1b" not in run.raw
    assert "╭" not in run.raw


def test_without_a_terminal_there_are_plain_lines(pool: Any, command: Callable[..., Any], tmp_path: Path) -> None:
    done = command(
        "ar_worker", "join", pool.grpc, "--token", pool.token("worker"), "--name", "kim", "--slots", "1",
        "--problems", "zlib-dictionary", "--max-experiments", "20", "--seed", "1", home=tmp_path,
    )  # fmt: skip
    assert (done.code, done.out) == (0, "")
    assert "\x1b" not in done.err
    lines = done.err.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["pool", "identity", "donates", "sandbox", "Ctrl-C"]
    words = [line.split()[1] for line in lines[5:] if re.match(r"\d\d:\d\d:\d\d  \w", line)]
    assert len(words) == len(lines) - 5
    assert {"leased", "reported", "released"} <= set(words)
    assert lines[-1].endswith("stopped   all experiments are made; 20 experiments in this run")
