"""Who this machine is to its pool, kept below ``AR_HOME``: the pool's address and certificate, and the key.

Not here: proving it to the pool (``session``), and a donated machine's identity (``ar_worker``).
"""

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ar_client.address import Address, parse_address
from ar_core.errors import PoolError
from ar_core.records import Role

LOGIN_SCHEMA = "ar.login/1"
_LOGIN_FILE = "pool.json"
_SESSION_FILE = "session.json"
_DAMAGED_HINT = "sign in again with `ar-pool login HOST:PORT --token T`"


def home_directory() -> Path:
    """Return where local state lives: ``$AR_HOME``, else the platform's folder for settings."""
    chosen = os.environ.get("AR_HOME")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_config_path("auto-research-pool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A completed sign-in: which pool, pinned by which certificate, and who the caller is there."""

    address: Address
    digest: str
    """SHA-256 of the pool's certificate in DER form, hexadecimal."""
    certificate: str
    """The same certificate in PEM form: the only root that is trusted."""
    pool: str
    web: str
    identity: str
    role: Role
    contributor: str
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedSession:
    """A session token and when to ask for another (seconds since the epoch)."""

    identity: str
    token: str
    expires: float


class Home:
    """The files below ``AR_HOME``: folder mode 0700, files 0600, each written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def login(self) -> Login:
        """Return the sign-in; raises ``PoolError`` AR-I200 before the first, AR-A106 when it is damaged."""
        text = self._read(_LOGIN_FILE)
        if text is None:
            raise PoolError("AR-I200")
        try:
            values = json.loads(text)
            return Login(**{**values, "address": parse_address(values["address"]), "role": Role(values["role"])})
        except (ValueError, TypeError, KeyError, AttributeError, PoolError):
            raise PoolError("AR-A106", f"{self.folder / _LOGIN_FILE} is damaged", hint=_DAMAGED_HINT) from None

    def save_login(self, login: Login) -> None:
        """Remember a sign-in; it replaces the one before."""
        values = asdict(login) | {"address": str(login.address), "role": login.role.value}
        self._write(_LOGIN_FILE, json.dumps(values, indent=1) + "\n")
        with contextlib.suppress(FileNotFoundError):
            (self.folder / _SESSION_FILE).unlink()

    def key_text(self, digest: str) -> str | None:
        """Return the text of the private key for the pool with this certificate digest, if there is one."""
        return self._read(_key_file(digest))

    def save_key_text(self, digest: str, text: str) -> None:
        """Keep a private key; before it is used for the first time, so that no identity is ever without its key."""
        self._write(_key_file(digest), text)

    def session(self) -> CachedSession | None:
        """Return the cached session, if there is one that can be read."""
        try:
            values: dict[str, Any] = json.loads(self._read(_SESSION_FILE) or "null")
            return CachedSession(**values)
        except (ValueError, TypeError, PoolError):
            return None

    def save_session(self, session: CachedSession) -> None:
        """Cache a session for the next command."""
        self._write(_SESSION_FILE, json.dumps(asdict(session)) + "\n")

    def _read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise PoolError("AR-A106", _reason(self.folder / name, error)) from None

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        try:
            for folder in (self.folder, path.parent):
                # A folder that was there before may be shared on purpose; the files in it are private anyway.
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, text)
        except OSError as error:
            raise PoolError("AR-A106", _reason(path, error), hint="make it writable, or set AR_HOME") from None


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 so that a reader sees the old or the new content, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def _key_file(digest: str) -> str:
    return f"keys/{digest[:16]}.pem"


def _reason(path: Path, error: Exception) -> str:
    return f"{path}: {error.strerror}" if isinstance(error, OSError) and error.strerror else f"{path}: not readable"
