"""Verifiers elsewhere as the pool sees them: what they are given, what they may fetch, and what becomes of failures.

These verifiers are calls on the wire; true ones are in ``test_verifiers``.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from ar_coordinator.work_order import (
    Order,
    PairResult,
    PairsOrder,
    PairsResult,
    RegistrationOrder,
    RegistrationResult,
    SideResult,
    decode_order,
    encode,
)
from ar_core.candidate import sha256
from ar_proto.v1 import verification_pb2

pytestmark = pytest.mark.timeout(300)
OK, GONE, SENSELESS = grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
GIB = 1024**3
SCORES = {"outcome": "ok", "secondary": {"numbers": 2.0}, "feedback": "", "seconds": 0.1}


class Verifier:
    """Somebody with a verifier's token, who measures in the head."""

    def __init__(self, pool: Any, wire: Any) -> None:
        self.wire = wire
        self.session = wire.session(wire.join(pool.token("verifier")))
        self.name = wire.call("WhoAmI", session=self.session).value.identity.machine
        self.patience = iter([*[True] * 9, False])

    def look(self, cpus: int = 2, memory: int = GIB) -> Any:
        """Ask for a batch that is there now; what comes is empty when there is none for this machine."""
        return self._ask(cpus, memory, Duration())

    def take(self, cpus: int = 2, memory: int = GIB) -> Any:
        """Wait for a batch."""
        while not (given := self._ask(cpus, memory, None)).batch:
            assert next(self.patience), "no batch came"
        return given

    def _ask(self, cpus: int, memory: int, patience: Duration | None) -> Any:
        machine = verification_pb2.VerifierMachine(cpus=cpus, memory=memory, python="3.11.2", sandbox_grade="B")
        request = verification_pb2.TakeBatchRequest(machine=machine, patience=patience)
        answer = self.wire.call("TakeBatch", request, session=self.session, seconds=60)
        assert answer.status is OK, answer
        return answer.value

    def fetch(self, blob: str) -> Any:
        return self.wire.call("FetchBlob", sha256=blob, session=self.session)

    def finish(self, given: Any, result: str) -> Any:
        return self.wire.call(
            "FinishBatch", batch=given.batch, fencing=given.fencing, result=result, session=self.session
        )

    def measure(self, given: Any, trouble: str = "") -> bool:
        """Hand in what an honest verifier would, for a problem of sums."""
        answer = self.finish(given, self.result(decode_order(given.order), trouble))
        assert answer.status is OK, answer
        return bool(answer.value.taken)

    def result(self, order: Order, trouble: str = "") -> str:
        if isinstance(order, RegistrationOrder):
            return encode(
                RegistrationResult(
                    verifier="somebody else", ok=True, baseline=3.0, mean=3.0, sd=0.0, n=5, interval=None,
                    seconds=0.1, secondary={}, findings=(), trouble=trouble,
                )
            )  # fmt: skip
        pairs = [
            PairResult(index=pair.index, candidate=self._side(order.candidate), incumbent=self._side(order.incumbent))
            for pair in order.pairs
        ]
        return encode(
            PairsResult(verifier="somebody else", pairs=() if trouble else pairs, seconds=0.1, trouble=trouble)
        )

    def _side(self, blob: str) -> SideResult:
        answer = self.fetch(blob)
        assert answer.status is OK, answer
        return SideResult(score=float(sum(json.loads(answer.value.data))), **SCORES)

    def give_back(self, *, leaving: bool = True) -> None:
        assert self.wire.call("ReturnBatches", leaving=leaving, session=self.session).status is OK


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool("--verifiers", "0")


@pytest.fixture(scope="module")
def wire(pool: Any, open_wire: Callable[..., Any]) -> Any:
    return open_wire(pool)


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("ada"), "ada")


@pytest.fixture
def leaving(pool: Any, wire: Any) -> Iterator[Callable[[], Verifier]]:
    """Make verifiers that leave when the test ends."""
    made: list[Verifier] = []

    def make() -> Verifier:
        made.append(Verifier(pool, wire))
        return made[-1]

    yield make
    for one in made:
        one.give_back()


