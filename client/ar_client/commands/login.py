"""``ar-pool login``: a token becomes an identity of this machine."""

import click

from ar_client.options import json_option
from ar_client.output import Output


@click.command()
@click.argument("address")
@click.option("--token", required=True, help="The join token, as the pool's operator gave it.")
@click.option("--name", default="", help="Your public name in commits and pages (default: two random words).")
@click.option("--contributor", is_flag=True, help="Sign in with a worker's token, to propose by hand only.")
@json_option
def login(address: str, token: str, name: str, contributor: bool, output: Output) -> int:
    """Sign in to a pool with a token.

    \b
    Examples:
      ar-pool login pool.example.org:7443 --token ARJ1-… --name ada
      ar-pool login 127.0.0.1:7443 --token ARJ1-… --contributor
    """
    from ar_client.address import parse_address
    from ar_client.identity import Home, home_directory
    from ar_client.membership import membership_document, say_membership
    from ar_client.signing_in import sign_in
    from ar_core.records import Role
    from ar_core.tokens import parse_token

    signed_in = sign_in(
        Home(home_directory()),
        parse_address(address),
        parse_token(token),
        name=name,
        role=Role.WORKER if contributor else Role.PUBLISHER,
    )
    if output.as_json:
        output.document(membership_document(signed_in))
        return 0
    say_membership(output, signed_in)
    can_publish = signed_in.role in {Role.PUBLISHER, Role.OPERATOR}
    following = "ar-pool init DIR, then ar-pool publish DIR" if can_publish else "ar-pool problems"
    output.say(f"Next: {following}")
    return 0
