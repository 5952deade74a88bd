"""``ar-worker start``: work for the pool that this machine has joined."""

import click

from ar_client.options import json_option
from ar_client.output import Output
from ar_worker.options import run_options


@click.command()
@run_options
@click.option("--dry-run", is_flag=True, help="Only show what would run, and under which limits.")
@json_option
def start(dry_run: bool, output: Output, **options: object) -> int:
    """Work for the pool that this machine has joined, until Ctrl-C.

    \b
    Examples:
      ar-worker start
      ar-worker start --problems zlib-dictionary --slots 1 --for 30m
    """
    from ar_core.errors import PoolError
    from ar_worker.donation import read_donation
    from ar_worker.place import find_place, not_joined
    from ar_worker.starting import find_sandbox, plan_document, say_plan, work

    donation = read_donation(**options)  # type: ignore[arg-type]
    place = find_place()
    try:
        login = place.home.login()
    except PoolError as error:
        raise not_joined(error) from None
    if dry_run:
        _, grade = find_sandbox()
        if output.as_json:
            output.document(plan_document(donation, str(login.address), login.pool, grade))
        else:
            say_plan(output, donation, str(login.address), login.pool, grade)
        return 0
    with place.alone():
        return work(place, login, donation, output)
