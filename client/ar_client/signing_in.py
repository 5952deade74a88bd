"""Turning a token into this machine's identity at a pool, safely and as often as one likes.

Not here: sessions, and what the command prints.
"""

import secrets

from ar_client.address import Address
from ar_client.channel import pinned_certificate
from ar_client.identity import Home, Login
from ar_client.pool import Pin, Pool
from ar_core.errors import PoolError
from ar_core.records import Role
from ar_core.signing import (
    KEY_BYTES,
    KeyFormatError,
    PrivateKey,
    private_key_from_text,
    private_key_to_text,
)
from ar_core.tokens import JoinToken


def sign_in(home: Home, address: Address, token: JoinToken, *, name: str, role: Role) -> Login:
    """Redeem ``token`` and remember the identity; the same pool and token again give the same identity.

    The certificate is compared before anything secret is sent: AR-I207 when it is not the pinned one.
    """
    certificate = pinned_certificate(address, token.digest)
    key = _key(home, token.digest)
    pin = Pin(address=address, digest=token.digest, certificate=certificate)
    with Pool(pin) as pool:
        membership = pool.join(token.secret, key.public.raw, contributor=name, role=role)
    login = Login(
        address=address,
        digest=token.digest,
        certificate=certificate,
        pool=membership.pool,
        web=membership.web,
        identity=membership.identity.id,
        role=membership.identity.role,
        contributor=membership.identity.contributor,
        machine=membership.identity.machine,
    )
    home.save_login(login)
    return login


def _key(home: Home, digest: str) -> PrivateKey:
    """Return this machine's key at the pool; a new one is on disk before the pool hears of it.

    Otherwise a token that is good once could be spent on a key that nobody has any more. Each pool gets a key of
    its own, so that pools cannot tell that it is the same machine.
    """
    text = home.key_text(digest)
    if text is not None:
        try:
            return private_key_from_text(text)
        except KeyFormatError as error:
            raise PoolError("AR-A106", f"{home.folder / 'keys'}: {error}") from None
    key = PrivateKey(raw=secrets.token_bytes(KEY_BYTES))
    home.save_key_text(digest, private_key_to_text(key))
    return key
