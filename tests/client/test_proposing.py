import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from ar_core.lifecycle import ExperimentState, Reason

Run = Callable[..., Any]
E = ExperimentState


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    path = tmp_path / "candidate.json"
    path.write_bytes(b"[1]\n")
    return path


def test_what_is_sent(signed_in: Any, ar_pool: Run, candidate: Path) -> None:
    ended = ar_pool(
        "propose", "packing", "--file", candidate, "--note", "n", "--claimed", "3.5", "--no-wait", "--json"
    )
    assert (ended.code, ended.document["status"]) == (0, "queued")
    assert {"id", "status", "reason", "claimed", "verified", "incumbent", "commit"} <= set(ended.document)
    (request,) = signed_in.script.requests("Propose")
    assert (request.content, request.size, request.note, request.claimed) == (b"[1]\n", 4, "n", 3.5)
    assert request.sha256 == hashlib.sha256(b"[1]\n").hexdigest()
    assert len(request.idempotency_key) == 32


@pytest.mark.parametrize("size", [64, 65, 3_000_000])
def test_a_file_over_the_limit_is_only_hashed(signed_in: Any, ar_pool: Run, candidate: Path, size: int) -> None:
    candidate.write_bytes(b"x" * size)
    ar_pool("propose", "packing", "--file", candidate, "--no-wait")
    (request,) = signed_in.script.requests("Propose")
    assert request.HasField("content") == (size <= 64)
    assert not request.HasField("claimed")
    assert (request.size, request.sha256) == (size, hashlib.sha256(b"x" * size).hexdigest())


def test_binary_bytes_are_sent_as_they_are(signed_in: Any, ar_pool: Run, candidate: Path) -> None:
    candidate.write_bytes(b"\x00\xff\r\n")
    ar_pool("propose", "packing", "--file", candidate, "--no-wait")
    assert signed_in.script.requests("Propose")[0].content == b"\x00\xff\r\n"


def test_a_file_that_cannot_be_read(signed_in: Any, ar_pool: Run, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        ended = ar_pool("propose", "packing", "--file", path, "--json")
        assert (ended.code, ended.error["code"]) == (2, "AR-A106")
    assert signed_in.script.requests("Propose") == []


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_claim_is_a_finite_number(signed_in: Any, ar_pool: Run, candidate: Path, number: str) -> None:
    assert ar_pool("propose", "packing", "--file", candidate, "--claimed", number).code == 2


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        (E.ACCEPTED, None, 0),
        (E.HELD, Reason.IMPLAUSIBLE, 0),
        (E.REJECTED, Reason.POLICY, 9),
        (E.RECORDED, Reason.DUPLICATE, 9),
        (E.WITHDRAWN, Reason.WITHDRAWN, 9),
    ],
)
@pytest.mark.parametrize("no_wait", [[], ["--no-wait"]])
def test_an_answer_at_once(
    signed_in: Any, ar_pool: Run, candidate: Path, state: E, reason: Reason | None, code: int, no_wait: list[str]
) -> None:
    signed_in.script.experiment = signed_in.experiment(state=state, reason=reason, explanation="Because.")
    ended = ar_pool("propose", "packing", "--file", candidate, "--json", *no_wait)
    assert ended.code == code
    assert (ended.document["status"], ended.document["reason"]) == (state.value, reason and reason.value)
    assert signed_in.script.requests("Watch") == []
    assert "Because." in ar_pool("propose", "packing", "--file", candidate).out


def test_the_verdict_comes_over_the_stream(signed_in: Any, ar_pool: Run, candidate: Path) -> None:
    signed_in.script.watched = [
        [
            signed_in.experiment(),
            signed_in.experiment(state=E.VERIFYING),
            signed_in.experiment(state=E.ACCEPTED, verified=3.0, incumbent=3.25, gain=0.25, commit="d" * 40),
        ]
    ]
    ended = ar_pool("propose", "packing", "--file", candidate, "--json")
    assert (ended.code, ended.document["commit"], ended.document["verified"]) == (0, "d" * 40, 3.0)
    assert signed_in.script.requests("Watch")[0].experiment == "x-0123456789abcdef"


