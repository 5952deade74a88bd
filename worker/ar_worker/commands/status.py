"""``ar-worker status``: what this machine does now and has done."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@json_option
def status(output: Output) -> int:
    """Show what this machine does now, what it did today, and in all."""
    from datetime import UTC, datetime

    from ar_client.wording import duration
    from ar_core.errors import PoolError
    from ar_worker.account import Account
    from ar_worker.consents import Asked, Consents, asked_document, how_to_accept
    from ar_worker.place import find_place, not_joined
    from ar_worker.sentences import wait_sentence

    place = find_place()
    try:
        login = place.home.login()
    except PoolError as error:
        raise not_joined(error) from None
    asked = Consents.load(place.consents(login.digest)).asked
    account = Account.load(place.folder / "account.json")
    running = place.running()
    state = str(account.now.get("state", "starting")) if running is not None else "stopped"
    reason = wait_sentence(account.now.get("reasons")) if state == "waiting" else ""
    today, total = account.of_day(datetime.now(UTC).date()), account.in_all()
    if output.as_json:
        output.document(
            {
                "schema": "ar.worker/1", "state": state, "reason": reason or None, "pool": login.pool,
                "address": str(login.address), "name": login.contributor, "machine": login.machine,
                "slots": account.now.get("slots", 0) if running is not None else 0, "pid": running,
                "today": today, "total": total, "grade": account.now.get("grade"),
                "asked": asked_document(asked),
            }
        )  # fmt: skip
        return 0

    def counts(of: dict[str, float]) -> str:
        words = f"{of['experiments']:g} experiments, {of['claims']:g} claims, {of['accepted']:g} accepted"
        return f"{words}, {duration(of['seconds'])}"

    def question(problem: str, one: Asked) -> str:
        agree = how_to_accept(problem, one.revision)
        return f"{problem}, revision {one.revision}: {one.why}. To agree: {agree}"

    output.fields(
        [
            ("state", f"{state}: {reason}" if reason else state),
            ("pool", f"{login.pool} at {login.address}"),
            ("name", f"{login.contributor}, this machine is {login.machine}"),
            ("today", counts(today)),
            ("total", counts(total)),
            *(("asks", question(problem, one)) for problem, one in sorted(asked.items())),
        ]
    )
    return 0
