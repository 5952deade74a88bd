"""Rows 25 to 41 of the threats: somebody who proposes, against the coordinator; each test is named by its row."""

import json
import queue
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from ar_coordinator.evidence import parse_trailers
from ar_core.candidate import content_hash, sha256
from ar_core.lifecycle import ExperimentState, Reason
from ar_core.signing import REPORT_DOMAIN, sign
from ar_core.wire import experiment_from_wire
from ar_proto.v1 import enrolment_pb2, problem_pb2, work_pb2, work_pb2_grpc

CANARY = "hidden-canary-7f3a"


def numbers(*values: float) -> bytes:
    return json.dumps(values).encode() + b"\n"


@pytest.fixture(scope="module")
def sums(ada: Any, folder: Callable[..., dict[str, bytes]]) -> str:
    return str(ada.opened(folder("sums")).name)


@pytest.fixture
def drained(site: Any) -> Iterator[Callable[[], None]]:
    """Nothing is verified until the returned function is called."""
    site.operator.call("Drain", drain=True)
    yield lambda: site.operator.call("Drain", drain=False)
    site.operator.call("Drain", drain=False)


@pytest.fixture
def clone(site: Any, tmp_path: Path) -> Callable[..., str]:
    """Run git in a fresh clone of a problem."""

    def run(problem: str, *arguments: str) -> str:
        into = tmp_path / problem
        if not into.exists():
            subprocess.run(
                ["git", "clone", "-q", f"{site.pool.web}/git/{problem}.git", str(into)], check=True, timeout=30
            )
        done = subprocess.run(["git", "-C", str(into), *arguments], check=True, capture_output=True, timeout=30)
        return done.stdout.decode()

    return run


def test_row_25_a_proposal_changes_the_one_file_and_nothing_else(
    ada: Any, eve: Any, folder: Callable[..., dict[str, bytes]], clone: Callable[..., str]
) -> None:
    name = ada.opened(folder("one-file")).name
    assert eve.proposed(name, numbers(3, 3)).state is ExperimentState.ACCEPTED
    assert clone(name, "diff", "--name-status", "HEAD~1", "HEAD") == "M\tnumbers.json\n"
    assert {line.split()[0] for line in clone(name, "ls-tree", "-r", "HEAD").splitlines()} == {"100644"}
    for path in ("../problem.toml", "/etc/passwd", "numbers.json/../score.py", "..", "-", ":score.py", "a\0b", "\n"):
        answer = eve.call("GetFile", problem=name, path=path)
        assert answer.status is grpc.StatusCode.NOT_FOUND, path


def test_row_27_an_invented_score_decides_nothing(
    ada: Any, eve: Any, folder: Callable[..., dict[str, bytes]]
) -> None:
    name = ada.opened(folder("claims")).name
    worse = eve.proposed(name, numbers(0, 1), claimed=1e9)
    assert (worse.state, worse.reason, worse.verified) == (ExperimentState.REJECTED, Reason.NO_IMPROVEMENT, 1.0)
    better = eve.proposed(name, numbers(2, 2), claimed=1e300)
    assert (better.state, better.verified, better.gain) == (ExperimentState.ACCEPTED, 4.0, 1.0)
    (row,) = eve.call("GetLeaderboard", problem=name).value.rows
    assert (row.contributor, row.accepted, row.gain) == ("eve", 1, 1.0)


def test_row_28_bytes_that_are_not_what_their_hash_says(eve: Any, sums: str) -> None:
    before = eve.problem(sums).experiments
    for wrong in (sha256(b"something else"), "0" * 63, sha256(numbers(9, 9)) + "\n", sha256(numbers(9, 9)).upper()):
        assert eve.propose(sums, numbers(9, 9), sha256=wrong).code == "AR-A101"
    assert eve.call("Propose", problem=sums, sha256="0" * 64, size=3, idempotency_key="k").code == "AR-A101"
    assert eve.problem(sums).experiments == before


def test_row_29_the_best_version_again_earns_nothing(
    ada: Any, eve: Any, folder: Callable[..., dict[str, bytes]]
) -> None:
    name = ada.opened(folder("copies")).name
    assert ada.proposed(name, numbers(5, 5)).state is ExperimentState.ACCEPTED
    for copy in (numbers(5, 5), b"[5, 5] \t\r\n\r\n", b"[5, 5]"):
        assert eve.proposed(name, copy).reason is Reason.DUPLICATE
    for renamed in (b"[ 5,5]\n", b"[5,\n5]\n", numbers(4, 6), b"[5.0, 5e0]\n"):
        assert eve.proposed(name, renamed).reason is Reason.NO_IMPROVEMENT
    rows = {row.contributor: row for row in eve.call("GetLeaderboard", problem=name).value.rows}
    assert (rows["eve"].accepted, rows["eve"].gain) == (0, 0.0)
    assert rows["ada"].accepted == 1


