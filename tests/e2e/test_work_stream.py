"""The work stream against a running pool, by a scripted machine: leases, reports, verdicts, and ways to be odd."""

import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from ar_coordinator.data_directory import DataDirectory
from ar_coordinator.embedded_redis import EmbeddedRedis
from ar_coordinator.store import Store, keys, open_store
from ar_coordinator.store.connection import now_ms
from ar_coordinator.store.lease_scripts import FIRST_SLOTS, NOISY_FAILURES, RECORDED_AN_HOUR
from ar_core.candidate import content_hash, sha256
from ar_core.lifecycle import LeaseState
from ar_core.signing import REPORT_DOMAIN, sign
from ar_proto.v1 import experiment_pb2, work_pb2, work_pb2_grpc

_SECONDS = 30
PROBLEM = "small-sum"


class Stream:
    """One work stream; what the pool says is kept by kind until somebody asks for it."""

    def __init__(self, machine: "Machine") -> None:
        self.machine = machine
        self._say: queue.Queue[work_pb2.WorkRequest | None] = queue.Queue()
        self._heard: queue.Queue[Any] = queue.Queue()
        self._kept: list[work_pb2.WorkResponse] = []
        self._call = machine.stub.Work(iter(self._say.get, None), metadata=machine.metadata)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for response in self._call:
                for said in (response, *response.more):
                    self._heard.put(said)
            self._heard.put(None)
        except grpc.RpcError as error:
            self._heard.put(error)

    def say(self, **message: Any) -> None:
        self._say.put(work_pb2.WorkRequest(**message))

    def hello(self, *resume: work_pb2.LeaseName, **more: Any) -> work_pb2.Welcome:
        fields: dict[str, Any] = {
            "slots": 2, "agents": ["tuner"], "protocol_min": 1, "protocol_max": 1, "sandbox_grade": "B", **more,
        }  # fmt: skip
        self.say(hello=work_pb2.Hello(machine="a test", resume=resume, **fields))
        welcome: work_pb2.Welcome = self.hear("welcome")
        return welcome

    def hear(self, kind: str, wanted: Callable[[Any], bool] = lambda _: True, seconds: float = _SECONDS) -> Any:
        """Return the next message of a kind; others wait for their turn. A stream that ends is an error."""
        deadline = time.monotonic() + seconds
        for response in self._kept:
            if response.WhichOneof("message") == kind and wanted(getattr(response, kind)):
                self._kept.remove(response)
                return getattr(response, kind)
        while True:
            try:
                response = self._heard.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {kind} within {seconds} s; heard {self._kept}") from None
            assert response is not None, f"the stream ended before {kind}; heard {self._kept}"
            if isinstance(response, Exception):
                raise response
            if response.WhichOneof("message") == kind and wanted(getattr(response, kind)):
                return getattr(response, kind)
            self._kept.append(response)

    def end(self) -> grpc.RpcError | None:
        """Wait until the pool ends the stream; return its error if it ended with one."""
        while (last := self._heard.get(timeout=_SECONDS)) is not None:
            if isinstance(last, grpc.RpcError):
                return last
        return None

    def want(self, slots: int = 1) -> None:
        self.say(want=work_pb2.Want(slots=slots))

    def task(self) -> work_pb2.Task:
        self.want()
        task: work_pb2.Task = self.hear("task")
        return task

    def signed(self, lease: work_pb2.LeaseName, sequence: int, *experiments: Any, **more: Any) -> work_pb2.Report:
        report = work_pb2.Report(lease=lease, sequence=sequence, experiments=experiments, **more)
        payload = report.SerializeToString(deterministic=True)
        report.signature = sign(self.machine.member.key, REPORT_DOMAIN, payload)
        return report

    def report(self, lease: work_pb2.LeaseName, sequence: int, *experiments: Any, **more: Any) -> work_pb2.Report:
        """Sign and send a report; return it, to be sent again."""
        report = self.signed(lease, sequence, *experiments, **more)
        self.say(report=report)
        return report

    def receipt(self) -> work_pb2.Receipt:
        receipt: work_pb2.Receipt = self.hear("receipt")
        return receipt

    def break_off(self) -> None:
        """Cut the line."""
        self._call.cancel()
        self._thread.join(_SECONDS)


class Machine:
    """A machine that joined; it opens as many streams as a test wants."""

    def __init__(self, pool: Any, wire: Any) -> None:
        self.member = wire.join(pool.token("worker"))
        self._wire = wire
        self.stub = work_pb2_grpc.WorkServiceStub(wire._channel)
        self.metadata = (("authorization", f"Bearer {wire.session(self.member)}"),)
        self.streams: list[Stream] = []

    def open(self) -> Stream:
        self.streams.append(Stream(self))
        return self.streams[-1]

    def fetch(self, blob: str, offset: int = 0) -> bytes:
        request = work_pb2.FetchBlobRequest(sha256=blob, offset=offset)
        parts = list(self.stub.FetchBlob(request, metadata=self.metadata, timeout=_SECONDS))
        assert all(len(part.data) <= 65536 for part in parts)
        data = b"".join(part.data for part in parts)
        assert offset + len(data) == parts[0].size
        return data

    def refused(self, blob: str) -> str:
        with pytest.raises(grpc.RpcError) as error:
            self.fetch(blob)
        return str(dict(error.value.trailing_metadata()).get("ar-code"))


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool("--verifiers", "1")


