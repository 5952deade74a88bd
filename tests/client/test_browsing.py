import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from ar_client.commands.diff import unified_diff
from ar_core.lifecycle import ExperimentState, ProblemState, Reason
from ar_core.records import PublishedScore, StrictBudget
from ar_proto.v1 import catalogue_pb2, experiment_pb2, problem_pb2

Run = Callable[..., Any]


def test_problems(signed_in: Any, ar_pool: Run) -> None:
    assert ar_pool("problems").out.splitlines() == [
        "NAME     STATE  BASELINE    BEST  ACCEPTED  TRIED  TITLE",
        "packing  open        5.4  3.25 %         2     17  Packing",
    ]
    (found,) = ar_pool("problems", "--json", "--all").document["problems"]
    assert found["problem"] == "packing"
    assert [request.all for request in signed_in.script.requests("ListProblems")] == [False, True]


def test_show(signed_in: Any, ar_pool: Run) -> None:
    document = ar_pool("show", "packing", "--json").document
    assert {"problem", "title", "direction", "metric", "state", "baseline", "best", "accepted", "experiments", "head",
            "contributors", "revision"} <= set(document)  # fmt: skip
    assert (document["baseline"], document["best"], document["state"]) == (5.4, 3.25, "open")
    text = ar_pool("show", "packing").out
    assert "best       3.25 % (+2.15 since the baseline)" in text
    assert "accepted   2 of 17 tried, by 2 contributors" in text


def test_show_of_a_strict_problem_says_what_its_log_spent(signed_in: Any, ar_pool: Run) -> None:
    assert "strict" not in ar_pool("show", "packing").out
    assert ar_pool("show", "packing", "--json").document["strict"] is None
    signed_in.script.card = signed_in.card(
        strict=StrictBudget(alpha=0.005, trials=12, accepted=2, spent=0.0825, next_level=1 / 4096)
    )
    text = ar_pool("show", "packing").out
    assert (
        "strict     12 verifications have spent 8.25 % of the α = 0.005 that all share; "
        "the next gets the level 0.000244 (3 times its share, earned back by 2 accepts), "
        "which takes evidence e ≥ 4,096\n"
    ) in text
    assert ar_pool("show", "packing", "--json").document["strict"] == {
        "alpha": 0.005, "verifications": 12, "accepted": 2, "spent": 0.0825, "next_level": 1 / 4096,
        "next_evidence": 4096.0,
    }  # fmt: skip


def test_show_before_anything_was_measured(signed_in: Any, ar_pool: Run) -> None:
    signed_in.script.card = signed_in.card(baseline=None, best=None, state=ProblemState.REGISTERING)
    assert "baseline   –" in ar_pool("show", "packing").out
    assert ar_pool("show", "packing", "--json").document["baseline"] is None


def test_best(signed_in: Any, ar_pool: Run, tmp_path: Path) -> None:
    content = b"[1, 2]\r\nno end"
    signed_in.script.files = {"c" * 40: content}
    document = ar_pool("best", "packing", "--json").document
    assert (document["content"], document["commit"], document["score"]) == (content.decode(), "c" * 40, 3.25)
    target = tmp_path / "out"
    ended = ar_pool("best", "packing", "-o", target)
    assert (ended.code, ended.out, target.read_bytes()) == (0, "", content)
    assert ar_pool("best", "packing", "-o", tmp_path).code == 2