@pytest.fixture
def publish(ada: Any, make_problem: Callable[..., Path]) -> Callable[..., Path]:
    """Upload a problem, to be measured by whoever takes it."""

    def make(name: str, **lines: str) -> Path:
        folder = make_problem("small-sum", name, **lines)
        done = ada.pool("publish", str(folder), "--no-wait", "--json")
        assert done.code == 0, done
        return folder

    return make


def status(ada: Any, problem: str) -> dict[str, Any]:
    (x,) = ada.log(problem)
    return x


def test_an_accept_is_named_after_the_machine_whose_session_measured_it(
    ada: Any, leaving: Callable[[], Verifier], publish: Callable[..., Path], write: Callable[..., Path],
    until: Callable[..., Any],
) -> None:  # fmt: skip
    one = leaving()
    publish("far-sum")
    given = one.take()
    assert isinstance(decode_order(given.order), RegistrationOrder)
    assert one.measure(given)
    until(lambda: ada.card("far-sum").get("state") == "open", 60)
    ada.propose("far-sum", write("[5, 5]"), "--no-wait")
    given = one.take()
    order = decode_order(given.order)
    assert isinstance(order, PairsOrder)
    assert {pair.index for pair in order.pairs} == {0, 1}
    result = one.result(order)
    assert one.finish(given, result).value.taken
    until(lambda: status(ada, "far-sum")["status"] == "accepted", 60)
    document = ada.pool("log", "far-sum", "--json").documents[0]
    assert (document["verified"], document["verifier"]) == (10.0, one.name)
    assert not one.finish(given, result).value.taken, "a result is handed in once"


def test_only_who_holds_a_batch_reaches_its_files(
    pool: Any, wire: Any, ada: Any, leaving: Callable[[], Verifier], make_problem: Callable[..., Path]
) -> None:
    folder = make_problem("asked-squares", "kept-squares")
    secret = sha256((folder / "hidden" / "word.txt").read_bytes())
    assert ada.pool("publish", str(folder), "--no-wait", "--json").code == 0
    one, another = leaving(), leaving()
    worker = wire.session(wire.join(pool.token("worker")))
    refused = (GONE, "AR-X403")

    def answers(session: str) -> tuple[Any, str]:
        answer = wire.call("FetchBlob", sha256=secret, session=session)
        return answer.status, answer.code

    assert [answers(s) for s in (one.session, another.session, worker)] == [refused] * 3
    given = one.take()
    assert one.fetch(secret).value.data == (folder / "hidden" / "word.txt").read_bytes()
    assert [answers(s) for s in (another.session, worker)] == [refused] * 2
    # Nor does anybody else renew or finish it, whatever number is named.
    answer = another.finish(given, one.result(decode_order(given.order)))
    assert (answer.status, answer.value.taken) == (OK, False)
    renewed = wire.call("RenewBatch", batch=given.batch, fencing=given.fencing, session=another.session)
    assert not renewed.value.held
    assert wire.call("RenewBatch", batch=given.batch, fencing=given.fencing, session=one.session).value.held
    one.give_back(leaving=False)
    assert answers(one.session) == refused
    given = another.take()
    assert given.tries == 2
    assert another.fetch(secret).status is OK
    document = json.loads(another.result(decode_order(given.order)))
    assert another.finish(given, json.dumps({**document, "ok": False})).value.taken
    assert answers(another.session) == refused


def test_trouble_is_no_evidence_and_goes_to_another_verifier(
    ada: Any, leaving: Callable[[], Verifier], publish: Callable[..., Path], write: Callable[..., Path],
    until: Callable[..., Any],
) -> None:  # fmt: skip
    broken, sound = leaving(), leaving()
    publish("hard-sum")
    assert sound.measure(sound.take())
    until(lambda: ada.card("hard-sum").get("state") == "open", 60)
    ada.propose("hard-sum", write("[6, 6]"), "--no-wait")
    given = broken.take()
    assert broken.measure(given, trouble="no more\x1b[31m rooms")
    until(lambda: "no more[31m rooms" in status(ada, "hard-sum")["explanation"], 60)
    again = sound.take()
    assert again.batch, "it was tried again"
    assert again.batch != given.batch
    sound.give_back(leaving=False)
    fresh = leaving()
    assert fresh.measure(fresh.take())
    until(lambda: status(ada, "hard-sum")["status"] == "accepted", 60)
    assert status(ada, "hard-sum")["verifier"] == fresh.name