@pytest.fixture(scope="module")
def wire(pool: Any, open_wire: Callable[..., Any]) -> Any:
    return open_wire(pool)


@pytest.fixture
def records(pool: Any) -> Iterator[Store]:
    """The pool's own records, where a test has to turn its clock."""
    directory = DataDirectory(pool.directory)
    store = open_store(EmbeddedRedis(directory.redis).url, directory.blobs)
    yield store
    store.connection.close()


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("ada"), "ada")


@pytest.fixture
def new_machine(pool: Any, wire: Any) -> Iterator[Callable[[], Machine]]:
    with ExitStack() as stack:

        def make() -> Machine:
            machine = Machine(pool, wire)
            stack.callback(lambda: [stream.break_off() for stream in machine.streams])
            return machine

        yield make


@pytest.fixture
def machine(new_machine: Callable[[], Machine]) -> Machine:
    return new_machine()


_names = itertools.count(1)


@pytest.fixture
def problem(ada: Any, make_problem: Callable[..., Path]) -> Iterator[str]:
    """A problem of this test's own, withdrawn when it ends."""
    name = f"sum-{next(_names)}"
    ada.publish(make_problem(PROBLEM, name))
    yield name
    ada.pool("withdraw", name, "--yes")


@pytest.fixture
def stream(machine: Machine, problem: str) -> Stream:
    """A stream of a machine that wants this test's problem only."""
    stream = machine.open()
    stream.hello(problems=[problem])
    return stream


def claim(*numbers: float, score: float | None = None, note: str = "larger numbers") -> work_pb2.ReportedExperiment:
    content = json.dumps(numbers).encode()
    return work_pb2.ReportedExperiment(
        content_hash=content_hash(content),
        content=content,
        score=sum(numbers) if score is None else score,
        note=note,
        parent_score=3.0,
    )


def failed(salt: int, note: str = "") -> work_pb2.ReportedExperiment:
    return work_pb2.ReportedExperiment(
        content_hash=f"{salt:064x}", score=1.0, reason=experiment_pb2.REASON_NO_IMPROVEMENT, note=note
    )


def code_of(error: grpc.RpcError | None) -> str:
    assert error is not None
    return str(dict(error.trailing_metadata() or ()).get("ar-code"))


def shown(ada: Any, problem: str) -> dict[str, Any]:
    document: dict[str, Any] = ada.card(problem)
    return document


def test_a_lease_its_files_and_its_reports(
    stream: Stream, machine: Machine, ada: Any, problem: str, until: Callable[..., Any]
) -> None:
    task = stream.task()
    assert (task.problem, task.revision, task.parent_score, task.box.seconds) == (problem, 1, 3.0, 300)
    assert json.loads(machine.fetch(task.parent_blob)) == [1, 2]
    bundle = json.loads(machine.fetch(task.bundle))
    assert set(bundle) == {"problem.toml", "program.md", "score.py"}
    for blob in bundle.values():
        assert sha256(machine.fetch(blob)) == blob
    assert machine.fetch(task.bundle, 5) == machine.fetch(task.bundle)[5:]
    counted = [work_pb2.CountedExperiments(reason=experiment_pb2.REASON_CRASH, count=40)]
    stream.report(task.lease, 1, failed(1, "a smaller step"), failed(2), counted=counted)
    receipt = stream.receipt()
    assert (receipt.sequence, receipt.experiments, len(receipt.ids)) == (1, 42, 2)
    assert shown(ada, problem)["experiments"] == 42
    log = ada.log(problem)
    assert {x["id"] for x in log} == set(receipt.ids)
    assert {(x["status"], x["reason"], x["agent"], x["claimed"]) for x in log} == {
        ("recorded", "no_improvement", "tuner", 1.0)
    }
    stream.report(task.lease, 2, last=True)
    assert stream.receipt().experiments == 0
    again = stream.task()
    assert again.lease.id != task.lease.id
    assert again.attempts == ["no_improvement, reported 1: a smaller step"]

    def told_what_was_tried() -> bool:
        stream.say(release=work_pb2.Release(lease=again.lease))
        again.CopyFrom(stream.task())
        hashes = again.tried_hashes.hex()
        return {hashes[at : at + 64] for at in range(0, len(hashes), 64)} == {f"{1:064x}", f"{2:064x}"}

    until(told_what_was_tried)


