"""``ar-worker join``: a token becomes this machine's identity, and the machine begins to work."""

import click

from ar_client.options import json_option
from ar_client.output import Output
from ar_worker.options import run_options


@click.command()
@click.argument("address", metavar="HOST:PORT")
@click.option("--token", required=True, help="The join token, as the pool's operator gave it.")
@click.option("--name", default="", help="Your public name in commits and pages (default: two random words).")
@run_options
@click.option("--no-start", is_flag=True, help="Enrol only; `ar-worker start` begins.")
@click.option("--dry-run", is_flag=True, help="Join nothing; show what would run, and under which limits.")
@json_option
def join(
    address: str, token: str, name: str, no_start: bool, dry_run: bool, output: Output, **options: object
) -> int:
    """Enrol this machine in a pool and start working; again, it only starts.

    \b
    Examples:
      ar-worker join pool.example.org:7443 --token ARJ1-… --name ada
      ar-worker join pool.example.org:7443 --token ARJ1-… --cpus 2 --memory 4GiB --for 2h
      ar-worker join pool.example.org:7443 --token ARJ1-… --dry-run
    """
    from ar_client.address import parse_address
    from ar_client.membership import membership_document, say_membership
    from ar_core.tokens import parse_token
    from ar_worker.donation import read_donation
    from ar_worker.enrolment import enrol
    from ar_worker.place import find_place
    from ar_worker.starting import find_sandbox, plan_document, say_plan, work

    donation = read_donation(**options)  # type: ignore[arg-type]
    where, parsed = parse_address(address), parse_token(token)
    sandbox, grade = find_sandbox()
    if dry_run:
        if output.as_json:
            output.document(plan_document(donation, str(where), "", grade))
        else:
            say_plan(output, donation, str(where), "", grade)
        return 0
    place = find_place()
    with place.alone():
        login = enrol(place, where, parsed, name=name)
        if not no_start:
            return work(place, login, donation, output, (sandbox, grade))
    if output.as_json:
        output.document(membership_document(login))
    else:
        say_membership(output, login)
        output.say("Next: ar-worker start")
    return 0