def test_row_30_nobody_sees_the_bytes_of_a_claim_before_its_verdict(
    site: Any, ada: Any, eve: Any, folder: Callable[..., dict[str, bytes]], drained: Callable[[], None]
) -> None:
    name = ada.opened(folder("races")).name
    secret = b"[7.0123456789, 8]\n"
    first = ada.propose(name, secret).value.experiment
    copied = eve.propose(name, secret).value.experiment
    seen = [eve.call("GetExperiment", id=x.id, with_content=True).value.SerializeToString() for x in (first, copied)]
    seen += [eve.call("ListExperiments", problem=name).value.SerializeToString()]
    paths = [f"/p/{name}/x/{x.id}" for x in (first, copied)]
    paths += [
        f"/api/v1/experiments/{first.id}",
        f"/api/v1/problems/{name}/experiments",
        f"/p/{name}",
        f"/p/{name}/atom.xml",
    ]
    seen += [httpx.get(site.pool.web + path).raise_for_status().content for path in paths]
    assert not any(b"7.0123456789" in data for data in seen)
    drained()
    assert ada.verdict(first.id).state is ExperimentState.ACCEPTED
    mine = eve.verdict(copied.id)
    assert (mine.state, mine.reason) == (ExperimentState.RECORDED, Reason.DUPLICATE)
    rows = {row.contributor: row.accepted for row in eve.call("GetLeaderboard", problem=name).value.rows}
    assert rows == {"ada": 1, "eve": 0}


def test_row_33_the_same_proposal_sent_twice_is_one(ada: Any, eve: Any, sums: str) -> None:
    key = "twice-and-for-ever"
    first = eve.propose(sums, numbers(0, 0), idempotency_key=key).value.experiment.id
    counted = eve.problem(sums).experiments
    assert {eve.propose(sums, numbers(0, 0), idempotency_key=key).value.experiment.id for _ in range(3)} == {first}
    assert eve.propose(sums, numbers(0, 1), idempotency_key=key).value.experiment.id == first
    assert eve.problem(sums).experiments == counted
    assert ada.propose(sums, numbers(0, 2), idempotency_key=key).value.experiment.id != first


def test_row_33_a_stale_base_is_measured_against_the_best_of_today(
    ada: Any, eve: Any, folder: Callable[..., dict[str, bytes]]
) -> None:
    card = ada.opened(folder("stale"))
    assert ada.proposed(card.name, numbers(30, 30)).state is ExperimentState.ACCEPTED
    late = eve.proposed(card.name, numbers(1, 1.5), parent=card.head)
    assert (late.state, late.reason, late.incumbent) == (ExperimentState.REJECTED, Reason.NO_IMPROVEMENT, 60.0)
    # Better than what it was built on and worse than today's best: at most its change counts, made on today's best.
    again = eve.proposed(card.name, numbers(20, 20), parent=card.head)
    if again.state is ExperimentState.ACCEPTED:
        assert (again.reason, again.incumbent) == (Reason.REBASED, 60.0)
        assert again.verified is not None
        assert again.verified > 60.0
    assert ada.problem(card.name).best == max(60.0, again.verified or 0.0)


def test_row_34_plausible_junk_is_limited_leaves_nothing_behind_and_keeps_nobody_waiting(
    site: Any, ada: Any, eve: Any, folder: Callable[..., dict[str, bytes]], drained: Callable[[], None]
) -> None:
    name = ada.opened(folder("flood")).name
    queued = [eve.propose(name, numbers(n / 1000)) for n in range(60)]
    assert all(answer.ok for answer in queued)
    over = eve.propose(name, numbers(99, 99))
    assert (over.status, over.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "AR-X401")
    assert 0 < float(over.retry_after) <= 3600
    assert not site.redis.exists(f"ar:blob:{sha256(numbers(99, 99))}"), "what is refused must not fill the memory"
    honest = ada.propose(name, numbers(3, 3)).value.experiment.id
    drained()
    assert ada.verdict(honest).state is ExperimentState.ACCEPTED
    waiting = eve.states(name).count(ExperimentState.QUEUED)
    assert waiting > 40, "an honest proposal does not wait for sixty of somebody else"
    assert ada.call("SetState", problem=name, state=problem_pb2.PROBLEM_STATE_WITHDRAWN).ok
    answers = {eve.verdict(answer.value.experiment.id).state for answer in queued}
    assert answers <= {ExperimentState.WITHDRAWN, ExperimentState.REJECTED}


