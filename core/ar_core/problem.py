"""A problem as its manifest describes it: every key of ``problem.toml``, as values with units.

Not here: reading TOML (``manifest``) and running anything.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ar_core.metric import Direction, MinGain
from ar_core.paths import within

MANIFEST_NAME = "problem.toml"
MAX_MUTABLE_BYTES = 256 * 1024


LOW_INTEGRITY = "the candidate prints its own score, so a number can be forged"


class Kind(StrEnum):
    """Which rooms an evaluation has."""

    DATA = "data"
    ARTIFACT = "artifact"
    SERVICE = "service"
    INPROCESS = "inprocess"

    @property
    def integrity(self) -> str:
        """How far a number of this kind can be trusted: ``high`` or ``low``."""
        return "low" if self is Kind.INPROCESS else "high"

    @property
    def caveat(self) -> str:
        """What everybody who sees a number of this kind should know; empty where there is nothing."""
        return LOW_INTEGRITY if self.integrity == "low" else ""


class Noise(StrEnum):
    """Why two runs of the same file may score differently."""

    NONE = "none"
    SEED = "seed"
    TIMING = "timing"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestKnown:
    """The best value known elsewhere, with where it is from."""

    value: float
    source: str = ""
    date: str = ""
    decimals: int = 0
    """Printed decimals of ``value`` in the manifest: its last one bounds what counts as beating it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The borders: paths relative to the problem's folder."""

    program: str
    mutable: str
    locked: tuple[str, ...] = ()
    """Entries as written; empty means everything else."""
    hidden: tuple[str, ...] = ()
    max_bytes: int = MAX_MUTABLE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The one number."""

    name: str
    direction: Direction
    unit: str = ""
    low: float | None = None
    high: float | None = None
    decimals: int = 6
    best_known: BestKnown | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How a candidate is run and scored; times in seconds of wall clock."""

    kind: Kind
    score: tuple[str, ...]
    time_budget: float
    score_timeout: float
    run: tuple[str, ...] = ()

    @property
    def seconds_at_most(self) -> float:
        """The longest one evaluation may take, in seconds."""
        if self.kind in {Kind.DATA, Kind.INPROCESS}:
            return min(self.time_budget, self.score_timeout)
        return self.time_budget + self.score_timeout


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What is asked of a machine; memory and disk in bytes."""

    cpus: int = 1
    memory: int = 1024**3
    disk: int = 64 * 1024**2
    processes: int = 64
    gpus: int = 0
    limit_address_space: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What must be there besides the problem's own files."""

    python: str = ">=3.11"
    requirements: str = ""
    system: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A secondary metric that may not get worse by more than ``max_regression`` (a fraction)."""

    metric: str
    max_regression: float
    direction: Direction = Direction.MINIMIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """When an improvement counts; see ``acceptance``."""

    noise: Noise = Noise.NONE
    min_gain: MinGain = field(default_factory=MinGain)
    window: tuple[float, float] | None = None
    max_pairs: int = 200
    guards: tuple[Guard, ...] = ()
    max_plausible_gain: MinGain | None = None
    simpler: bool = False
    """Whether a shorter file that is as good replaces the best."""
    strict: bool = False
    """Whether the whole log shares one budget of false accepts, instead of each candidate having its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Hints for whoever proposes; ``lease`` in seconds."""

    policy: str = "champion"
    tune: tuple[str, ...] = ()
    lease: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One manifest, read and checked."""

    name: str
    title: str
    files: Files
    metric: Metric
    evaluation: Evaluation
    summary: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    environment: Environment = field(default_factory=Environment)
    acceptance: Acceptance = field(default_factory=Acceptance)
    search: Search = field(default_factory=Search)

    @property
    def plausible_gain(self) -> MinGain | None:
        """The largest gain that is accepted without a person; ``None`` for any.

        Where a number can be forged and nothing else is said, no gain is.
        """
        said = self.acceptance.max_plausible_gain
        return MinGain() if said is None and self.evaluation.kind is Kind.INPROCESS else said

    def is_hidden(self, path: str) -> bool:
        """Tell whether the file at ``path`` stays with the coordinator."""
        return any(within(path, entry) for entry in self.files.hidden)

    def is_locked(self, path: str) -> bool:
        """Tell whether the file at ``path`` is shipped read-only and pinned."""
        if path == self.files.mutable or self.is_hidden(path):
            return False
        if path in {MANIFEST_NAME, self.files.program, self.environment.requirements} or not self.files.locked:
            return True
        return any(within(path, entry) for entry in self.files.locked)

    def public_files(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the files that anybody may see: all but the hidden ones."""
        return {path: data for path, data in files.items() if not self.is_hidden(path)}

    def locked_files(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the files that are shipped read-only to every room."""
        return {path: data for path, data in files.items() if self.is_locked(path)}

    def hidden_files(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the files that only a verification sees."""
        return {path: data for path, data in files.items() if self.is_hidden(path)}


def digest_files(files: Mapping[str, bytes]) -> str:
    """Return one SHA-256 over names and contents of ``files``, whatever their order."""
    whole = hashlib.sha256()
    for path in sorted(files):
        name = path.encode()
        whole.update(len(name).to_bytes(8, "big") + name)
        whole.update(hashlib.sha256(files[path]).digest())
    return whole.hexdigest()
