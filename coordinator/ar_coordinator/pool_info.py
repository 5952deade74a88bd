"""How a pool presents itself to whoever asks.

Not here: its keys.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolInfo:
    """How the pool presents itself: public name, ``HOST:PORT`` of its gRPC, address of its pages.

    ``certificate_digest`` is what tokens pin, ``None`` where the pool has no certificate of its own.
    """

    name: str
    grpc_address: str
    web_url: str
    certificate_digest: str | None = None

    @property
    def web(self) -> str:
        """The address of the pages without a slash at its end."""
        return self.web_url.rstrip("/")
