"""What a failed call means to a person: every ``grpc.RpcError`` becomes a ``PoolError``.

Not here: trying again, and showing the error.
"""

import math
from typing import cast

import grpc

from ar_core.errors import CATALOGUE, PoolError
from ar_core.text import one_line

CODE_KEY = "ar-code"
DETAIL_KEY = "ar-detail-bin"
HINT_KEY = "ar-hint-bin"
RETRY_AFTER_KEY = "ar-retry-after"

NO_CONNECTION = "AR-A102"
NO_ANSWER = "AR-A105"
UNANSWERED = frozenset({NO_CONNECTION, NO_ANSWER, "AR-C609"})
"""Codes of calls that got no answer: nobody knows whether they were carried out."""
PASSING = UNANSWERED | {"AR-A103"}
"""Codes of failures that pass by themselves, so that whoever only waits may go on waiting."""

_BY_STATUS = {
    grpc.StatusCode.UNAVAILABLE: NO_CONNECTION,
    grpc.StatusCode.DEADLINE_EXCEEDED: NO_ANSWER,
    grpc.StatusCode.UNIMPLEMENTED: "AR-A104",
    grpc.StatusCode.UNAUTHENTICATED: "AR-I201",
    grpc.StatusCode.PERMISSION_DENIED: "AR-I206",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "AR-A103",
    grpc.StatusCode.INVALID_ARGUMENT: "AR-A101",
}


def translate(error: grpc.RpcError) -> PoolError:
    """Return what to tell a person about a failed call.

    The pool's own words come in the trailing metadata ``ar-code``, ``ar-detail-bin``, ``ar-hint-bin`` (UTF-8) and
    ``ar-retry-after`` (seconds). Without a code that this version knows, the gRPC status decides, and whatever
    text a server or a middleman put beside it is not shown.
    """
    call = cast("grpc.Call", error)
    said = _metadata(call)
    detail, hint = one_line(said.get(DETAIL_KEY, ""), limit=1000), one_line(said.get(HINT_KEY, ""), limit=500)
    code = said.get(CODE_KEY, "")
    if code not in CATALOGUE:
        code = _BY_STATUS.get(call.code(), "AR-A100")
    return PoolError(code, detail, hint=hint, retry_after=_seconds(said.get(RETRY_AFTER_KEY, "")))


def is_unauthenticated(error: grpc.RpcError) -> bool:
    """Tell whether the pool did not accept the session, so that a new one is worth a try."""
    call = cast("grpc.Call", error)
    said = _metadata(call).get(CODE_KEY, "")
    return call.code() is grpc.StatusCode.UNAUTHENTICATED and said in {"", "AR-I201"}


def _metadata(call: grpc.Call) -> dict[str, str]:
    pairs = call.trailing_metadata() or ()
    return {
        key: value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value for key, value in pairs
    }


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
