"""``ar-worker whoami``: this machine's identity at its pool."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@json_option
def whoami(output: Output) -> int:
    """Show which pool this machine has joined, and as whom."""
    from dataclasses import replace

    from ar_client.membership import membership_document, say_membership
    from ar_client.pool import open_pool
    from ar_core.errors import PoolError
    from ar_worker.place import find_place, not_joined

    home = find_place().home
    try:
        login = home.login()
        with open_pool(home) as pool:
            now = pool.whoami()
    except PoolError as error:
        raise not_joined(error) from None
    login = replace(
        login, pool=now.pool, web=now.web, identity=now.identity.id, role=now.identity.role,
        contributor=now.identity.contributor, machine=now.identity.machine,
    )  # fmt: skip
    if output.as_json:
        output.document(membership_document(login))
    else:
        say_membership(output, login)
    return 0
