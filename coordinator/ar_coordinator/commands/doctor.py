"""``ar-coordinator doctor``: whether this machine can run a pool safely."""

import shutil

import click

from ar_coordinator import output
from ar_coordinator.options import json_option
from ar_core.errors import Exit, PoolError


@click.command(short_help="Say whether this machine can run a pool safely.")
@json_option
def doctor(as_json: bool) -> int:
    """Run the sandbox's probe and look for what a pool needs; exit 9 when something is missing."""
    rows = [*_programs(), *_sandbox()]
    ok = all(good for _name, good, _detail, _fix in rows)
    if as_json:
        checks = [{"check": n, "ok": good, "detail": detail, "fix": fix} for n, good, detail, fix in rows]
        output.data({"schema": "ar.doctor/1", "ok": ok, "checks": checks})
    else:
        output.table(
            ["", "CHECK", "FOUND", "FIX"],
            [["ok" if good else "NO", name, detail, "" if good else fix] for name, good, detail, fix in rows],
        )
    return int(Exit.DONE if ok else Exit.ANSWER_NO)


def _programs() -> list[tuple[str, bool, str, str]]:
    from ar_coordinator.embedded_redis import find_server

    git = shutil.which("git")
    rows = [("git", git is not None, git or "not on PATH", "sudo apt-get install -y git")]
    try:
        rows.append(("redis", True, find_server().name, ""))
    except PoolError as error:
        rows.append(("redis", False, "none", error.hint))
    return rows


def _sandbox() -> list[tuple[str, bool, str, str]]:
    from ar_sandbox.grade import Grade
    from ar_sandbox.rooms import Sandbox

    try:
        report = Sandbox.detect().probe()
    except PoolError as error:
        return [("sandbox", False, error.message, error.hint)]
    checks = [(check.name, check.ok, check.detail, check.fix) for check in report.checks]
    enough = report.grade.reaches(Grade.B)
    return [*checks, ("grade", enough, f"{report.grade.value}: {report.reason}", "a verifier needs grade B")]
