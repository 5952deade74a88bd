"""What this machine's owner agreed to, problem by problem: the file beside the identity.

Not here: what counts as asking for more (``consent``). Whoever donates agrees to a problem as it is when it first
comes, within the limits given; to a revision that asks for more only by saying so.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ar_client.identity import write_private
from ar_core.errors import PoolError
from ar_worker.consent import Asks, more
from ar_worker.material import UnusableTaskError
from ar_worker.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """One revision of a problem as it was agreed to; ``bundle`` is the SHA-256 that pins its files."""

    revision: int
    bundle: str
    asks: Asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A revision that waits for its owner's word, and why."""

    revision: int
    why: str


@dataclass(slots=True, kw_only=True)
class Consents:
    """The file, in memory; written at each change."""

    path: Path
    agreed: dict[str, Agreed] = field(default_factory=dict)
    asked: dict[str, Asked] = field(default_factory=dict)
    said_yes: dict[str, int] = field(default_factory=dict)
    """Revisions that the owner accepted by name and that did not come since."""

    @classmethod
    def load(cls, path: Path) -> "Consents":
        """Read the file; raises ``PoolError`` AR-A106 for a damaged one: that must not mean a yes to everything."""
        found = cls(path=path)
        try:
            values = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return found
        except (OSError, ValueError):
            raise _damaged(path) from None
        try:
            for name, one in values["agreed"].items():
                asks = Asks.from_document(one["asks"])
                found.agreed[name] = Agreed(revision=int(one["revision"]), bundle=str(one["bundle"]), asks=asks)
            for name, one in values["asked"].items():
                found.asked[name] = Asked(revision=int(one["revision"]), why=str(one["why"]))
            found.said_yes = {name: int(revision) for name, revision in values["said_yes"].items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _damaged(path) from None
        return found

    @property
    def declined(self) -> tuple[tuple[str, int], ...]:
        """The revisions that are not agreed to, by problem."""
        return tuple((name, one.revision) for name, one in sorted(self.asked.items()))

    def accept(self, revisions: Iterable[tuple[str, int]]) -> None:
        """Take in what the owner says yes to; raises ``PoolError`` AR-A106 where that cannot be kept."""
        for name, revision in revisions:
            self.said_yes[name] = revision
            if name in self.asked and self.asked[name].revision == revision:
                del self.asked[name]
        try:
            self._save()
        except OSError as error:
            raise PoolError("AR-A106", f"{self.path}: {error.strerror}") from None

    def refusal(self, task: Task, asks: Asks) -> str:
        """Return why the owner has to be asked before a task is worked on, empty where it may be.

        What may be worked on is what is agreed to from then on. Raises ``UnusableTaskError`` where that cannot be
        written down.
        """
        name, before = task.problem, self.agreed.get(task.problem)
        why = "" if before is None else _reason(before, task, asks)
        if self.said_yes.get(name) == task.revision:
            why = ""
        if why:
            self.asked[name] = Asked(revision=task.revision, why=why)
        else:
            now = Agreed(revision=task.revision, bundle=task.bundle, asks=asks)
            if before == now and name not in self.asked:
                return ""
            self.agreed[name] = now
            self.asked.pop(name, None)
            self.said_yes.pop(name, None)
        try:
            self._save()
        except OSError as error:
            raise UnusableTaskError(f"what was agreed to cannot be written down: {error.strerror}") from None
        return why

    def _save(self) -> None:
        document = {
            "schema": "ar.consents/1",
            "agreed": {
                name: {"revision": one.revision, "bundle": one.bundle, "asks": one.asks.document()}
                for name, one in self.agreed.items()
            },
            "asked": {name: {"revision": one.revision, "why": one.why} for name, one in self.asked.items()},
            "said_yes": self.said_yes,
        }
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.path, json.dumps(document, indent=1) + "\n")


def how_to_accept(problem: str, revision: int) -> str:
    """Return the command by which the owner agrees."""
    return f"ar-worker start --accept {problem}@{revision}"


def asked_document(asked: Mapping[str, Asked]) -> list[dict[str, object]]:
    """Return what waits for the owner as ``ar-worker status --json`` has it."""
    return [
        {"problem": name, "revision": one.revision, "why": one.why, "accept": how_to_accept(name, one.revision)}
        for name, one in sorted(asked.items())
    ]


def _reason(before: Agreed, task: Task, asks: Asks) -> str:
    if task.revision == before.revision and task.bundle != before.bundle:
        return "other files than those that were agreed to, under the same revision"
    return "; ".join(more(before.asks, asks))


def _damaged(path: Path) -> PoolError:
    return PoolError("AR-A106", f"{path} cannot be read", hint="remove it to agree anew to what comes")
