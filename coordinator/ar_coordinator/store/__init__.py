"""What the pool keeps in Redis: keys, scripts and one file for each kind of record."""

from dataclasses import dataclass
from pathlib import Path

from ar_coordinator.store import keys
from ar_coordinator.store.audits import Audits
from ar_coordinator.store.batches import Batches
from ar_coordinator.store.blobs import Blobs
from ar_coordinator.store.connection import Connection, connect
from ar_coordinator.store.experiments import Experiments
from ar_coordinator.store.identities import Identities
from ar_coordinator.store.leases import Leases
from ar_coordinator.store.problems import Problems
from ar_coordinator.store.verifiers import Verifiers


@dataclass(frozen=True, slots=True)
class Store:
    """Everything in Redis, by kind."""

    connection: Connection
    audits: Audits
    batches: Batches
    blobs: Blobs
    experiments: Experiments
    identities: Identities
    leases: Leases
    problems: Problems
    verifiers: Verifiers

    def draining(self) -> bool:
        """Tell whether no further work is started."""
        return bool(self.connection.text.hget(keys.META, "draining") == "1")

    def set_draining(self, draining: bool) -> None:
        """Start no further work, or go on."""
        self.connection.text.hset(keys.META, "draining", "1" if draining else "0")


def open_store(url: str, blobs: Path) -> Store:
    """Return the store at ``url``, with the folder for blobs too large for Redis."""
    connection = connect(url)
    return Store(
        connection,
        Audits(connection),
        Batches(connection),
        Blobs(connection, blobs),
        Experiments(connection),
        Identities(connection),
        Leases(connection),
        Problems(connection),
        Verifiers(connection),
    )