def test_the_same_report_twice_is_one(stream: Stream, ada: Any, problem: str) -> None:
    task = stream.task()
    report = stream.report(task.lease, 1, failed(1), claim(4, 4))
    first = stream.receipt()
    stream.say(report=report)
    assert stream.receipt() == first
    assert shown(ada, problem)["experiments"] == 2
    assert len(ada.log(problem)) == 2


def test_a_claim_that_holds(new_machine: Callable[[], Machine], pool: Any, ada: Any, problem: str) -> None:
    first, second = new_machine(), new_machine()
    one, other = first.open(), second.open()
    one.hello(problems=[problem])
    other.hello(problems=[problem])
    task = one.task()
    other.task()
    one.report(task.lease, 1, claim(5, 5))
    (claimed,) = one.receipt().ids
    verdict = one.hear("verdict").experiment
    assert (verdict.id, verdict.verified, verdict.contributor) == (claimed, 10.0, first.member.contributor)
    assert verdict.state == experiment_pb2.EXPERIMENT_STATE_ACCEPTED
    for stream in (one, other):
        improved = stream.hear("improved")
        assert (improved.problem, improved.score, improved.blob) == (problem, 10.0, sha256(b"[5, 5]"))
    assert json.loads(second.fetch(improved.blob)) == [5, 5]
    document = httpx.get(f"{pool.web}/api/v1/problems/{problem}").json()
    assert document["best"] == 10.0
    row = ada.pool("leaderboard", problem, "--json").document["rows"][0]
    assert (row["accepted"], row["experiments"]) == (1, 1)


def test_claims_of_one_lease_replace_each_other(stream: Stream, pool: Any, ada: Any, problem: str) -> None:
    task = stream.task()
    stream.report(task.lease, 1, claim(4, 4), claim(4, 5))
    early, late = stream.receipt().ids
    verdicts = {v.id: v for v in (stream.hear("verdict").experiment for _ in range(2))}
    assert verdicts[early].state == experiment_pb2.EXPERIMENT_STATE_WITHDRAWN
    assert "replaced by a better one of the same lease" in verdicts[early].explanation
    assert verdicts[late].state == experiment_pb2.EXPERIMENT_STATE_ACCEPTED


@pytest.mark.parametrize("decision", [(), ("--refuse", "--reason", "copied")])
def test_a_claim_that_waits_for_a_person_has_two_verdicts(
    pool: Any, ada: Any, machine: Machine, make_problem: Callable[..., Path], decision: tuple[str, ...]
) -> None:
    name = "sum-refused" if decision else "sum-released"
    ada.publish(make_problem(PROBLEM, name, max_plausible_gain='"50%"'))
    stream = machine.open()
    stream.hello(problems=[name])
    stream.report(stream.task().lease, 1, claim(9, 9))
    (claimed,) = stream.receipt().ids
    verdict = stream.hear("verdict").experiment
    assert (verdict.id, verdict.state) == (claimed, experiment_pb2.EXPERIMENT_STATE_HELD)
    done = pool.coordinator("experiments", "release", claimed, *decision, "--json")
    assert done.code == 0, done
    verdict = stream.hear("verdict").experiment
    expected = "REJECTED" if decision else "ACCEPTED"
    assert (verdict.id, verdict.state) == (
        claimed,
        experiment_pb2.ExperimentState.Value(f"EXPERIMENT_STATE_{expected}"),
    )
    ada.pool("withdraw", name, "--yes")


def test_a_file_that_was_there_before(stream: Stream, ada: Any, problem: str, write: Callable[..., Path]) -> None:
    done = ada.propose(problem, write("[6, 1]"))
    task = stream.task()
    stream.report(task.lease, 1, claim(6, 1))
    verdict = stream.hear("verdict").experiment
    assert (verdict.state, verdict.reason) == (
        experiment_pb2.EXPERIMENT_STATE_RECORDED,
        experiment_pb2.REASON_DUPLICATE,
    )
    assert done.document["id"] in verdict.explanation


def test_a_claim_that_breaks_the_one_file_rule(stream: Stream) -> None:
    task = stream.task()
    hidden = work_pb2.ReportedExperiment(content=b"[1, 2]\x00", score=9.0)
    stream.report(task.lease, 1, hidden)
    verdict = stream.hear("verdict").experiment
    assert (verdict.state, verdict.reason) == (experiment_pb2.EXPERIMENT_STATE_REJECTED, experiment_pb2.REASON_POLICY)
    assert "U+0000" in verdict.explanation


def of_machine(pool: Any, machine: Machine) -> dict[str, Any]:
    """What the operator sees of a machine."""
    found = pool.coordinator("workers", "list", "--json").document["workers"]
    return next(one for one in found if one["id"] == machine.member.identity)


