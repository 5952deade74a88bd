"""How the operator's commands reach the pool of a data directory: whoever may read it is the operator.

Not here: what the operator may do (``services.administration``).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc

from ar_coordinator.data_directory import DataDirectory, cannot_read, write_atomically
from ar_coordinator.key_files import read_key
from ar_core.errors import CATALOGUE, PoolError
from ar_core.records import Identity, Role
from ar_core.tokens import CERTIFICATE_NAME

if TYPE_CHECKING:
    from ar_coordinator.store import Store

_OPERATOR = "i-operator"
_SESSION_SECONDS = 365 * 86_400
_CALL_SECONDS = 30


def make_admin_session(directory: DataDirectory, store: "Store", address: str, *, shown: str) -> None:
    """Write where the pool is and a session of the operator's, readable by the owner of the directory only.

    ``shown`` is the address to tell people on other machines.
    """
    # Here, so that the commands, which only connect, start without loading Redis.
    from ar_coordinator.store import keys
    from ar_coordinator.store.fields import to_fields

    operator = Identity(
        id=_OPERATOR, role=Role.OPERATOR, contributor="operator", machine="m-operator", joined=datetime.now(UTC)
    )
    store.connection.text.hset(keys.identity(_OPERATOR), mapping=to_fields(operator))
    end_admin_session(directory, store)  # one that a killed pool left behind
    session = store.identities.open_session(_OPERATOR, _SESSION_SECONDS)
    write_atomically(directory.admin, json.dumps({"grpc": address, "shown": shown, "session": session}))


def end_admin_session(directory: DataDirectory, store: "Store") -> None:
    """Make the operator's session worthless, if there is one."""
    try:
        session = str(json.loads(directory.admin.read_text())["session"])
    except (OSError, ValueError, KeyError):
        return
    directory.admin.unlink(missing_ok=True)
    store.identities.close_session(session)


@contextmanager
def admin_channel(directory: DataDirectory) -> Iterator["AdminChannel"]:
    """Connect to the pool that runs in ``directory``; raises ``PoolError`` AR-C604 when none does."""
    if directory.initialised:
        directory.read_version()
    if not directory.is_locked():
        raise PoolError("AR-C604", str(directory.root))
    try:
        admin = json.loads(directory.admin.read_text())
        address, shown, session = admin["grpc"], admin["shown"], admin["session"]
    except (FileNotFoundError, ValueError, KeyError):
        raise PoolError("AR-C604", f"{directory.root}: it is starting, or ending", hint="try again") from None
    except OSError as error:
        raise cannot_read(directory.admin, error) from None
    certificate = read_key(directory.keys / "tls.crt", "the running pool is known by it")
    credentials = grpc.ssl_channel_credentials(certificate)
    options = [("grpc.ssl_target_name_override", CERTIFICATE_NAME)]
    with grpc.secure_channel(address, credentials, options) as channel:
        yield AdminChannel(channel, session, shown)


class AdminChannel:
    """Calls to the running pool as its operator; ``shown`` is the address to tell people on other machines."""

    def __init__(self, channel: grpc.Channel, session: str, shown: str) -> None:
        self.channel = channel
        self.shown = shown
        self._metadata = (("authorization", f"Bearer {session}"),)

    def call(self, method: Any, request: Any) -> Any:
        """Call one method; raises ``PoolError`` as the server meant it."""
        try:
            return method(request, metadata=self._metadata, timeout=_CALL_SECONDS)
        except grpc.RpcError as error:
            raise _as_pool_error(error) from None

    def stream(self, method: Any, request: Any) -> Iterator[Any]:
        """Call a method that streams."""
        try:
            yield from method(request, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _as_pool_error(error) from None


def _as_pool_error(error: Any) -> PoolError:
    trailing = dict(error.trailing_metadata() or ())
    code = str(trailing.get("ar-code", ""))
    if code in CATALOGUE:
        return PoolError(
            code, _text(trailing.get("ar-detail-bin", b"")), hint=_text(trailing.get("ar-hint-bin", b""))
        )
    unreachable = error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    return PoolError("AR-C604" if unreachable else "AR-A100")


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
