"""Redeeming a verifier's token, as often as one likes; afterwards its key is enough.

Not here: sessions (``ar_client.session``).
"""

from dataclasses import replace

from ar_client.address import Address
from ar_client.channel import pinned_certificate
from ar_client.failure import UNANSWERED
from ar_client.identity import Home, Login
from ar_client.signing_in import sign_in
from ar_core.errors import PoolError
from ar_core.records import Role
from ar_core.tokens import JoinToken

NEXT = "ask the pool's operator for a token (`ar-coordinator tokens new --role verifier`), and give it with --token"
_SPENT = frozenset({"AR-I203", "AR-I204", "AR-I205"})


def enrol(home: Home, address: Address, token: JoinToken | None, *, name: str) -> Login:
    """Return this machine's identity as a verifier of the pool, a new one where it has none there yet.

    A token that is used up, expired or revoked by now still names the pool, so who has enrolled with it goes on; so
    does who cannot reach the pool right now.
    """
    before = _login_at(home, token)
    if token is None:
        if before is None:
            raise PoolError("AR-I200", "as a verifier", hint=NEXT)
        return _moved(home, before, address)
    try:
        login = sign_in(home, address, token, name=name, role=Role.VERIFIER)
    except PoolError as error:
        if error.code == "AR-I206":
            raise PoolError(error.code, error.detail, hint=NEXT) from None
        if before is None or error.code not in _SPENT | UNANSWERED:
            raise
        return _moved(home, before, address)
    if login.role not in {Role.VERIFIER, Role.OPERATOR}:
        raise PoolError("AR-I206", f"this is the token of a {login.role.value}", hint=NEXT)
    return login


def _login_at(home: Home, token: JoinToken | None) -> Login | None:
    try:
        login = home.login()
    except PoolError as error:
        if error.code == "AR-I200":
            return None
        raise
    return login if token is None or login.digest == token.digest else None


def _moved(home: Home, login: Login, address: Address) -> Login:
    """Return a sign-in with the pool's address of today; the pool there must show the same certificate."""
    if login.address == address:
        return login
    pinned_certificate(address, login.digest)
    login = replace(login, address=address)
    home.save_login(login)
    return login