def test_lies_cool_a_machine_down(stream: Stream, machine: Machine, pool: Any, ada: Any, problem: str) -> None:
    task = stream.task()
    stream.report(task.lease, 1, claim(1, 1, score=1e9), last=True)
    stream.receipt()
    verdict = stream.hear("verdict").experiment
    assert verdict.state == experiment_pb2.EXPERIMENT_STATE_REJECTED
    stream.want()
    wait = stream.hear("wait")
    assert list(wait.reasons) == [work_pb2.WAIT_REASON_COOL_DOWN]
    assert 1 < wait.duration.ToSeconds() <= 13
    assert shown(ada, problem)["best"] == 3.0
    seen = of_machine(pool, machine)
    assert (seen["grade"], seen["claims_held"], seen["claims_failed"]) == ("B", 0, 1)
    # It gets work again when that is over, without asking.
    assert stream.hear("task").problem == problem


def test_noise_is_no_gain_however_often_it_is_claimed(
    machine: Machine, pool: Any, ada: Any, make_problem: Callable[..., Path], records: Store
) -> None:
    """The same numbers in other words: now and then one scores better by luck, and a liar claims each of them."""
    problem = "noise-claimed"
    ada.publish(make_problem("noisy-sum", problem, max_pairs="30"))
    before = shown(ada, problem)
    stream = machine.open()
    stream.hello(problems=[problem])
    for number in range(NOISY_FAILURES):
        task = stream.task()
        same = claim(1, 2, score=6.0 + number)
        same.content = f"[1, 2.{'0' * (number + 1)}]".encode()
        same.content_hash = content_hash(same.content)
        stream.report(task.lease, 1, same, last=True)
        stream.receipt()
        verdict = stream.hear("verdict", seconds=120).experiment
        assert verdict.state == experiment_pb2.EXPERIMENT_STATE_REJECTED, verdict
        assert verdict.reason in {experiment_pb2.REASON_NO_IMPROVEMENT, experiment_pb2.REASON_INCONCLUSIVE}
        assert (verdict.claimed, verdict.worker_grade) == (6.0 + number, "B")
    stream.want()
    assert list(stream.hear("wait").reasons) == [work_pb2.WAIT_REASON_COOL_DOWN]
    after = shown(ada, problem)
    assert (after["head"], after["best"], after["accepted"]) == (before["head"], before["best"], 0)
    # The clock of its cool-down is turned on, so that the operator's look comes in time on any machine.
    records.connection.text.hset(keys.trust(machine.member.identity), "cool_until", now_ms() + 3_600_000)
    seen = of_machine(pool, machine)
    assert (seen["claims_held"], seen["claims_failed"]) == (0, NOISY_FAILURES)
    assert seen["cool_until"] is not None
    table = pool.coordinator("workers", "list").out
    assert f"the last {NOISY_FAILURES} did not; cools down until" in table
    ada.pool("withdraw", problem, "--yes")


def test_somebody_elses_candidate_earns_nothing(
    new_machine: Callable[[], Machine], pool: Any, ada: Any, problem: str, wire: Any,
    operator_session: Callable[..., str],
) -> None:  # fmt: skip
    """Neither before its verdict nor after it, and however the thief dresses it up."""
    honest, thief = new_machine(), new_machine()
    one, other = honest.open(), thief.open()
    one.hello(problems=[problem])
    other.hello(problems=[problem])
    mine, its = one.task(), other.task()
    wire.call("Drain", session=operator_session(pool), drain=True)
    one.report(mine.lease, 1, claim(4, 4))
    (first,) = one.receipt().ids
    other.report(its.lease, 1, claim(4, 4, score=1e9, note="mine"))
    (stolen,) = other.receipt().ids
    wire.call("Drain", session=operator_session(pool), drain=False)
    assert one.hear("verdict").experiment.state == experiment_pb2.EXPERIMENT_STATE_ACCEPTED
    head = shown(ada, problem)["head"]
    told = other.hear("verdict").experiment
    assert (told.id, told.reason) == (stolen, experiment_pb2.REASON_DUPLICATE)
    dressed = claim(4, 4, score=1e9)
    dressed.content = b"[4.0,\n4]"
    dressed.content_hash = content_hash(dressed.content)
    other.report(its.lease, 2, dressed, last=True)
    other.receipt()
    told = other.hear("verdict").experiment
    assert (told.state, told.reason) == (
        experiment_pb2.EXPERIMENT_STATE_REJECTED, experiment_pb2.REASON_NO_IMPROVEMENT,
    )  # fmt: skip
    other.want()
    assert list(other.hear("wait").reasons) == [work_pb2.WAIT_REASON_COOL_DOWN]
    assert shown(ada, problem)["head"] == head
    rows = {r["contributor"]: r for r in ada.pool("leaderboard", problem, "--json").document["rows"]}
    assert (rows[honest.member.contributor]["accepted"], rows[honest.member.contributor]["share"]) == (1, 1.0)
    assert (rows[thief.member.contributor]["accepted"], rows[thief.member.contributor]["gain"]) == (0, 0.0)
    assert {x["id"] for x in ada.log(problem) if x["status"] == "accepted"} == {first}


