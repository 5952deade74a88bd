"""``ar-worker doctor``: whether this machine can run strangers' code safely."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@json_option
def doctor(output: Output) -> int:
    """Try from inside a room what a room should refuse; exit 7 when this machine cannot sandbox."""
    import os

    from ar_core.errors import Exit, PoolError
    from ar_sandbox.grade import VARIABLE, Grade, demanded
    from ar_sandbox.rooms import Sandbox

    least = demanded(os.environ)
    facts: dict[str, object] = {}
    try:
        report = Sandbox.detect().probe()
    except PoolError as error:
        grade, rows = Grade.NONE, [("sandbox", False, error.message, error.hint)]
        reason, better = error.detail, ""
    else:
        grade, reason, better = report.grade, report.reason, report.better
        rows = [(check.name, check.ok, check.detail, check.fix) for check in report.checks]
        facts = {"maker": report.maker, "memory_cap": report.memory_cap, "own_proc": report.own_proc}
    good = grade.reaches(least)
    if output.as_json:
        checks = [{"check": name, "ok": ok, "detail": detail, "fix": fix} for name, ok, detail, fix in rows]
        output.document(
            {
                "schema": "ar.doctor/1", "ok": good, "grade": grade.value, "least": least.value, "reason": reason,
                "better": better, **facts, "checks": checks,
            }
        )  # fmt: skip
    else:
        table = [["ok" if ok else "NO", name, detail, fix] for name, ok, detail, fix in rows]
        table.append(["ok" if good else "NO", "grade", grade.value, "" if good else better])
        output.table(["", "CHECK", "FOUND", "FIX"], table)
        output.say(f"Grade {grade.value}: {reason}.")
        if not good and better:
            output.say(f"You demand grade {least.value} of this machine ({VARIABLE}).")
        elif better:
            output.say(f"Better: {better}.")
    return int(Exit.DONE if good else Exit.NO_SANDBOX)