def test_a_verifier_that_failed_leaves_the_batch_to_the_others(
    ada: Any, leaving: Callable[[], Verifier], publish: Callable[..., Path]
) -> None:
    publish("left-sum")
    one, other = leaving(), leaving()
    given = one.take()
    one.give_back(leaving=False)
    # Nobody else is there yet, so it gets it again.
    assert one.take().batch == given.batch
    assert not other.look(cpus=1).batch
    one.give_back(leaving=False)
    assert not one.look().batch, "somebody else is there"
    got = other.look(cpus=1)
    assert got.batch == given.batch
    assert other.measure(got)


def test_a_batch_waits_for_a_machine_that_has_what_its_problem_needs(
    pool: Any, ada: Any, leaving: Callable[[], Verifier], publish: Callable[..., Path], write: Callable[..., Path],
    until: Callable[..., Any],
) -> None:  # fmt: skip
    big, small = leaving(), leaving()
    assert not big.look(cpus=64, memory=64 * GIB).batch
    publish("big-sum", memory='"32GiB"')
    assert not small.look().batch, "a machine that has the memory is there"
    assert big.measure(big.take(cpus=64, memory=64 * GIB))
    until(lambda: ada.card("big-sum").get("state") == "open", 60)
    big.give_back()
    ada.propose("big-sum", write("[7, 7]"), "--no-wait")
    waits = "It waits: no verifier that is here has 32 GiB of memory."
    until(lambda: status(ada, "big-sum")["explanation"] == waits, 60)
    assert status(ada, "big-sum")["status"] == "queued"
    assert "no verifier for an experiment" in pool.log.read_text()
    # It does not keep others from being verified.
    publish("little-sum")
    assert small.measure(small.take())
    until(lambda: ada.card("little-sum").get("state") == "open", 60)
    ada.propose("little-sum", write("[7, 7]"), "--no-wait")
    assert small.measure(small.take())
    until(lambda: status(ada, "little-sum")["status"] == "accepted", 60)
    assert big.measure(big.take(cpus=64, memory=64 * GIB))
    until(lambda: status(ada, "big-sum")["status"] == "accepted", 60)
    assert status(ada, "big-sum")["verifier"] == big.name


@pytest.mark.parametrize(
    ("name", "result", "why"),
    [
        ("words", "no JSON", "not a result"),
        ("pairs", '{"type":"pairs","verifier":"v","pairs":[],"seconds":0}', "another kind"),
        ("little", '{"type":"registration"}', "not a result"),
    ],
)
def test_what_is_no_result_of_the_order_is_refused(
    ada: Any, leaving: Callable[[], Verifier], publish: Callable[..., Path], name: str, result: str, why: str
) -> None:
    publish(f"odd-{name}")
    one = leaving()
    given = one.take()
    answer = one.finish(given, result)
    assert (answer.status, answer.code) == (SENSELESS, "AR-A101")
    assert why in answer.message
    assert one.measure(given), "the batch is still this verifier's"


@pytest.mark.parametrize(
    "machine",
    [
        {}, {"cpus": 1, "memory": GIB, "python": "three", "sandbox_grade": "B"},
        {"cpus": 0, "memory": GIB, "python": "3.11.2", "sandbox_grade": "B"},
        {"cpus": 1, "memory": GIB, "python": "3.11.2", "sandbox_grade": "C"},
    ],
)  # fmt: skip
def test_a_machine_that_cannot_be_a_verifiers(wire: Any, leaving: Callable[[], Verifier], machine: Any) -> None:
    request = verification_pb2.TakeBatchRequest(machine=verification_pb2.VerifierMachine(**machine))
    answer = wire.call("TakeBatch", request, session=leaving().session)
    assert answer.code == ("AR-S500" if machine.get("sandbox_grade") == "C" else "AR-A101")