def test_another_machines_lease_and_an_old_number(new_machine: Callable[[], Machine], stream: Stream, ada: Any,
                                                  problem: str) -> None:  # fmt: skip
    task = stream.task()
    stale = work_pb2.LeaseName(id=task.lease.id, fencing=task.lease.fencing + 1)
    stream.report(stale, 1, claim(9, 9))
    assert stream.hear("cancel").lease == stale
    thief = new_machine().open()
    thief.hello(problems=[problem])
    thief.report(task.lease, 1, claim(9, 9))
    assert thief.hear("cancel").lease == task.lease
    thief.say(release=work_pb2.Release(lease=task.lease))
    thief.say(progress=work_pb2.Progress(leases=[task.lease]))
    assert thief.hear("cancel").lease == task.lease
    assert shown(ada, problem)["experiments"] == 0
    stream.report(task.lease, 1, failed(1))
    assert stream.receipt().experiments == 1


def test_a_line_that_breaks(stream: Stream, machine: Machine, ada: Any, problem: str) -> None:
    kept, forgotten = stream.task(), stream.task()
    unknown = work_pb2.LeaseName(id="l-0000000000000000", fencing=1)
    report = stream.report(kept.lease, 1, failed(1))
    receipt = stream.receipt()
    stream.break_off()
    resumed = machine.open()
    resumed.hello(kept.lease, unknown, problems=[problem])
    assert resumed.hear("cancel").lease == unknown
    # The receipt may have been lost with the line.
    resumed.say(report=report)
    assert resumed.receipt() == receipt
    resumed.report(kept.lease, 2, failed(2), last=True)
    assert resumed.receipt().experiments == 1
    # What the machine did not name was given back; what comes of it all the same is not lost.
    resumed.report(forgotten.lease, 1, failed(3))
    assert resumed.receipt().experiments == 1
    assert shown(ada, problem)["experiments"] == 3


def test_a_late_report_of_an_expired_lease(
    stream: Stream, records: Store, ada: Any, problem: str, until: Callable[..., Any]
) -> None:
    lease = stream.task().lease

    def is_over() -> bool:
        # As if its time were over: the sweeper ends it, unless it was just being renewed.
        records.connection.text.zadd(keys.LEASES, {lease.id: 1}, xx=True)
        return records.leases.state(lease.id) is LeaseState.EXPIRED

    until(is_over)
    stream.say(progress=work_pb2.Progress(leases=[lease]))
    assert stream.hear("cancel").lease == lease
    stream.report(lease, 1, failed(1), claim(3, 3))
    assert stream.receipt().experiments == 2
    assert stream.hear("verdict").experiment.state == experiment_pb2.EXPERIMENT_STATE_ACCEPTED
    assert shown(ada, problem)["experiments"] == 2
    # Its place is free again.
    assert stream.task().lease.fencing > lease.fencing


def test_a_second_stream_of_a_machine_takes_over(stream: Stream, machine: Machine, problem: str) -> None:
    task = stream.task()
    newer = machine.open()
    newer.hello(task.lease, problems=[problem])
    assert code_of(stream.end()) == "AR-A103"
    newer.report(task.lease, 1, failed(1))
    assert newer.receipt().experiments == 1


def test_a_verdict_while_the_machine_was_away(
    stream: Stream, machine: Machine, ada: Any, problem: str, until: Callable[..., Any]
) -> None:
    task = stream.task()
    stream.report(task.lease, 1, claim(7, 7))
    (claimed,) = stream.receipt().ids
    stream.break_off()
    until(lambda: ada.log(problem)[0]["status"] == "accepted")
    back = machine.open()
    back.hello(task.lease, problems=[problem])
    assert back.hear("verdict").experiment.id == claimed
    assert back.hear("improved").score == 14.0


def test_a_verdict_that_was_lost_with_the_line(
    stream: Stream, machine: Machine, problem: str, records: Store, until: Callable[..., Any]
) -> None:
    """The pool wrote it, and cannot know that nobody read it."""
    told = f"ar:told:{machine.member.identity}"
    task = stream.task()
    stream.report(task.lease, 1, claim(8, 8))
    (claimed,) = stream.receipt().ids
    assert stream.hear("verdict").experiment.id == claimed
    stream.break_off()
    back = machine.open()
    back.hello(task.lease, problems=[problem])
    verdict = back.hear("verdict").experiment
    assert (verdict.id, verdict.state) == (claimed, experiment_pb2.EXPERIMENT_STATE_ACCEPTED)
    # Who leaves on purpose has heard what it wanted to hear.
    back.say(goodbye=work_pb2.Goodbye(reason="done"))
    assert back.end() is None
    until(lambda: not records.connection.text.exists(told))
    again = machine.open()
    again.hello(problems=[problem])
    assert again.task().problem == problem
    assert not [said for said in again._kept if said.WhichOneof("message") == "verdict"]


