"""Ed25519 keys and signatures: for session challenges and reports, and for git commits in OpenSSH's format.

Not here: where keys are kept, who may use them, and randomness: a new key is made from bytes the caller drew.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

KEY_BYTES = 32
SIGNATURE_BYTES = 64
SESSION_DOMAIN = "session-challenge"
REPORT_DOMAIN = "report"
GIT_NAMESPACE = "git"

_KEY_TYPE = b"ssh-ed25519"
_DOMAIN = re.compile(r"[a-z0-9][a-z0-9./-]{0,63}")
# Differs in its first bytes from what OpenSSH signs ("SSHSIG"), so that one can never pass for the other.
_PREFIX = b"auto-research-pool signature v1\0"
_SSHSIG_MAGIC = b"SSHSIG"
_SSHSIG_VERSION = 1
_SSHSIG_HASH = b"sha512"
_ARMOR_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_ARMOR_END = "-----END SSH SIGNATURE-----"
_ARMOR_WIDTH = 70


class KeyFormatError(ValueError):
    """Text or bytes that are not an ed25519 key of the expected form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """An ed25519 public key: 32 raw bytes (RFC 8032)."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise KeyFormatError(f"an ed25519 public key has {KEY_BYTES} bytes, not {len(self.raw)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """An ed25519 private key: the 32 bytes it is made from; never shown by ``repr``."""

    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise KeyFormatError(f"an ed25519 private key has {KEY_BYTES} bytes, not {len(self.raw)}")

    @property
    def public(self) -> PublicKey:
        """The public half of the pair."""
        return PublicKey(raw=self._loaded().public_key().public_bytes_raw())

    def _loaded(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.raw)


def sign(private: PrivateKey, domain: str, payload: bytes) -> bytes:
    """Return the 64-byte signature of ``payload`` for one purpose.

    A signature made for one ``domain`` (``[a-z0-9./-]``, at most 64 characters) is worthless in any other.
    Raises ``ValueError`` for a domain of another form.
    """
    return private._loaded().sign(_separated(domain, payload))


def verify(public: PublicKey, domain: str, payload: bytes, signature: bytes) -> bool:
    """Tell whether ``signature`` was made by the key's owner for this domain and these bytes."""
    return _verify_raw(public, _separated(domain, payload), signature)


def fingerprint(public: PublicKey) -> str:
    """Return ``SHA256:…``, as ``ssh-keygen -l`` prints it."""
    digest = hashlib.sha256(_key_blob(public)).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def private_key_to_text(private: PrivateKey) -> str:
    """Return the text of a key file: PKCS #8 in PEM (RFC 8410), which openssl reads as well."""
    pem = private._loaded().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii")


def private_key_from_text(text: str) -> PrivateKey:
    """Read what ``private_key_to_text`` wrote; raises ``KeyFormatError`` for anything else."""
    try:
        key = load_pem_private_key(text.encode("utf-8"), password=None)
    except (ValueError, TypeError) as error:
        raise KeyFormatError("this is not a private key file; restore it from a copy, or join again") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFormatError("this key file holds another kind of key; an ed25519 key is needed")
    return PrivateKey(raw=key.private_bytes_raw())


def public_key_line(public: PublicKey, comment: str = "pool") -> str:
    """Return the one-line OpenSSH form, ``ssh-ed25519 AAAA… pool``, without a line end."""
    encoded = base64.b64encode(_key_blob(public)).decode("ascii")
    return " ".join(["ssh-ed25519", encoded, *comment.split()])


def public_key_from_line(line: str) -> PublicKey:
    """Read an OpenSSH public key line; raises ``KeyFormatError`` unless it is one ed25519 key."""
    words = line.split()
    if len(words) < 2 or words[0] != "ssh-ed25519":
        raise KeyFormatError("a public key line begins with ssh-ed25519 and the key")
    try:
        blob = base64.b64decode(words[1], validate=True)
        kind, rest = _take_string(blob)
        raw, rest = _take_string(rest)
    except (binascii.Error, ValueError) as error:
        raise KeyFormatError("the key in this line is damaged") from error
    if kind != _KEY_TYPE or rest:
        raise KeyFormatError("the key in this line is not one ed25519 key")
    return PublicKey(raw=raw)


