"""``ar-worker doctor``: whether this machine can run strangers' code safely."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@json_option
def doctor(output: Output) -> int:
    """Try from inside a room what a room should refuse; exit 7 when this machine cannot sandbox."""
    from ar_core.errors import Exit, PoolError
    from ar_sandbox.probe import Grade
    from ar_sandbox.rooms import Sandbox

    try:
        report = Sandbox.detect().probe()
    except PoolError as error:
        grade, rows = Grade.NONE, [("sandbox", False, error.message, error.hint)]
    else:
        grade = report.grade
        rows = [(check.name, check.ok, check.detail, check.fix) for check in report.checks]
    good = grade is not Grade.NONE
    if output.as_json:
        checks = [{"check": name, "ok": ok, "detail": detail, "fix": fix} for name, ok, detail, fix in rows]
        output.document({"schema": "ar.doctor/1", "ok": good, "grade": grade.value, "checks": checks})
    else:
        table = [["ok" if ok else "NO", name, detail, fix] for name, ok, detail, fix in rows]
        output.table(["", "CHECK", "FOUND", "FIX"], [*table, ["ok" if good else "NO", "grade", grade.value, ""]])
    return int(Exit.DONE if good else Exit.NO_SANDBOX)
