"""What registration found, as values and as the JSON that is kept with a problem and shown on its page.

Not here: finding it (``registration``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found: which check, how bad, what, and what to do; an ``error`` refuses the problem."""

    check: str
    severity: Severity
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseReport:
    """How the baseline's score varied over ``n`` runs, in the metric's unit."""

    declared: str
    deterministic: bool
    sd: float
    mean: float
    """For times the median."""
    n: int
    secondary: Mapping[str, float] = field(default_factory=dict)
    """Means of the secondary metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The whole report; ``seconds`` is the median wall time of one evaluation of the baseline."""

    ok: bool
    kind: str
    baseline: float | None
    noise: NoiseReport | None
    seconds: float
    findings: tuple[Finding, ...]
    integrity: str = "high"
    """How far a number of this kind can be trusted: ``high`` or ``low``."""
    baseline_secondary: Mapping[str, float] = field(default_factory=dict)


def report_to_json(report: Registration) -> dict[str, object]:
    """Return the report as JSON values."""
    noise = report.noise
    return {
        "ok": report.ok,
        "kind": report.kind,
        "integrity": report.integrity,
        "baseline": report.baseline,
        "noise": None
        if noise is None
        else {
            "declared": noise.declared, "deterministic": noise.deterministic, "sd": noise.sd, "mean": noise.mean,
            "n": noise.n, "secondary": dict(noise.secondary),
        },
        "seconds": report.seconds,
        "findings": [
            {"check": f.check, "severity": f.severity, "message": f.message, "fix": f.fix} for f in report.findings
        ],
        "baseline_secondary": dict(report.baseline_secondary),
    }  # fmt: skip


def report_from_json(values: Mapping[str, object]) -> Registration:
    """Return the report that ``report_to_json`` wrote; raises ``KeyError`` or ``TypeError`` for anything else."""
    noise = cast("Mapping[str, object] | None", values["noise"])
    findings = cast("list[dict[str, str]]", values["findings"])
    return Registration(
        ok=bool(values["ok"]),
        kind=str(values["kind"]),
        integrity=str(values.get("integrity", "high")),
        baseline=cast("float | None", values["baseline"]),
        noise=None if noise is None else _noise(noise),
        seconds=cast(float, values["seconds"]),
        findings=tuple(
            Finding(check=f["check"], severity=cast(Severity, f["severity"]), message=f["message"], fix=f["fix"])
            for f in findings
        ),
        baseline_secondary=cast("dict[str, float]", values["baseline_secondary"]),
    )


def _noise(values: Mapping[str, object]) -> NoiseReport:
    return NoiseReport(
        declared=str(values["declared"]),
        deterministic=bool(values["deterministic"]),
        sd=cast(float, values["sd"]),
        mean=cast(float, values["mean"]),
        n=cast(int, values["n"]),
        secondary=cast("dict[str, float]", values["secondary"]),
    )