def test_diff(signed_in: Any, ar_pool: Run) -> None:
    commits = ["a" * 40, "b" * 40, "c" * 40]
    signed_in.script.files = dict(zip(commits, [b"1\n2\n", b"1\n3\n", b"1\n3"], strict=True))
    signed_in.script.experiments = [
        signed_in.experiment(
            id=f"x-{number}", state=ExperimentState.ACCEPTED, commit=commits[number], parent=commits[number - 1]
        )
        for number in (2, 1)
    ]
    first = "--- a/priority.json\n+++ b/priority.json\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"
    last = "--- a/priority.json\n+++ b/priority.json\n@@ -1,2 +1,2 @@\n 1\n-3\n+3\n\\ No newline at end of file\n"
    assert ar_pool("diff", "packing", "1").out == first
    assert ar_pool("diff", "packing").out == last
    document = ar_pool("diff", "packing", "1", "--json").document
    assert (document["record"], document["experiment"], document["diff"]) == (1, "x-1", first)
    ended = ar_pool("diff", "packing", "3", "--json")
    assert (ended.code, ended.error["code"]) == (3, "AR-X403")
    assert "packing has 2 records" in ended.error["message"]
    signed_in.script.experiments = []
    assert ar_pool("diff", "packing", "--json").error["code"] == "AR-X403"


@pytest.mark.parametrize("after", [b"", b"a\n", b"a", b"a\x0cb\x85\n", b"\xff\n", b"a\r\nb\n"])
def test_a_diff_splits_at_line_feeds_only(after: bytes) -> None:
    text = unified_diff(b"x\ny\n", after, "f")
    added = [line[1:] for line in text.split("\n")[3:] if line.startswith("+")]
    expected = after.decode(errors="replace").split("\n")
    assert added == (expected if expected[-1] else expected[:-1])


def test_log_turns_the_pages(signed_in: Any, ar_pool: Run) -> None:
    signed_in.script.experiments = [signed_in.experiment(id=f"x-{number:016x}") for number in range(5)]
    lines = [json.loads(line) for line in ar_pool("log", "packing", "--json").out.splitlines()]
    assert [line["id"] for line in lines] == [f"x-{number:016x}" for number in range(5)]
    assert set(lines[0]) >= {
        "schema", "id", "problem", "status", "reason", "worker", "contributor", "agent", "note", "claimed",
        "verified", "incumbent", "gain", "pairs", "evidence", "commit", "parent", "created",
    }  # fmt: skip
    assert len(ar_pool("log", "packing", "--json", "--limit", "3").out.splitlines()) == 3
    assert [r.limit for r in signed_in.script.requests("ListExperiments")][-2:] == [3, 1]


def test_log_of_one_state_for_people(signed_in: Any, ar_pool: Run) -> None:
    signed_in.script.experiments = [
        signed_in.experiment(
            state=ExperimentState.REJECTED, reason=Reason.NOT_REPRODUCED, claimed=3.0, verified=3.5, gain=-0.25
        )
    ]
    head, row = ar_pool("log", "packing", "--status", "rejected").out.splitlines()
    assert head.split()[:2] == ["WHEN", "(UTC)"]
    assert row.split() == [
        "2026-05-04", "03:02", "x-0123456789abcdef", "rejected/not_reproduced", "3", "3.5", "-0.25", "–", "ada",
        "sorted",
    ]  # fmt: skip
    (request,) = signed_in.script.requests("ListExperiments")
    assert request.state == experiment_pb2.EXPERIMENT_STATE_REJECTED
    signed_in.script.experiments = []
    assert ar_pool("log", "packing").err == "Nothing was tried yet.\n"


def test_a_number_or_title_of_any_size_keeps_the_columns(signed_in: Any, ar_pool: Run) -> None:
    signed_in.script.card = signed_in.card(title="x" * 100_000, best=-1e308)
    signed_in.script.experiments = [signed_in.experiment(claimed=1e308, note="n" * 100_000)]
    _, row = ar_pool("log", "packing").out.splitlines()
    assert row.split()[4] == "1e+308"
    _, problem = ar_pool("problems").out.splitlines()
    assert "  -1e+308 %  " in problem
    assert len(row) < 350
    assert len(problem) < 300
    assert ar_pool("problems", "--json").document["problems"][0]["title"] == "x" * 100_000


