"""Telling a person what a problem's registration found.

Not here: finding it (``ar_sandbox.registration``).
"""

from collections.abc import Sequence

from ar_client.output import Output
from ar_core.records import Finding
from ar_core.text import one_line


def say_findings(output: Output, findings: Sequence[Finding]) -> None:
    """Tell what a registration found, the worst first, each with its fix."""
    colours = {"error": "red", "warning": "yellow"}
    order = {"error": 0, "warning": 1}
    for finding in sorted(findings, key=lambda f: order.get(f.severity, 2)):
        output.say(
            f"{finding.severity}: {one_line(finding.check)}: {one_line(finding.message, limit=1000)}",
            colour=colours.get(finding.severity, ""),
        )
        if finding.fix:
            output.say(f"  fix: {one_line(finding.fix, limit=1000)}")