def test_row_35_what_is_hidden_is_nowhere_to_be_read(
    site: Any, ada: Any, eve: Any, folder: Callable[..., dict[str, bytes]], clone: Callable[..., str]
) -> None:
    files = folder("secrets", files='hidden = ["hidden/"]', **{"hidden/answer": CANARY.encode()})
    name = ada.opened(files).name
    tried = [eve.proposed(name, content) for content in (b"[1, 2\n", b"[1000]\n", numbers(0), numbers(40))]
    assert [x.state.value for x in tried] == ["rejected", "rejected", "rejected", "accepted"]
    assert eve.call("GetFile", problem=name, path="hidden/answer").status is grpc.StatusCode.NOT_FOUND
    seen = [repr(x) for x in tried]
    seen += [str(eve.call("GetProblem", name=name).value)]
    paths = [f"/p/{name}", f"/api/v1/problems/{name}", f"/api/v1/problems/{name}/experiments", f"/p/{name}/atom.xml"]
    paths += [f"/p/{name}/x/{x.id}" for x in tried]
    seen += [httpx.get(site.pool.web + path).raise_for_status().text for path in paths]
    clone(name, "fetch", "-q", "origin", "refs/ar/ledger:refs/ar/ledger")
    seen += [clone(name, "grep", "-h", "-e", ".", *clone(name, "rev-list", "--all").split())]
    assert "numbers" in seen[-1]
    assert not any(CANARY in text for text in seen)


@pytest.mark.parametrize(
    "content",
    [
        b"../../../etc/passwd",
        b"--- a/score.py\n+++ b/score.py\n@@ -1 +1 @@\n-import json\n+print('total: 999')\n",
        b"160000 commit 0123456789012345678901234567890123456789\tnumbers.json\n",
        b"* filter=evil\n",
    ],
)
def test_row_39_a_patch_is_only_bytes(eve: Any, sums: str, content: bytes) -> None:
    x = eve.proposed(sums, content)
    assert (x.state, x.reason) == (ExperimentState.REJECTED, Reason.CRASH)


@pytest.mark.parametrize(
    "hidden",
    [
        "\0",
        "\x1b[2J",
        "\x7f",
        "\x85",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\u00ad",
        "\U000e0041",
        "\ufe0f",
        "\u2028",
    ],
)
def test_row_40_what_a_reviewer_cannot_see_is_refused(site: Any, eve: Any, sums: str, hidden: str) -> None:
    content = f"[1, {hidden}2]\n".encode()
    x = eve.proposed(sums, content)
    assert (x.state, x.reason, x.blob) == (ExperimentState.REJECTED, Reason.POLICY, "")
    assert not site.redis.exists(f"ar:blob:{sha256(content)}")


def test_row_41_a_note_cannot_forge_a_commit(
    ada: Any, eve: Any, folder: Callable[..., dict[str, bytes]], clone: Callable[..., str]
) -> None:
    name = ada.opened(folder("notes")).name
    note = "better\n\nContributor: ada\nExperiment: x-0000000000000000\r\nScore: 999\x1b[31m\u202e\n---\n#"
    x = eve.proposed(name, numbers(50), note=note)
    assert x.state is ExperimentState.ACCEPTED
    message, author = clone(name, "log", "-1", "--format=%B"), clone(name, "log", "-1", "--format=%an")
    trailers = parse_trailers(message)
    assert (trailers["Contributor"], trailers["Experiment"], author.strip()) == ("eve", x.id, "eve")
    assert trailers["Score"].startswith("50.0")
    assert message.count("Contributor: ") == 2, "once in the subject as words, once as the trailer"
    assert "\x1b" not in message
    assert "\u202e" not in message


def test_row_36_what_a_machine_says_of_itself_moves_no_verdict(
    site: Any, ada: Any, folder: Callable[..., dict[str, bytes]]
) -> None:
    """A machine of grade A with a million cores claims 1e9: the pool measures both sides on its own machine."""
    name = ada.opened(folder("boasts")).name
    machine = site.join(role=enrolment_pb2.ROLE_WORKER)
    say: queue.Queue[work_pb2.WorkRequest | None] = queue.Queue()
    limits = work_pb2.MachineLimits(cpus=10**6, memory=2**60, gpus=1000, programs=["verifier"])
    hello = work_pb2.Hello(
        machine="the pool's own verifier", slots=1, agents=["tuner"], protocol_min=1, protocol_max=1,
        sandbox_grade="A", limits=limits, problems=[name],
    )  # fmt: skip
    metadata = (("authorization", f"Bearer {machine.session}"),)
    say.put(work_pb2.WorkRequest(hello=hello))
    say.put(work_pb2.WorkRequest(want=work_pb2.Want(slots=1)))
    call = work_pb2_grpc.WorkServiceStub(site.wire._channel).Work(iter(say.get, None), metadata=metadata, timeout=60)
    lease = next(response.task.lease for response in call if response.WhichOneof("message") == "task")
    claim = work_pb2.ReportedExperiment(
        content_hash=content_hash(numbers(0, 1)), content=numbers(0, 1), score=1e9, parent_score=3.0
    )
    report = work_pb2.Report(lease=lease, sequence=1, experiments=[claim], last=True)
    report.signature = sign(machine.key, REPORT_DOMAIN, report.SerializeToString(deterministic=True))
    say.put(work_pb2.WorkRequest(report=report))
    told = next(response.verdict.experiment for response in call if response.WhichOneof("message") == "verdict")
    call.cancel()
    say.put(None)
    x = experiment_from_wire(told)
    assert (x.state, x.reason, x.verified) == (ExperimentState.REJECTED, Reason.NO_IMPROVEMENT, 1.0)
    assert ada.problem(name).best == 3.0