def test_leaderboard(signed_in: Any, ar_pool: Run) -> None:
    (row,) = ar_pool("leaderboard", "packing", "--by", "recent", "--limit", "7", "--json").document["rows"]
    assert {"rank", "contributor", "accepted", "gain", "share", "experiments", "seconds"} <= set(row)
    assert (row["gain"], row["seconds"]) == (2.15, 7200)
    request = signed_in.script.requests("GetLeaderboard")[0]
    assert (request.order, request.limit) == (catalogue_pb2.LEADERBOARD_ORDER_RECENT, 7)
    whole = ar_pool("leaderboard", "--json").document
    assert (whole["problem"], whole["rows"][0]["gain"]) == (None, None)
    assert ar_pool("leaderboard", "packing").out.splitlines() == [
        "#  CONTRIBUTOR  ACCEPTED  GAIN %   SHARE  TRIED  DONATED",
        "1  ada                 2   +2.15  100.0%     17      2 h",
    ]
    assert "GAIN" not in ar_pool("leaderboard").out
    assert ar_pool("leaderboard", "packing").err == ""


def test_a_leaderboard_tells_of_which_revision_its_gains_are(signed_in: Any, ar_pool: Run) -> None:
    signed_in.script.card = signed_in.card(revision=3)
    told = ar_pool("leaderboard", "packing")
    assert told.err == "Gain and share are by the scores of revision 3; the rest is of all revisions.\n"
    assert ar_pool("leaderboard").err == ""
    assert ar_pool("leaderboard", "packing", "--json").err == ""


@pytest.mark.parametrize(
    ("command", "state"),
    [
        ("pause", problem_pb2.PROBLEM_STATE_PAUSED),
        ("resume", problem_pb2.PROBLEM_STATE_OPEN),
        ("withdraw", problem_pb2.PROBLEM_STATE_WITHDRAWN),
    ],
)
def test_steering(signed_in: Any, ar_pool: Run, command: str, state: int) -> None:
    assert ar_pool(command, "packing", "--reason", "why", "--json").document["problem"] == "packing"
    (request,) = signed_in.script.requests("SetState")
    assert (request.problem, request.state, request.reason) == ("packing", state, "why")


def test_watch_goes_on_after_a_break_and_ends_on_an_answer(signed_in: Any, ar_pool: Run) -> None:
    accepted = signed_in.experiment(state=ExperimentState.ACCEPTED, verified=3.0, gain=0.25)
    signed_in.script.watched = [
        [signed_in.experiment(), signed_in.failing(grpc.StatusCode.UNAVAILABLE)],
        [accepted, signed_in.card(best=3.0), signed_in.failing(grpc.StatusCode.PERMISSION_DENIED)],
    ]
    ended = ar_pool("watch", "packing", "--json")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [event["event"] for event in events] == ["experiment", "experiment", "problem"]
    assert {event["schema"] for event in events} == {"ar.event/1"}
    assert events[1]["experiment"]["status"] == "accepted"
    assert events[2]["problem"]["best"] == 3.0
    assert ended.code == 4


def test_watch_for_people(signed_in: Any, ar_pool: Run) -> None:
    claimed = signed_in.experiment(state=ExperimentState.QUEUED, claimed=4.0, verified=None, gain=None)
    rejected = signed_in.experiment(state=ExperimentState.REJECTED, verified=3.0, gain=-0.25, reason=None)
    published = PublishedScore(score=3.125, incumbent=3.0, gain=0.125, pairs=7)
    accepted = signed_in.experiment(
        state=ExperimentState.ACCEPTED, verified=3.5, gain=0.25, published=published, reason=None
    )
    told = [claimed, rejected, accepted, signed_in.card()]
    signed_in.script.watched = [[*told, signed_in.failing(grpc.StatusCode.PERMISSION_DENIED)]]
    assert ar_pool("watch").out.splitlines() == [
        "03:02:01 packing x-0123456789abcdef queued claims 4 % ada sorted",
        "03:02:01 packing x-0123456789abcdef rejected verified 3 % -0.25 ada sorted",
        "03:02:01 packing x-0123456789abcdef accepted published 3.125 % +0.125 ada sorted",
        "03:02:01 packing open, best 3.25 %",
    ]
