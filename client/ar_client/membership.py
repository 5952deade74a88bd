"""Showing who this machine is to which pool.

Not here: finding out.
"""

from ar_client.identity import Login
from ar_client.output import Output

IDENTITY_SCHEMA = "ar.identity/1"


def membership_document(login: Login) -> dict[str, object]:
    """Return the document of ``login`` and ``whoami``."""
    return {
        "schema": IDENTITY_SCHEMA,
        "pool": login.pool,
        "address": str(login.address),
        "fingerprint": login.digest,
        "web": login.web or None,
        "id": login.identity,
        "role": login.role.value,
        "contributor": login.contributor,
        "machine": login.machine or None,
    }


def say_membership(output: Output, login: Login) -> None:
    """Print it for people."""
    output.fields(
        [
            ("pool", f"{login.pool} at {login.address}"),
            ("certificate", f"SHA-256 {login.digest} (pinned)"),
            ("name", login.contributor),
            ("role", login.role.value),
            ("identity", login.identity),
            ("pages", login.web),
        ]
    )
