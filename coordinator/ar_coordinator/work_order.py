"""What crosses between the referee and the verifiers: orders, and what came of them, as JSON.

Not here: running an order (``verifier``) or deciding from its results (``referee``). Orders name bytes by hash and
carry seeds as numbers; the key that the seeds come from stays with the coordinator.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Side = Literal["candidate", "incumbent"]
_FIRST = 16


class PairOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One pair to measure: both sides with the same seeds, in the order of the coin."""

    index: int
    run_seed: int
    scorer_seed: int
    hash_seed: int
    first: Side


class PairsOrder(msgspec.Struct, frozen=True, kw_only=True, tag="pairs"):
    """A batch of pairs of one experiment; ``files`` maps the problem's paths to blobs, hidden ones included."""

    problem: str
    revision: int
    experiment: str
    attempt: int
    files: Mapping[str, str]
    candidate: str
    incumbent: str
    pairs: Sequence[PairOrder]
    deterministic: bool


class RegistrationOrder(msgspec.Struct, frozen=True, kw_only=True, tag="registration"):
    """A problem to measure before it is opened; ``seeds`` are (run, scorer), one for each evaluation."""

    problem: str
    revision: int
    files: Mapping[str, str]
    runs: int
    seeds: Sequence[tuple[int, int]]


Order = PairsOrder | RegistrationOrder


class SideResult(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation; ``outcome`` as the sandbox names it, ``seconds`` of the candidate's timed interval."""

    outcome: str
    score: float | None
    secondary: Mapping[str, float]
    feedback: str
    seconds: float


class PairResult(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides of a pair; ``None`` for a side that was not run because the other settled it."""

    index: int
    candidate: SideResult | None
    incumbent: SideResult | None


class PairsResult(msgspec.Struct, frozen=True, kw_only=True, tag="pairs"):
    """What came of a batch; ``trouble`` is a failure of ours, which is no evidence.

    ``grade`` is that of the sandbox in which it was measured.
    """

    verifier: str
    pairs: Sequence[PairResult]
    seconds: float
    trouble: str = ""
    grade: str = ""


class FindingResult(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of a registration."""

    check: str
    severity: Literal["info", "warning", "error"]
    message: str
    fix: str


class RegistrationResult(msgspec.Struct, frozen=True, kw_only=True, tag="registration"):
    """What a registration measured; scores in the metric's unit, ``seconds`` the median of an evaluation."""

    verifier: str
    ok: bool
    baseline: float | None
    mean: float | None
    sd: float
    n: int
    interval: tuple[float, float] | None
    seconds: float
    secondary: Mapping[str, float]
    findings: Sequence[FindingResult]
    trouble: str = ""
    grade: str = ""


OrderResult = PairsResult | RegistrationResult

_order_decoder: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_result_decoder: msgspec.json.Decoder[OrderResult] = msgspec.json.Decoder(OrderResult)


def blobs_of(order: Order) -> set[str]:
    """Return the SHA-256 of everything that an order names."""
    found = set(order.files.values())
    return found | {order.candidate, order.incumbent} if isinstance(order, PairsOrder) else found


def encode(value: Order | OrderResult) -> str:
    """Return an order or a result as JSON."""
    return msgspec.json.encode(value).decode()


def shorter(text: str, limit: int) -> str:
    """Return a result, where it is longer than ``limit`` bytes with the feedback of its first pairs only."""
    if len(text.encode()) <= limit:
        return text
    result = decode_result(text)
    if not isinstance(result, PairsResult):
        return encode(msgspec.structs.replace(result, findings=result.findings[:_FIRST]))
    pairs = [pair if n < _FIRST else _silent(pair) for n, pair in enumerate(result.pairs)]
    return encode(msgspec.structs.replace(result, pairs=pairs))


def _silent(pair: PairResult) -> PairResult:
    candidate, incumbent = (
        msgspec.structs.replace(side, feedback="") if side is not None else None
        for side in (pair.candidate, pair.incumbent)
    )
    return msgspec.structs.replace(pair, candidate=candidate, incumbent=incumbent)


def decode_order(text: str) -> Order:
    """Read an order."""
    return _order_decoder.decode(text)


def decode_result(text: str) -> OrderResult:
    """Read a result."""
    return _result_decoder.decode(text)
