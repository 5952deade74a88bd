"""What a problem asks of a machine, and whether a revision of it asks for more than its owner agreed to.

Not here: where that is remembered (``consents``). Pure. The owner's own limits hold whatever a problem asks for.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ar_core.problem import Kind, Problem
from ar_core.quantities import format_duration, format_size
from ar_sandbox.requirements import RequirementsError, parse_requirements

_POWER = {Kind.DATA: 0, Kind.ARTIFACT: 1, Kind.SERVICE: 1, Kind.INPROCESS: 2}
"""What strangers may do in a room of each kind: have a file read, have it run, have it run beside its scorer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asks:
    """Everything that a problem asks of a machine; sizes in bytes, time in seconds."""

    kind: str
    cpus: int
    memory: int
    disk: int
    processes: int
    gpus: int
    seconds: float
    any_address_space: bool = False
    programs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """Each with its version."""

    def document(self) -> dict[str, Any]:
        """Return it for a file."""
        return asdict(self)

    @classmethod
    def from_document(cls, values: Mapping[str, Any]) -> "Asks":
        """Read what ``document`` wrote; raises ``TypeError`` or ``KeyError`` otherwise."""
        known: dict[str, Any] = {field.name: values[field.name] for field in fields(cls)}
        known |= {name: tuple(known[name]) for name in ("programs", "packages")}
        return cls(**known)


def asks_of(problem: Problem, files: Mapping[str, bytes]) -> Asks:
    """Return what a problem with these files asks for."""
    resources, evaluation = problem.resources, problem.evaluation
    return Asks(
        kind=evaluation.kind.value, cpus=resources.cpus, memory=resources.memory, disk=resources.disk,
        processes=resources.processes, gpus=resources.gpus, seconds=evaluation.seconds_at_most,
        any_address_space=not resources.limit_address_space, programs=tuple(sorted(problem.environment.system)),
        packages=_packages(files.get(problem.environment.requirements, b"")),
    )  # fmt: skip


def _packages(data: bytes) -> tuple[str, ...]:
    try:
        return tuple(sorted({one.pin for one in parse_requirements(data).packages})) if data else ()
    except RequirementsError:
        # Nothing can be installed from it, and it is not what was agreed to.
        return ("packages that cannot be read",)


_AMOUNTS = {
    "cpus": "processor cores", "memory": "memory", "disk": "disk", "processes": "processes",
    "gpus": "graphics processors", "seconds": "time for one evaluation",
}  # fmt: skip


def more(before: Asks, after: Asks) -> list[str]:
    """Return what ``after`` asks for beyond ``before``, in words; nothing where it asks for no more."""
    found = [
        f"{what} {_shown(name, now)} instead of {_shown(name, then)}"
        for name, what in _AMOUNTS.items()
        if (now := getattr(after, name)) > (then := getattr(before, name))
    ]
    if after.kind != before.kind and _POWER[Kind(after.kind)] >= _POWER[Kind(before.kind)]:
        found.insert(0, f"rooms of the kind {after.kind} instead of {before.kind}")
    if after.any_address_space and not before.any_address_space:
        found.append("no limit of address space")
    found += [f"the program {name}" for name in after.programs if name not in before.programs]
    found += [f"the package {name}" for name in after.packages if name not in before.packages]
    return found


def _shown(name: str, amount: float) -> str:
    if name in {"memory", "disk"}:
        return format_size(int(amount))
    return format_duration(amount) if name == "seconds" else f"{amount:g}"
