"""``ar-pool check``: everything the registration would say, on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ar_client.findings import say_findings
from ar_client.options import json_option
from ar_client.output import Output
from ar_core.documents import findings_document
from ar_core.records import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ar_sandbox.registration import Registration

CHECK_SCHEMA = "ar.check/1"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--runs", type=click.IntRange(2, 100), default=5, show_default=True, help="How often the baseline is scored."
)
@json_option
def check(folder: Path, runs: int, output: Output) -> int:
    """Say what the registration would say, without a pool.

    Scores the baseline in fresh rooms and tries canned attacks. Ends with 9 when the pool would refuse it.

    \b
    Examples:
      ar-pool check my-problem
      ar-pool check my-problem --runs 20 --json
    """
    from ar_client.manifest_check import check_folder

    checked = check_folder(folder)
    # What is broken is told even where nothing can be run.
    if checked.findings:
        document: dict[str, object] = {
            "ok": False, "kind": None, "integrity": None, "baseline": None, "noise": None, "seconds": None
        }  # fmt: skip
        return _answer(checked.name, document, checked.findings, output)
    registration = _measured(checked.files, runs, output)
    found = tuple(
        Finding(check=f.check, severity=f.severity, message=f.message, fix=f.fix) for f in registration.findings
    )
    return _answer(checked.name, _document(registration), found, output)


def _measured(files: "Mapping[str, bytes]", runs: int, output: Output) -> "Registration":
    import secrets
    import time

    from ar_sandbox.registration import register
    from ar_sandbox.rooms import RunSeeds, Sandbox

    def seeds(_number: int) -> RunSeeds:
        return RunSeeds(run=secrets.randbits(62), scorer=secrets.randbits(62))

    return register(
        files,
        sandbox=Sandbox.detect(),
        runs=runs,
        seeds=seeds,
        clock=time.monotonic,
        on_progress=output.passing,
    )


def _document(registration: "Registration") -> dict[str, object]:
    """Return what was measured; ``noise`` is what the manifest declares, the rest of it what was seen."""
    noise = registration.noise
    return {
        "ok": registration.ok,
        "kind": registration.kind,
        "integrity": registration.integrity,
        "baseline": registration.baseline,
        "noise": noise.declared if noise else None,
        "deterministic": noise.deterministic if noise else None,
        "sd": noise.sd if noise else None,
        "runs": noise.n if noise else 0,
        "seconds": registration.seconds,
    }


def _answer(name: str, document: dict[str, object], findings: tuple[Finding, ...], output: Output) -> int:
    if output.as_json:
        whole = {"schema": CHECK_SCHEMA, "problem": name, **document, "findings": findings_document(findings)}
        output.document(whole)
    else:
        say_findings(output, findings)
        output.fields(_lines(document))
        if document["ok"]:
            output.say(f"{name} can be published: ar-pool publish DIR", colour="green")
        else:
            output.say(f"{name} would be refused. Correct the errors, then run this again.", colour="red")
    return 0 if document["ok"] else 9


def _lines(document: dict[str, object]) -> list[tuple[str, str]]:
    if document["baseline"] is None:
        return []
    spread = f"standard deviation {document['sd']:.4g}"
    seen = "every run scored the same" if document["deterministic"] else spread
    return [
        ("kind", f"{document['kind']}, integrity {document['integrity']}"),
        ("baseline", f"{document['baseline']:.10g}"),
        ("noise", f"{document['noise']} declared; {seen} in {document['runs']} runs"),
        ("evaluation", f"{document['seconds']:.3g} s"),
    ]
