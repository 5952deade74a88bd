"""Redeeming a worker's token, as often as one likes.

Not here: sessions, and the work itself.
"""

from ar_client.address import Address
from ar_client.channel import pinned_certificate
from ar_client.identity import Login
from ar_client.signing_in import sign_in
from ar_core.errors import PoolError
from ar_core.records import Role
from ar_core.tokens import JoinToken
from ar_worker.place import Place

_SPENT = frozenset({"AR-I203", "AR-I204", "AR-I205"})


def enrol(place: Place, address: Address, token: JoinToken, *, name: str) -> Login:
    """Return this machine's identity at the pool, a new one where it has none there yet.

    A token that is used up, expired or revoked by now still names the pool, so who has joined with it goes on.
    """
    before = _login_at(place, token.digest)
    try:
        login = sign_in(place.home, address, token, name=name, role=Role.WORKER)
    except PoolError as error:
        if before is None or error.code not in _SPENT:
            raise
    else:
        require_worker(login.role)
        return login
    if before.address != address:
        # The pool has moved; its certificate has just been compared.
        pinned_certificate(address, token.digest)
    return before


def require_worker(role: Role | None) -> None:
    """Raise ``PoolError`` AR-I206 for an identity that may not donate a machine."""
    if role not in {Role.WORKER, Role.OPERATOR}:
        what = role.value if role is not None else "role of a newer version"
        raise PoolError(
            "AR-I206", f"this is the token of a {what}",
            hint="ask the pool's operator for a worker's token (`ar-coordinator tokens new`)",
        )  # fmt: skip


def _login_at(place: Place, digest: str) -> Login | None:
    try:
        login = place.home.login()
    except PoolError:
        return None
    return login if login.digest == digest else None
