"""The pool's TLS certificate: self-signed, with the fixed name ``pool.invalid``, pinned by every token.

Not here: checking it, which the client does.
"""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ar_coordinator.data_directory import write_atomically
from ar_core.tokens import CERTIFICATE_NAME, certificate_digest

_LIFETIME = timedelta(days=3650)


def ensure_certificate(keys: Path, now: datetime) -> None:
    """Make key and certificate below ``keys`` unless they are there."""
    key_path, certificate_path = keys / "tls.key", keys / "tls.crt"
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


def read_certificate(keys: Path) -> tuple[bytes, bytes, str]:
    """Return (key PEM, certificate PEM, digest that tokens pin)."""
    pem = (keys / "tls.crt").read_bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    return (keys / "tls.key").read_bytes(), pem, certificate_digest(der)
