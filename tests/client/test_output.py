import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_client.output import Output
from ar_core.errors import PoolError

ESCAPES = [
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\link", "\x9b2J", "\x1bc", "\rover", "\x08\x08",
    "\x1b[6n", "\x00", "\x7f", "\u202egnp.exe", "\u2066x\u2069", "\u200bzero", "\U000e0041tag", "a\u2028b",
    "\x1b[?1049h",
]  # fmt: skip
Run = Callable[..., Any]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def spoken(say: Callable[[Output], None], *, as_json: bool = False, stream: type[io.StringIO] = io.StringIO) -> str:
    out, err = stream(), stream()
    say(Output(as_json=as_json, stdout=out, stderr=err))
    return out.getvalue() + err.getvalue()


def obeyed(text: str) -> list[str]:
    """The characters that a terminal would do something with, beyond going to the next line."""
    return [c for c in text if c != "\n" and (not c.isprintable() or "\u2066" <= c <= "\u2069")]


@pytest.mark.parametrize("text", ESCAPES)
def test_nothing_from_the_pool_steers_the_terminal(text: str) -> None:
    error = PoolError("AR-A100", text, hint=text)
    for say in (
        lambda o: o.say(text),
        lambda o: o.data(text),
        lambda o: o.table(("A", "B"), [(text, text)], right=(0,)),
        lambda o: o.fields([("name", text)]),
        lambda o: o.error(error),
    ):
        assert not obeyed(spoken(say))
    for say in (lambda o: o.document({"schema": "x", "text": text}), lambda o: o.error(error)):
        line = spoken(say, as_json=True)
        assert line.isascii()
        assert not obeyed(line)
        assert line.count("\n") == 1


@given(st.text())
def test_json_says_exactly_what_it_was_given(text: str) -> None:
    line = spoken(lambda o: o.document({"schema": "x", "text": text}), as_json=True)
    assert json.loads(line)["text"] == text
    assert not obeyed(line)


def test_a_file_goes_into_a_pipe_as_it_is_and_onto_a_terminal_made_safe() -> None:
    data = "a\x1b[31m\u202eb".encode()
    piped = io.TextIOWrapper(io.BytesIO())
    Output(as_json=False, stdout=piped).content(data)
    assert piped.buffer.getvalue() == data  # type: ignore[attr-defined]
    assert spoken(lambda o: o.content(data), stream=Terminal) == "a[31mb\n"


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[32m" in spoken(lambda o: o.say("good", colour="green"), stream=Terminal)
    assert "\x1b" not in spoken(lambda o: o.say("good", colour="green"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in spoken(lambda o: o.say("good", colour="green"), stream=Terminal)


def test_a_passing_line_is_gone_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")

    def say(output: Output) -> None:
        output.passing("waiting")
        output.say("done")

    assert spoken(say, stream=Terminal) == "waiting\r\x1b[2Kdone\n"
    assert spoken(say) == "done\n"


def test_columns_line_up_whatever_is_in_them() -> None:
    table = spoken(lambda o: o.table(("NAME", "N", "X"), [("ab", "1", "x"), ("日本語", "22", "")], right=(1,)))
    assert table.splitlines() == ["NAME     N  X", "ab       1  x", "日本語  22"]


def test_one_long_cell_widens_no_column() -> None:
    long = "x" * 100_000
    lines = spoken(lambda o: o.table(("A", "B", "C"), [(long, "1", long), ("a", "2", "c")], right=(1,))).splitlines()
    assert max(map(len, lines)) < 300
    assert lines[1].startswith("x" * 63 + "…  1  xxx")
    assert lines[1].endswith("x…")
    assert lines[2] == f"{'a':<64}  2  c"


def test_a_character_the_stream_cannot_write_is_replaced() -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Output(as_json=False, stderr=narrow).say("naïve")
    assert narrow.buffer.getvalue() == b"na?ve\n"  # type: ignore[attr-defined]


def test_an_error_says_what_and_what_to_do() -> None:
    error = PoolError("AR-A103", retry_after=12.3)
    assert spoken(lambda o: o.error(error)).splitlines() == [
        "error: Too many requests. (AR-A103)",
        "hint: wait, then try again (in 12 s)",
    ]
    body = json.loads(spoken(lambda o: o.error(error), as_json=True))["error"]
    assert {"code", "message", "hint", "docs"} <= set(body)
    assert body["retry_after"] == 12.3


def test_escapes_in_a_record_do_not_reach_the_terminal(signed_in: Any, ar_pool: Run) -> None:
    nasty = "".join(ESCAPES)
    signed_in.script.card = signed_in.card(
        title=nasty, summary=nasty, state_reason=nasty, publisher=nasty, unit=nasty, metric=nasty, head=nasty
    )
    signed_in.script.experiments = [signed_in.experiment(note=nasty, contributor=nasty)]
    for command in (("problems",), ("show", "packing"), ("log", "packing")):
        ended = ar_pool(*command)
        assert ended.code == 0
        assert ended.out.strip()
        assert not obeyed(ended.out + ended.err), command
