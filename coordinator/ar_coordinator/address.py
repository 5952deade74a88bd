"""Addresses to listen on, as people write them: ``HOST:PORT``, IPv6 in brackets, port 0 for any free one.

Not here: connecting.
"""

import errno
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
    def reachable_here(self) -> str:
        """The host by which a program on this machine reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared only

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


def check_free(address: Address, what: str) -> None:
    """Try to listen on an address and let go of it; raises ``PoolError`` AR-C602 or AR-C611.

    For a server that says less about why it cannot. A name may stand for several addresses: one of them is enough.
    """
    wrong: list[OSError] = []
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _name, where in found:
            try:
                with socket.socket(family, kind, protocol) as trial:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    trial.bind(where)
                    trial.listen()
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise cannot_listen(address, what, error) from None
                wrong.append(error)
            else:
                return
    except socket.gaierror as error:
        wrong.append(error)
    raise cannot_listen(address, what, wrong[0])


def cannot_listen(address: Address, what: str, error: OSError) -> PoolError:
    """Return the error for an address that cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return PoolError("AR-C602", f"{address} ({what})")
    hint = "take a port above 1023" if error.errno == errno.EACCES else ""
    return PoolError("AR-C611", f"{address} ({what}): {error.strerror}", hint=hint)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