def test_pausing_takes_leases_away_and_gives_new_ones(stream: Stream, ada: Any, problem: str) -> None:
    task = stream.task()
    assert ada.pool("pause", problem).code == 0
    cancel = stream.hear("cancel")
    assert cancel.lease == task.lease
    assert "paused" in cancel.reason
    # What was found before it heard of that is not lost.
    stream.report(task.lease, 1, failed(1))
    assert stream.receipt().experiments == 1
    stream.want()
    assert list(stream.hear("wait").reasons) == [work_pb2.WAIT_REASON_PAUSED]
    assert ada.pool("resume", problem).code == 0
    # The wish stands: nothing needs to be said again.
    assert stream.hear("task").problem == problem


def test_no_work_and_why(machine: Machine, problem: str) -> None:
    stream = machine.open()
    assert stream.hello(problems=["no-such-problem"], slots=8).leases == 2
    stream.want()
    assert list(stream.hear("wait").reasons) == [work_pb2.WAIT_REASON_NO_PROBLEM_MATCHES]
    small = machine.open()
    small.hello(problems=[problem], limits=work_pb2.MachineLimits(cpus=1, memory=1024 * 1024))
    small.want()
    assert list(small.hear("wait").reasons) == [work_pb2.WAIT_REASON_NO_PROBLEM_MATCHES]
    silent = machine.open()
    silent.hello(problems=[problem], sandbox_grade="")
    silent.want()
    assert list(silent.hear("wait").reasons) == [work_pb2.WAIT_REASON_SANDBOX]
    asked = work_pb2.Decline(revisions=[work_pb2.RevisionName(problem=problem, revision=1)])
    unwilling = machine.open()
    unwilling.hello(problems=[problem], decline=asked)
    unwilling.want()
    assert list(unwilling.hear("wait").reasons) == [work_pb2.WAIT_REASON_CONSENT]
    # Its owner has agreed since.
    unwilling.say(decline=work_pb2.Decline())
    assert unwilling.hear("task").problem == problem
    unwilling.say(decline=asked)
    unwilling.want()
    assert list(unwilling.hear("wait").reasons) == [work_pb2.WAIT_REASON_CONSENT]
    greedy = machine.open()
    greedy.hello(problems=[problem], slots=8)
    greedy.want(3)
    first, _second = greedy.hear("task"), greedy.hear("task")
    assert list(greedy.hear("wait").reasons) == [work_pb2.WAIT_REASON_QUOTA]
    # The third comes as soon as one of the two is over.
    greedy.say(release=work_pb2.Release(lease=first.lease, reason="the owner wants the machine"))
    assert greedy.hear("task").problem == problem


def test_the_next_lease_is_granted_while_the_only_slot_is_busy(machine: Machine, problem: str) -> None:
    stream = machine.open()
    assert stream.hello(problems=[problem], slots=1).leases == 2
    first, next_one = stream.task(), stream.task()
    assert first.lease.id != next_one.lease.id
    stream.want()
    assert list(stream.hear("wait").reasons) == [work_pb2.WAIT_REASON_QUOTA]
    # A slot that ends its lease has the next one in hand, and says with its report that it wants another.
    stream.report(first.lease, 1, failed(1), last=True)
    assert stream.receipt().experiments == 1
    third = stream.task()
    assert third.lease.fencing > next_one.lease.fencing
    stream.report(next_one.lease, 1, failed(2), last=True)
    assert stream.receipt().experiments == 1


def test_what_is_said_at_once_is_answered_in_its_order(machine: Machine, ada: Any, problem: str) -> None:
    stream = machine.open()
    stream.hello(problems=[problem], slots=1)
    lease = stream.task().lease
    for number in range(1, 21):
        report = stream.signed(lease, number, failed(number), last=number == 20)
        more = [work_pb2.WorkRequest(want=work_pb2.Want(slots=1))] if report.last else []
        stream.say(report=report, more=more)
    receipts = [stream.receipt().sequence for _ in range(20)]
    assert receipts == list(range(1, 21))
    assert stream.hear("task").lease.fencing > lease.fencing
    # Reports that are on their way when a machine leaves are taken in, and it is told so.
    last = stream.signed(stream.task().lease, 1, failed(21), last=True)
    stream.say(report=last, more=[work_pb2.WorkRequest(goodbye=work_pb2.Goodbye(reason="done"))])
    assert stream.receipt().experiments == 1
    assert stream.end() is None
    assert shown(ada, problem)["experiments"] == 21


