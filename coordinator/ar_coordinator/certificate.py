"""The pool's TLS certificate: self-signed, with the fixed name ``pool.invalid``, pinned by every token.

Not here: checking it, which the client does.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ar_coordinator.data_directory import write_atomically
from ar_coordinator.key_files import damaged, read_key
from ar_core.tokens import CERTIFICATE_NAME, certificate_digest

_LIFETIME = timedelta(days=3650)
_KEY, _CERTIFICATE = "tls.key", "tls.crt"
_LOSS = "everybody who joined pins this certificate, and would be locked out by another one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What the server shows: key and certificate in PEM, and the digest that tokens pin."""

    key: bytes = field(repr=False)
    pem: bytes
    digest: str


def make_certificate(keys: Path, now: datetime) -> None:
    """Make key and certificate of a new pool, unless a start that was cut short made both already."""
    key_path, certificate_path = keys / _KEY, keys / _CERTIFICATE
    if certificate_path.exists() and key_path.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CERTIFICATE_NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(CERTIFICATE_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(key_path, private)
    write_atomically(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))


def read_certificate(keys: Path) -> Certificate:
    """Return the pool's certificate; raises ``PoolError`` AR-C607 where it or its key is gone or damaged."""
    pem = read_key(keys / _CERTIFICATE, _LOSS)
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise damaged(keys / _CERTIFICATE, "a certificate", _LOSS) from None
    key = read_key(keys / _KEY, _LOSS)
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise damaged(keys / _KEY, "a private key", _LOSS) from None
    if private.public_key() != public:
        raise damaged(keys / _KEY, f"the key of the certificate in {_CERTIFICATE}", _LOSS)
    digest = certificate_digest(certificate.public_bytes(serialization.Encoding.DER))
    return Certificate(key=key, pem=pem, digest=digest)
