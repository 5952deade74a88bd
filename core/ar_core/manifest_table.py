"""One table of a manifest while it is read: takes keys by type, and collects what does not fit.

Not here: which keys there are (``manifest``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ar_core.text import one_line

_MISSING = object()
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFinding:
    """One thing wrong with a manifest or its files: where, what, and what was expected."""

    where: str
    message: str
    fix: str


@dataclass
class Table:
    """One TOML table being read: takes keys by type and collects what does not fit."""

    values: Mapping[str, object]
    where: str
    findings: list[ManifestFinding]
    known: set[str] = field(default_factory=set)

    def fail(self, key: str, message: str, fix: str) -> None:
        """Add a finding about ``key``, or about the table where that is empty."""
        key = one_line(key)
        where = f"{self.where}.{key}" if self.where and key else self.where or key
        self.findings.append(ManifestFinding(where=where, message=message, fix=fix))

    def take(self, key: str, read: Callable[[object], T], default: T, *, required: bool = False) -> T:
        """Return the value of ``key`` as ``read`` gives it, else ``default`` and a finding."""
        self.known.add(key)
        value = self.values.get(key, _MISSING)
        if value is _MISSING:
            if required:
                self.fail(key, "is missing", f"add `{key} = …`")
            return default
        try:
            return read(value)
        except (ValueError, TypeError) as error:
            self.fail(key, one_line(str(error)), "correct the value")
            return default

    def table(self, key: str) -> "Table":
        """Return the sub-table ``key``, empty when absent."""
        self.known.add(key)
        where = f"{self.where}.{key}" if self.where else key
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            self.fail(key, "is not a table", f"write `[{where}]` and its keys below")
            value = {}
        return Table(value, where, self.findings)

    def close(self) -> None:
        """Report every key that nobody asked for."""
        for key in self.values:
            if key not in self.known:
                near = ", ".join(sorted(self.known))
                self.fail(key, "is not a known key", f"remove it; known here: {near}")