def test_more_messages_at_once_than_anybody_says(new_machine: Callable[[], Machine], problem: str, ada: Any) -> None:
    """A million small messages fit in one; whoever sends them is cut off, and the others do not wait for them."""
    want = work_pb2.WorkRequest(want=work_pb2.Want(slots=1))
    many = work_pb2.WorkRequest(more=[work_pb2.WorkRequest()] * 900_000)
    within = work_pb2.WorkRequest(want=want.want, more=[work_pb2.WorkRequest(more=[want])])
    one_too_many = work_pb2.WorkRequest(want=want.want, more=[want] * 500)
    machine = new_machine()
    for odd in (many, within, one_too_many):
        stream = machine.open()
        stream.hello(problems=[problem])
        for _ in range(3):
            stream._say.put(odd)
        assert code_of(stream.end()) == "AR-A101"
    stream = machine.open()
    stream.hello(problems=[problem])
    stream._say.put(work_pb2.WorkRequest(want=want.want, more=[want] * 499))
    assert stream.hear("task").problem == problem


def test_a_machine_that_told_of_too_much_in_an_hour(stream: Stream, machine: Machine, records: Store) -> None:
    lease = stream.task().lease
    # Instead of telling of ten thousand, one by one.
    hour = f"ar:hour:{machine.member.identity}"
    records.connection.text.set(hour, RECORDED_AN_HOUR * FIRST_SLOTS, ex=3600)
    stream.report(lease, 1, failed(1), claim(4, 4), last=True)
    receipt = stream.receipt()
    assert (receipt.experiments, list(receipt.ids)) == (2, ["", ""])
    stream.want()
    wait = stream.hear("wait")
    assert list(wait.reasons) == [work_pb2.WAIT_REASON_QUOTA]
    assert wait.duration.ToSeconds() > 1000
    records.connection.text.delete(hour)
    stream.want()
    assert stream.hear("task")


def test_programs_that_a_machine_has_and_has_not(
    machine: Machine, ada: Any, records: Store, make_problem: Callable[..., Path]
) -> None:
    """A machine is asked for what the problems that it may get ask for, and gets those whose programs it has."""
    names = {"sum-with-sh": "sh", "sum-with-nothing": "ar-no-such-program"}
    for name in names:
        folder = make_problem(PROBLEM, name)
        with (folder / "problem.toml").open("a") as manifest:
            manifest.write('\n[environment]\nsystem = ["sh"]\n')
        ada.publish(folder)
    # Registration refuses what the pool's own machine lacks; this stands for a volunteer's that lacks something.
    key = keys.problem("sum-with-nothing")
    text = records.connection.text.hget(key, "manifest").replace('["sh"]', '["ar-no-such-program"]')
    records.connection.text.hset(key, "manifest", text)
    records.connection.text.xadd(keys.EVENTS, {"kind": "problem", "problem": "sum-with-nothing", "id": ""})
    stream = machine.open()
    stream.hello(problems=list(names))
    asked = stream.hear("ask", lambda ask: len(ask.programs) == 2)
    assert list(asked.programs) == ["ar-no-such-program", "sh"]
    stream.want()
    assert list(stream.hear("wait").reasons) == [work_pb2.WAIT_REASON_NO_PROBLEM_MATCHES]
    stream.say(programs=work_pb2.Programs(names=["sh", "a-program-nobody-asked-for"]))
    # What it wanted stands.
    assert stream.hear("task").problem == "sum-with-sh"
    other = machine.open()
    other.hello(problems=["sum-with-nothing"])
    assert list(other.hear("ask").programs) == ["ar-no-such-program"]
    other.say(programs=work_pb2.Programs())
    other.want()
    assert list(other.hear("wait").reasons) == [work_pb2.WAIT_REASON_NO_PROBLEM_MATCHES]
    for name in names:
        ada.pool("withdraw", name, "--yes")


def test_draining(stream: Stream, wire: Any, pool: Any, operator_session: Callable[..., str]) -> None:
    session = operator_session(pool)
    assert wire.call("Drain", session=session, drain=True).status is grpc.StatusCode.OK
    try:
        stream.want()
        assert list(stream.hear("wait").reasons) == [work_pb2.WAIT_REASON_DRAINING]
    finally:
        wire.call("Drain", session=session, drain=False)


def test_goodbye_gives_everything_back(stream: Stream, machine: Machine, problem: str) -> None:
    task = stream.task()
    stream.say(goodbye=work_pb2.Goodbye(reason="shutting down"))
    assert stream.end() is None
    back = machine.open()
    back.hello(task.lease, problems=[problem])
    assert back.hear("cancel").lease == task.lease


