"""Text, quantities, tokens and documents: strangers' words made safe, and numbers as people write them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_core.documents import experiment_document, leaderboard_document, proposal_document
from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState
from ar_core.quantities import format_duration, format_size, parse_duration, parse_percent, parse_size
from ar_core.records import Experiment, LeaderboardRow
from ar_core.text import feedback, is_bidirectional, is_control, is_hidden, one_line, printable
from ar_core.tokens import JoinToken, certificate_digest, parse_token, secret_hash

NOW = datetime(2026, 3, 4, tzinfo=UTC)


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_printable_line(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert not any(is_control(c) or is_bidirectional(c) or is_hidden(c) for c in line)
    assert one_line(line, limit) == line


@given(st.text(max_size=300))
def test_feedback_is_the_last_lines_without_control_characters(text: str) -> None:
    shown = feedback(text, lines=3, limit=50)
    assert len(shown.encode()) <= 50
    assert len(shown.splitlines()) <= 3
    assert not any(is_control(c) or c == "\r" for c in shown)


def test_feedback_keeps_the_end() -> None:
    assert feedback("\n".join(f"line {n}" for n in range(100)), lines=2) == "line 98\nline 99"
    assert feedback("\x1b[31mZeroDivisionError\x1b[0m: oops\n") == "[31mZeroDivisionError[0m: oops"
    assert feedback("é" * 5000).encode()[-2:] == "é".encode()


def test_what_arabic_writers_see_is_not_hidden() -> None:
    assert printable("\u0600\u06dd عربي") == "\u0600\u06dd عربي"
    assert printable("a\r\nb\x00\u202ec\u2060") == "a\nbc"
    assert printable("x" * 20, limit=5) == "xxxx…"


@pytest.mark.parametrize(("text", "size"), [
    (262144, 262144), (0, 0), ("262144", 262144), ("64MiB", 64 * 2**20), ("1 GB", 10**9), ("1.5k", 1536),
    ("2g", 2**31),
    (" 8 KiB ", 8192), ("1PiB", None), (2**50, 2**50), (2**50 + 1, None), (-1, None), (1.5, None), (True, None),
    ("", None), ("MiB", None), ("-1", None), ("1e3", None), ("1 MiB 2", None), ("9" * 400, None), ("1" * 65, None),
    (1 << 2000, None), (None, None), ("١", None),
])  # fmt: skip
def test_sizes(text: object, size: int | None) -> None:
    if size is None:
        with pytest.raises(ValueError, match=r"is not a size|is above"):
            parse_size(text)
    else:
        assert parse_size(text) == size


@pytest.mark.parametrize(("text", "seconds"), [
    (30, 30.0), (0, 0.0), (0.5, 0.5), ("30", 30.0), ("60s", 60.0), ("500ms", 0.5), ("5m", 300.0), ("5 min", 300.0),
    ("1h30m", 5400.0), (" 1h 30m 5s ", 5405.0), ("2d", 172800.0), ("1.5h", 5400.0), ("", None), ("s", None),
    (-1, None),
    ("-1s", None), ("1h30", None), ("5 5", None), ("1x", None), (True, None), (float("nan"), None),
    (float("inf"), None),
    (10**400, None), (1 << 2000, None), ("9" * 400, None), ("1" * 60 + "x", None), (None, None),
])  # fmt: skip
def test_durations(text: object, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="is not a duration"):
            parse_duration(text)
    else:
        assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["20", 0.2, "%", "-1%", "nan%", "inf%", "a%", None, "1%%"])
def test_no_percentages(text: object) -> None:
    with pytest.raises(ValueError, match="is not a percentage"):
        parse_percent(text)


def test_percentages() -> None:
    assert (parse_percent("20%"), parse_percent(" 0.5 % ")) == (0.2, 0.005)


@given(st.integers(0, 10**6))
def test_a_shown_duration_is_the_duration(seconds: int) -> None:
    shown = format_duration(float(seconds))
    assert parse_duration(shown) == seconds or "e" in shown


@pytest.mark.parametrize(("size", "shown"), [
    (0, "0 B"), (1023, "1023 B"), (262144, "256 KiB"), (2**30, "1 GiB"), (2**40, "1 TiB"), (2**50, "1 PiB"),
])  # fmt: skip
def test_shown_sizes(size: int, shown: str) -> None:
    assert format_size(size) == shown


@given(st.binary(max_size=20), st.binary(min_size=16, max_size=16))
def test_a_token_comes_back_as_pasted(der: bytes, secret: bytes) -> None:
    token = JoinToken(digest=certificate_digest(der), secret=secret.hex())
    assert parse_token(f"  {token}\n") == token
    assert secret_hash(token.secret) != secret_hash(token.secret + "0")
    assert token.secret not in secret_hash(token.secret)


@pytest.mark.parametrize("change", [
    lambda t: "", lambda t: t[:-1], lambda t: t + "0", lambda t: t.upper(), lambda t: t.replace("ARJ1", "ARJ2"),
    lambda t: t[:40] + "\n" + t[41:], lambda t: t + " " + t,
])  # fmt: skip
def test_a_malformed_token(change: object) -> None:
    token = str(JoinToken(digest="a" * 64, secret="b" * 32))
    with pytest.raises(PoolError) as caught:
        parse_token(change(token))  # type: ignore[operator]
    assert caught.value.code == "AR-I202"
    assert "b" * 32 not in str(caught.value.document()), "what was pasted is not repeated"


def test_the_documents_have_the_published_fields() -> None:
    x = Experiment(id="x-1", problem="p", revision=1, state=ExperimentState.ACCEPTED, gain=0.0, exact=True,
                   created=NOW,
                   updated=NOW)  # fmt: skip
    published = """id problem status reason worker contributor agent note claimed verified incumbent gain pairs
        evidence commit parent created"""
    document = experiment_document(x)
    assert set(published.split()) <= set(document)
    assert (document["evidence"], document["gain"], document["claimed"], document["commit"]) == (
        "exact",
        0.0,
        None,
        None,
    )
    proposal = proposal_document(x)
    assert {"id", "status", "reason", "claimed", "verified", "incumbent", "commit"} <= set(proposal)
    assert proposal["schema"] == "ar.proposal/1"


def test_a_gain_has_its_interval_and_its_effect_size_beside_it() -> None:
    x = Experiment(id="x-1", problem="p", revision=1, state=ExperimentState.REJECTED, gain=0.5, gain_low=0.0,
                   gain_high=1.0, effect_size=0.0, created=NOW, updated=NOW)  # fmt: skip
    for document in (experiment_document(x), proposal_document(x)):
        assert (document["gain"], document["interval"], document["effect_size"]) == (0.5, [0.0, 1.0], 0.0)
    nothing = replace(x, gain=None, gain_low=None, gain_high=None, effect_size=None)
    for document in (experiment_document(nothing), proposal_document(nothing)):
        assert (document["gain"], document["interval"], document["effect_size"]) == (None, None, None)


def test_gains_of_several_problems_are_not_added_up() -> None:
    row = LeaderboardRow(rank=1, contributor="ada", accepted=1, gain=0.5, share=1.0, experiments=3)
    one, pool = leaderboard_document("p", [row]), leaderboard_document(None, [row])
    assert one["rows"][0]["gain"] == 0.5  # type: ignore[index]
    assert pool["rows"][0]["gain"] is None  # type: ignore[index]
    fields = {"rank", "contributor", "accepted", "gain", "share", "experiments", "seconds"}
    assert fields <= set(one["rows"][0])  # type: ignore[index]
