"""``ar-pool whoami``: the identity of this machine, as the pool sees it now."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@json_option
def whoami(output: Output) -> int:
    """Show which pool this machine is signed in to, and as whom."""
    from dataclasses import replace

    from ar_client.identity import Home, home_directory
    from ar_client.membership import membership_document, say_membership
    from ar_client.pool import open_pool

    home = Home(home_directory())
    login = home.login()
    with open_pool(home) as pool:
        now = pool.whoami()
    login = replace(
        login,
        pool=now.pool,
        web=now.web,
        identity=now.identity.id,
        role=now.identity.role,
        contributor=now.identity.contributor,
        machine=now.identity.machine,
    )
    if output.as_json:
        output.document(membership_document(login))
    else:
        say_membership(output, login)
    return 0
