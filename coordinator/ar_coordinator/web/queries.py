"""What a caller may ask for in an address: every parameter is checked here, and a wrong one is named.

Not here: what is done with it.
"""

import re
from typing import cast, get_args

from starlette.requests import Request

from ar_core.credit import Order
from ar_core.errors import PoolError
from ar_core.lifecycle import ExperimentState

_WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)


def whole(request: Request, name: str, default: int | None, *, low: int, high: int) -> int | None:
    """Return the whole number ``name`` within ``low`` … ``high``; raises ``PoolError`` AR-A101."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise _wrong(name, f"write a whole number from {low} to {high}")
    return int(text)


def limit(request: Request, default: int, high: int = 1000) -> int:
    """Return how many items are asked for; raises ``PoolError`` AR-A101."""
    return cast("int", whole(request, "limit", default, low=1, high=high))


def before(request: Request) -> int | None:
    """Return where the page before this one ended; raises ``PoolError`` AR-A101."""
    return whole(request, "before", None, low=1, high=10**15 - 1)


def status(request: Request) -> ExperimentState | None:
    """Return the state that is asked for, ``None`` for all; raises ``PoolError`` AR-A101."""
    text = request.query_params.get("status", "")
    if not text:
        return None
    try:
        return ExperimentState(text)
    except ValueError:
        raise _wrong("status", f"choose one of {', '.join(ExperimentState)}") from None


def order(request: Request, default: Order) -> Order:
    """Return the order of a leaderboard; raises ``PoolError`` AR-A101."""
    text = request.query_params.get("by", "")
    if text and text not in get_args(Order):
        raise _wrong("by", f"choose one of {', '.join(get_args(Order))}")
    return cast("Order", text or default)


def record_number(text: str) -> int | None:
    """Return the number of a record as an address has it, or ``None`` when it is none."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else None


def _wrong(name: str, hint: str) -> PoolError:
    return PoolError("AR-A101", f"the parameter {name} is not understood", hint=hint)