def allowed_signers_line(public: PublicKey, principal: str) -> str:
    """Return a line of git's ``gpg.ssh.allowedSignersFile``: this key may sign commits, and nothing else."""
    if not re.fullmatch(r"[A-Za-z0-9._@+-]{1,200}", principal):
        raise ValueError(f"{principal!r} cannot be the name of a signer; write an e-mail address")
    return f'{principal} namespaces="{GIT_NAMESPACE}" {public_key_line(public)}'


def ssh_signature(private: PrivateKey, namespace: str, message: bytes) -> str:
    """Return the armored SSH signature of ``message`` (OpenSSH's PROTOCOL.sshsig, hash sha512).

    For ``namespace`` "git" this is what git stores in a commit's ``gpgsig`` header. Ends with a line feed.
    """
    signature = private._loaded().sign(_sshsig_payload(namespace, message))
    blob = (
        _SSHSIG_MAGIC
        + _SSHSIG_VERSION.to_bytes(4, "big")
        + _string(_key_blob(private.public))
        + _string(namespace.encode("utf-8"))
        + _string(b"")
        + _string(_SSHSIG_HASH)
        + _string(_string(_KEY_TYPE) + _string(signature))
    )
    encoded = base64.b64encode(blob).decode("ascii")
    lines = [encoded[start : start + _ARMOR_WIDTH] for start in range(0, len(encoded), _ARMOR_WIDTH)]
    return "\n".join([_ARMOR_BEGIN, *lines, _ARMOR_END, ""])


def verify_ssh_signature(public: PublicKey, namespace: str, message: bytes, armored: str) -> bool:
    """Tell whether ``armored`` is this key's SSH signature of ``message`` in ``namespace``.

    Reads what ``ssh_signature`` and ``ssh-keygen -Y sign`` with an ed25519 key write; else False.
    """
    lines = armored.strip().split("\n")
    if len(lines) < 3 or lines[0].strip() != _ARMOR_BEGIN or lines[-1].strip() != _ARMOR_END:
        return False
    try:
        blob = base64.b64decode("".join(line.strip() for line in lines[1:-1]), validate=True)
        signature, hash_name = _parse_sshsig(blob, public, namespace)
        payload = _sshsig_payload(namespace, message, hash_name)
    except (binascii.Error, ValueError):
        return False
    return _verify_raw(public, payload, signature)


def _parse_sshsig(blob: bytes, public: PublicKey, namespace: str) -> tuple[bytes, bytes]:
    header = _SSHSIG_MAGIC + _SSHSIG_VERSION.to_bytes(4, "big")
    if not blob.startswith(header):
        raise ValueError("not an SSH signature of version 1")
    key, rest = _take_string(blob[len(header) :])
    signed_namespace, rest = _take_string(rest)
    _reserved, rest = _take_string(rest)
    hash_name, rest = _take_string(rest)
    inner, rest = _take_string(rest)
    kind, inner = _take_string(inner)
    signature, inner = _take_string(inner)
    expected = (_KEY_TYPE, _key_blob(public), namespace.encode("utf-8"))
    if rest or inner or (kind, key, signed_namespace) != expected:
        raise ValueError("made by another key, for another purpose, or with bytes left over")
    return signature, hash_name


def _sshsig_payload(namespace: str, message: bytes, hash_name: bytes = _SSHSIG_HASH) -> bytes:
    if not namespace:
        raise ValueError("an SSH signature needs a namespace")
    if hash_name not in {b"sha256", b"sha512"}:
        raise ValueError("an SSH signature is over sha256 or sha512")
    digest = hashlib.new(hash_name.decode("ascii"), message).digest()
    parts = (namespace.encode("utf-8"), b"", hash_name, digest)
    return _SSHSIG_MAGIC + b"".join(_string(part) for part in parts)


def _separated(domain: str, payload: bytes) -> bytes:
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"{domain!r} is not a signing domain; use a-z, 0-9, dot, slash and hyphen")
    return _PREFIX + domain.encode("ascii") + b"\0" + payload


def _verify_raw(public: PublicKey, payload: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public.raw).verify(signature, payload)
    except InvalidSignature:
        return False
    except ValueError:
        # Bytes that are no point of the curve: cryptography says so only when the key is loaded.
        return False
    return True


def _key_blob(public: PublicKey) -> bytes:
    return _string(_KEY_TYPE) + _string(public.raw)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _take_string(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 + length:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]
