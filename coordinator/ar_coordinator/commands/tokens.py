"""``ar-coordinator tokens``: make, list and revoke join tokens."""

from typing import TYPE_CHECKING, Any

import click

from ar_coordinator import output
from ar_coordinator.options import data_option, json_option

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory
    from ar_core.records import TokenRecord

_ROLES = ["worker", "publisher", "verifier", "operator"]


@click.group(short_help="Make, list and revoke join tokens.")
def tokens() -> None:
    """Make, list and revoke join tokens."""


@tokens.command()
@data_option
@click.option("--role", type=click.Choice(_ROLES), default="worker", show_default=True)
@click.option("--contributor", default="", metavar="NAME", help="For another machine of this contributor.")
@click.option("--uses", type=click.IntRange(1, 100_000), default=1, show_default=True)
@click.option("--expires", default="7d", show_default=True, metavar="DURATION", help="Like 12h or 7d.")
@json_option
def new(directory: "DataDirectory", role: str, contributor: str, uses: int, expires: str, as_json: bool) -> None:
    """Make a token; it is shown this once.

    \b
    Examples:
      ar-coordinator tokens new --role publisher
      ar-coordinator tokens new --uses 100 --expires 30d
    """
    from ar_coordinator.admin_session import admin_channel
    from ar_core.errors import PoolError
    from ar_core.quantities import parse_duration
    from ar_core.records import Role
    from ar_core.wire import role_to_wire, seconds_to_wire, token_from_wire
    from ar_proto.v1 import administration_pb2, administration_pb2_grpc

    try:
        seconds = parse_duration(expires)
    except ValueError as error:
        raise PoolError("AR-A101", f"--expires: {error}", hint="write it like 12h or 7d") from None
    request = administration_pb2.CreateTokenRequest(
        role=role_to_wire(Role(role)), contributor=contributor, uses=uses, lifetime=seconds_to_wire(seconds)
    )
    with admin_channel(directory) as pool:
        stub = administration_pb2_grpc.AdministrationServiceStub(pool.channel)
        response = pool.call(stub.CreateToken, request)
        address = pool.shown
    token = token_from_wire(response.description)
    if as_json:
        output.data({"schema": "ar.token/1", "token": response.token, **_document(token)})
        return
    output.line(response.token)
    command = {
        "worker": f"ar-worker join {address}",
        "verifier": f"ar-coordinator verify --coordinator {address}",
    }.get(role, f"ar-pool login {address}")
    until = token.expires.strftime("%Y-%m-%d %H:%M UTC")
    output.say(f"For a {role}, {uses} use(s), until {until}. There:\n  {command} --token {response.token}")


@tokens.command(name="list")
@data_option
@json_option
def list_tokens(directory: "DataDirectory", as_json: bool) -> None:
    """List the tokens, newest first; their secrets are not known any more."""
    from ar_coordinator.admin_session import admin_channel
    from ar_core.wire import token_from_wire
    from ar_proto.v1 import administration_pb2, administration_pb2_grpc

    with admin_channel(directory) as pool:
        stub = administration_pb2_grpc.AdministrationServiceStub(pool.channel)
        found = pool.call(stub.ListTokens, administration_pb2.ListTokensRequest()).tokens
    records = [token_from_wire(message) for message in found]
    if as_json:
        output.data({"schema": "ar.tokens/1", "tokens": [_document(token) for token in records]})
        return
    rows = [
        [t.id, t.role.value, f"{t.used}/{t.uses}", t.expires.strftime("%Y-%m-%d %H:%M"), t.contributor or "-",
         "revoked" if t.revoked else ""]
        for t in records
    ]  # fmt: skip
    output.table(["TOKEN", "ROLE", "USED", "EXPIRES (UTC)", "CONTRIBUTOR", ""], rows)


@tokens.command()
@data_option
@click.argument("token_id", metavar="TOKEN")
@json_option
def revoke(directory: "DataDirectory", token_id: str, as_json: bool) -> None:
    """Make a token worthless; identities that it became stay."""
    from ar_coordinator.admin_session import admin_channel
    from ar_core.wire import token_from_wire
    from ar_proto.v1 import administration_pb2, administration_pb2_grpc

    with admin_channel(directory) as pool:
        stub = administration_pb2_grpc.AdministrationServiceStub(pool.channel)
        message = pool.call(stub.RevokeToken, administration_pb2.RevokeTokenRequest(id=token_id)).token
    token = token_from_wire(message)
    if as_json:
        output.data({"schema": "ar.token/1", **_document(token)})
    else:
        output.say(f"{token.id} is revoked.")


def _document(token: "TokenRecord") -> dict[str, Any]:
    return {
        "id": token.id, "role": token.role.value, "contributor": token.contributor or None, "uses": token.uses,
        "used": token.used, "expires": token.expires.isoformat(), "revoked": token.revoked,
    }  # fmt: skip
