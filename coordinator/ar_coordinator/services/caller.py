"""Who is calling: the identity that the interceptor found, for the duration of one call.

Not here: finding it (``interceptor``).
"""

from contextvars import ContextVar

from ar_core.errors import PoolError
from ar_core.records import Identity

current: ContextVar[Identity | None] = ContextVar("caller", default=None)


def caller() -> Identity:
    """Return the identity of this call; raises ``PoolError`` AR-I201 where there is none."""
    identity = current.get()
    if identity is None:
        raise PoolError("AR-I201")
    return identity
