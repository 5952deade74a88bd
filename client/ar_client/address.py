"""Where a pool listens: ``HOST:PORT``, with IPv6 addresses in brackets.

Not here: connecting to it.
"""

import re
from dataclasses import dataclass

from ar_core.errors import PoolError
from ar_core.text import one_line

_SIX = r"\[(?P<six>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?)\]"
_HOST = r"(?P<host>[A-Za-z0-9](?:[\w.-]*\w)?\.?)"
_FORM = re.compile(rf"(?:{_SIX}|{_HOST}):(?P<port>\d{{1,5}})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host name or address without brackets, and a port from 1 to 65535."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT`` or ``[IPV6]:PORT``; raises ``PoolError`` AR-A107 for anything else."""
    match = _FORM.fullmatch(text.strip())
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise PoolError("AR-A107", one_line(text, limit=80))
    return Address(host=match["six"] or match["host"], port=int(match["port"]))