def test_a_gain_is_told_with_its_interval_and_effect_size(signed_in: Any, ar_pool: Run, candidate: Path) -> None:
    def told(**changes: Any) -> tuple[str, dict[str, Any]]:
        signed_in.script.experiment = signed_in.experiment(state=E.REJECTED, **changes)
        words = ("propose", "packing", "--file", candidate)
        return ar_pool(*words).out, ar_pool(*words, "--json").document

    text, document = told(gain=-0.25, gain_low=-0.75, gain_high=0.25, effect_size=-0.4567)
    assert "gain        -0.25 (-0.75 to 0.25; effect size -0.457)\n" in text
    assert (document["interval"], document["effect_size"]) == ([-0.75, 0.25], -0.4567)
    assert "gain        +0.25\n" in told(gain=0.25, gain_low=0.25, gain_high=0.25, exact=True)[0]
    text, document = told()
    assert "gain" not in text
    assert (document["gain"], document["interval"], document["effect_size"]) == (None, None, None)


def test_a_broken_stream_is_opened_again(signed_in: Any, ar_pool: Run, candidate: Path) -> None:
    signed_in.script.watched = [
        [signed_in.experiment(), signed_in.failing(grpc.StatusCode.UNAVAILABLE)],
        [signed_in.experiment(state=E.REJECTED, reason=Reason.NO_IMPROVEMENT)],
    ]
    ended = ar_pool("propose", "packing", "--file", candidate, "--json")
    assert (ended.code, ended.document["reason"]) == (9, "no_improvement")
    assert len(signed_in.script.requests("Watch")) == 2


def test_without_a_stream_the_pool_is_asked(signed_in: Any, ar_pool: Run, candidate: Path) -> None:
    signed_in.script.watched = [[]]
    signed_in.script.failures["GetExperiment"] = [signed_in.failing(grpc.StatusCode.UNAVAILABLE)]

    class Settles(list[Any]):
        """The second stream ends in silence too, and meanwhile the verdict has come."""

        def __iter__(self) -> Any:
            signed_in.script.experiment = signed_in.experiment(state=E.HELD)
            return iter(())

    signed_in.script.watched = [[], Settles([1])]
    ended = ar_pool("propose", "packing", "--file", candidate, "--json")
    assert (ended.code, ended.document["status"]) == (0, "held")


def test_no_answer_to_a_proposal_is_asked_again_with_the_same_key(
    signed_in: Any, ar_pool: Run, candidate: Path
) -> None:
    signed_in.script.failures["Propose"] = [signed_in.failing(grpc.StatusCode.UNAVAILABLE)] * 2
    assert ar_pool("propose", "packing", "--file", candidate, "--no-wait").code == 0
    ar_pool("propose", "packing", "--file", candidate, "--no-wait")
    keys = [request.idempotency_key for request in signed_in.script.requests("Propose")]
    assert len(keys) == 4
    assert len(set(keys)) == 2
    assert keys[0] == keys[1] == keys[2]


def test_a_wait_outlasts_a_limit_and_a_restart_of_the_store(signed_in: Any, ar_pool: Run, candidate: Path) -> None:
    busy = signed_in.failing(grpc.StatusCode.RESOURCE_EXHAUSTED, "AR-A103", retry_after="0.01")
    signed_in.script.watched = [
        [busy],
        [signed_in.failing(grpc.StatusCode.UNAVAILABLE, "AR-C609")],
        [signed_in.experiment(state=E.ACCEPTED)],
    ]
    assert ar_pool("propose", "packing", "--file", candidate).code == 0


def test_a_refusal_is_not_asked_again(signed_in: Any, ar_pool: Run, candidate: Path) -> None:
    signed_in.script.failures["Propose"] = [
        signed_in.failing(grpc.StatusCode.RESOURCE_EXHAUSTED, "AR-X401", retry_after="600")
    ]
    ended = ar_pool("propose", "packing", "--file", candidate, "--json")
    assert (ended.code, ended.error["code"], ended.error["retry_after"]) == (5, "AR-X401", 600)
    assert len(signed_in.script.requests("Propose")) == 1
