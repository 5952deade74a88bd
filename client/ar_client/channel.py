"""A connection to one pool, safe from its first byte: the certificate is compared with a digest known before.

Not here: who the caller is (``session``) and what is called (``pool``).
"""

import socket
import ssl

import grpc

from ar_client.address import Address
from ar_core.errors import PoolError
from ar_core.tokens import CERTIFICATE_NAME, certificate_digest

CONNECT_SECONDS = 5.0
MAX_MESSAGE_BYTES = 16 * 1024**2

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.ssl_target_name_override", CERTIFICATE_NAME),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Reading the certificate goes straight to the address, so the calls must not take another way.
    ("grpc.enable_http_proxy", 0),
    # A watcher behind a router that forgets it notices; servers allow one ping in five minutes without asking.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


def read_certificate(address: Address, seconds: float = CONNECT_SECONDS) -> bytes:
    """Return the certificate (DER) that the server at ``address`` shows, without trusting it.

    Nothing is sent but the TLS greeting. Raises ``PoolError`` AR-A102 where no TLS server answers.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection((address.host, address.port), timeout=seconds) as plain:
            with context.wrap_socket(plain, server_hostname=CERTIFICATE_NAME) as secured:
                der = secured.getpeercert(binary_form=True)
    except TimeoutError:
        raise PoolError("AR-A102", f"{address} did not answer within {seconds:g} s") from None
    except ssl.SSLError:
        raise PoolError("AR-A102", f"what answers at {address} is not a pool (it does not speak TLS)") from None
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the host is unknown"
        raise PoolError("AR-A102", f"{address}: {reason}") from None
    if not der:
        raise PoolError("AR-A102", f"what answers at {address} shows no certificate")
    return der


def pinned_certificate(address: Address, digest: str, seconds: float = CONNECT_SECONDS) -> str:
    """Return the server's certificate (PEM) if its SHA-256 is ``digest``.

    Raises ``PoolError`` AR-I207 when it is another one, AR-A102 when nobody answers. Nothing secret was sent.
    """
    der = read_certificate(address, seconds)
    seen = certificate_digest(der)
    if seen != digest:
        raise PoolError("AR-I207", f"{address} shows {seen[:16]}…, expected {digest[:16]}…")
    return ssl.DER_cert_to_PEM_cert(der)


def open_channel(address: Address, certificate: str) -> grpc.Channel:
    """Return a channel that accepts this one certificate (PEM) and no other; it connects with its first call."""
    credentials = grpc.ssl_channel_credentials(root_certificates=certificate.encode("ascii"))
    return grpc.secure_channel(str(address), credentials, options=_OPTIONS)
