"""What ``join`` and ``start`` have in common: the sandbox, the introduction, and the run itself.

Not here: enrolling (``commands.join``).
"""

import os
from datetime import UTC, datetime

from ar_client.identity import Login
from ar_client.output import Output
from ar_core.errors import PoolError
from ar_core.quantities import format_size
from ar_core.signing import KeyFormatError, private_key_from_text
from ar_sandbox.grade import demanded, refuse_below
from ar_sandbox.rooms import Sandbox
from ar_worker.donation import Donation
from ar_worker.loop import Setting, run_worker
from ar_worker.place import Place
from ar_worker.voice import Voice


def find_sandbox() -> tuple[Sandbox, str]:
    """Return this machine's sandbox with its grade; raises ``PoolError`` AR-S500 where it is not good enough."""
    sandbox = Sandbox.detect()
    report = sandbox.probe()
    refuse_below(demanded(os.environ), report.grade, report.reason)
    return sandbox, report.grade.value


def work(
    place: Place, login: Login, donation: Donation, output: Output, found: tuple[Sandbox, str] | None = None
) -> int:
    """Introduce the machine and work; the caller is alone in ``place``. Returns the exit code.

    ``found`` is the sandbox if the caller has looked for it already: looking takes most of a second.
    """
    try:
        key = private_key_from_text(place.home.key_text(login.digest) or "")
    except KeyFormatError:
        raise PoolError(
            "AR-A106", f"the key below {place.folder} is missing or damaged", hint="join again with a new token"
        ) from None
    sandbox, grade = found or find_sandbox()
    _introduce(login, donation, grade, output)
    setting = Setting(
        login=login, key=key, place=place, donation=donation, sandbox=sandbox, grade=grade, output=output
    )
    return run_worker(setting)


def _introduce(login: Login, donation: Donation, grade: str, output: Output) -> None:
    """Say which pool, who, what is given, and how well it is kept apart."""
    if output.as_json:
        fields = {
            "pool": login.pool, "address": str(login.address), "fingerprint": login.digest,
            "name": login.contributor, "machine": login.machine, "grade": grade, **donation.document(),
        }  # fmt: skip
        Voice(output).event("joined", fields, datetime.now(UTC))
        return
    output.say(f"pool      {login.pool} at {login.address}, certificate SHA-256 {login.digest} (pinned)")
    output.say(f"identity  {login.contributor}, this machine is {login.machine}")
    output.say(f"donates   {donation.sentence()}")
    output.say(f"sandbox   grade {grade}; strangers' code runs in rooms without network, files or keys")
    output.say("Ctrl-C gives the machine back.")


def plan_document(donation: Donation, address: str, pool: str, grade: str) -> dict[str, object]:
    """Return what ``--dry-run --json`` prints."""
    caps = donation.caps
    return {
        "schema": "ar.plan/1", "address": address, "pool": pool or None, "grade": grade, **donation.document(),
        "limits": {"cpus": caps.cpus, "memory": caps.memory, "network": False},
    }  # fmt: skip


def say_plan(output: Output, donation: Donation, address: str, pool: str, grade: str) -> None:
    """Print what would run, whose it is, and under which limits."""
    caps = donation.caps
    output.fields(
        [
            ("pool", f"{pool} at {address}" if pool else address),
            ("donates", donation.sentence()),
            ("agent", f"{donation.agent}, part of this program: it changes one file and sends nothing elsewhere"),
            ("runs", "the pool's scorers, and the candidates this machine proposes or is sent"),
            (
                "limits",
                f"each room: {caps.cpus} cores, {format_size(caps.memory or 0)}, the problem's time; no network",
            ),
            ("sandbox", f"grade {grade}"),
        ]
    )
    output.say("Nothing was joined and nothing ran.")
