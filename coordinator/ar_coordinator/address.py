"""Addresses to listen on, as people write them: ``HOST:PORT``, IPv6 in brackets, port 0 for any free one.

Not here: connecting.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass

from ar_core.errors import PoolError

_ADDRESS = re.compile(r"^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def shown_host(self) -> str:
        """The host to tell others: this machine's name where we listen on every address."""
        return socket.gethostname() if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared only

    @property
    def is_local(self) -> bool:
        """Tell whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``; raises ``PoolError`` AR-A107."""
    match = _ADDRESS.match(text.strip())
    if match is None or int(match.group(3)) > 65535:
        raise PoolError("AR-A107", repr(text[:80]))
    if match.group(1) and not _is_ipv6(match.group(1)):
        raise PoolError("AR-A107", repr(text[:80]))
    return Address(match.group(1) or match.group(2), int(match.group(3)))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
