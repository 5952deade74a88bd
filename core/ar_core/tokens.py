"""Join tokens: ``ARJ1-<certificate digest>-<secret>``, which authorise and pin the pool's certificate.

Not here: how often a token is good, and where its hash is stored.
"""

import hashlib
import re
from dataclasses import dataclass

from ar_core.errors import PoolError

CERTIFICATE_NAME = "pool.invalid"
"""The fixed name in every pool's certificate: identity comes from the digest, never from a name."""

_TOKEN = re.compile(r"^ARJ1-([0-9a-f]{64})-([0-9a-f]{32})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """A token's two parts, both lower-case hexadecimal."""

    digest: str
    """SHA-256 of the certificate in DER form."""
    secret: str

    def __str__(self) -> str:
        return f"ARJ1-{self.digest}-{self.secret}"


def parse_token(text: str) -> JoinToken:
    """Read a token as pasted; raises ``PoolError`` AR-I202 when it is not one."""
    match = _TOKEN.match(text.strip())
    if match is None:
        raise PoolError("AR-I202")
    return JoinToken(digest=match.group(1), secret=match.group(2))


def certificate_digest(der: bytes) -> str:
    """Return the digest that a token pins."""
    return hashlib.sha256(der).hexdigest()


def secret_hash(secret: str) -> str:
    """Return what is stored of a secret of 128 random bits; it cannot be turned back."""
    return hashlib.sha256(b"ar token\n" + secret.encode()).hexdigest()