def test_blobs_of_others_stay_theirs(
    new_machine: Callable[[], Machine], stream: Stream, machine: Machine, ada: Any, problem: str,
    make_problem: Callable[..., Path],
) -> None:  # fmt: skip
    stranger = new_machine()
    task = stream.task()
    assert stranger.refused(task.bundle) == "AR-X403"
    assert stranger.refused(task.parent_blob) == "AR-X403"
    assert machine.refused(sha256(b"no such blob")) == "AR-X403"
    assert machine.refused("../../keys/seed") == "AR-A101"
    # A claim's bytes are shown to nobody before its verdict, not even to the same problem's other workers.
    other = stranger.open()
    other.hello(problems=[problem])
    other.task()
    assert stranger.fetch(task.bundle)
    stream.report(task.lease, 1, claim(1, 1.5, score=90.0))
    stream.receipt()
    assert stranger.refused(sha256(b"[1, 1.5]")) == "AR-X403"
    assert machine.refused(sha256(b"[1, 1.5]")) == "AR-X403"


@pytest.mark.parametrize("spoil", ["signature", "content", "other key"])
def test_a_report_that_the_machine_did_not_sign(
    stream: Stream, new_machine: Callable[[], Machine], ada: Any, problem: str, spoil: str
) -> None:
    task = stream.task()
    report = work_pb2.Report(lease=task.lease, sequence=1, experiments=[failed(1)])
    key = new_machine().member.key if spoil == "other key" else stream.machine.member.key
    report.signature = sign(key, REPORT_DOMAIN, report.SerializeToString(deterministic=True))
    if spoil == "signature":
        report.signature = report.signature[::-1]
    elif spoil == "content":
        report.experiments[0].score = 2.0
    stream.say(report=report)
    assert code_of(stream.end()) == "AR-I201"
    assert shown(ada, problem)["experiments"] == 0


def test_machines_that_make_no_sense(machine: Machine) -> None:
    hello = {"slots": 1, "protocol_min": 1, "protocol_max": 1}
    for first, code in [
        ({"want": work_pb2.Want(slots=1)}, "AR-A101"),
        ({"hello": work_pb2.Hello(**{**hello, "slots": 0})}, "AR-A101"),
        ({"hello": work_pb2.Hello(**{**hello, "protocol_min": 2, "protocol_max": 3})}, "AR-A104"),
        ({"hello": work_pb2.Hello(**{**hello, "sandbox_grade": "C"})}, "AR-S500"),
    ]:
        stream = machine.open()
        stream.say(**first)
        assert code_of(stream.end()) == code
    for second in [
        {"hello": work_pb2.Hello(**hello)},
        {"release": work_pb2.Release(lease=work_pb2.LeaseName(id="l" * 50))},
        {"release": work_pb2.Release(lease=work_pb2.LeaseName(id="l-1\n", fencing=-1))},
    ]:
        stream = machine.open()
        stream.hello()
        stream.say(**second)
        assert code_of(stream.end()) == "AR-A101"
    for odd in [{"sequence": 0}, {"counted": [work_pb2.CountedExperiments(count=-5)]},
                {"counted": [work_pb2.CountedExperiments(count=10**9)]},
                {"counted": [work_pb2.CountedExperiments(count=1)] * 500_000}]:  # fmt: skip
        stream = machine.open()
        stream.hello()
        stream.report(work_pb2.LeaseName(id="l-1", fencing=1), **{"sequence": 1, **odd})
        assert code_of(stream.end()) == "AR-A101"


def test_a_banned_machine_is_told_so(
    stream: Stream, wire: Any, pool: Any, operator_session: Callable[..., str]
) -> None:
    task = stream.task()
    banned = wire.call(
        "SetBan", session=operator_session(pool), identity=stream.machine.member.identity, banned=True,
        reason="no more",
    )  # fmt: skip
    assert banned.status is grpc.StatusCode.OK, banned
    stream.report(task.lease, 1, failed(1))
    assert code_of(stream.end()) == "AR-I209"


def test_killed_between_report_and_receipt(
    pool: Any, machine: Machine, ada: Any, problem: str, until: Callable[..., Any]
) -> None:
    """A report that is sent until there is a receipt counts once, whenever ``serve`` is killed."""
    stream = machine.open()
    stream.hello(problems=[problem])
    lease = stream.task().lease
    pause = threading.Event()
    for sequence, delay in enumerate((0.0, 0.002, 0.004, 0.008, 0.02), start=1):
        report = stream.report(lease, sequence, failed(sequence), counted=[work_pb2.CountedExperiments(count=2)])
        pause.wait(delay)
        pool.kill()
        assert stream.end() is not None
        pool.start()
        stream = machine.open()
        stream.hello(lease, problems=[problem])
        stream.say(report=report)
        assert stream.hear("receipt", lambda receipt, n=sequence: receipt.sequence == n).experiments == 3
    assert shown(ada, problem)["experiments"] == 15
    assert len(ada.log(problem)) == 5
