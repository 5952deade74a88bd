"""``ar-coordinator workers``: who joined, and who may not any more."""

from typing import TYPE_CHECKING, Any

import click

from ar_coordinator import output
from ar_coordinator.options import data_option, json_option

if TYPE_CHECKING:
    from ar_coordinator.data_directory import DataDirectory


@click.group(short_help="List, ban and unban machines and people.")
def workers() -> None:
    """List, ban and unban machines and people."""


@workers.command(name="list")
@data_option
@json_option
def list_workers(directory: "DataDirectory", as_json: bool) -> None:
    """List who joined, newest first."""
    from ar_coordinator.admin_session import admin_channel
    from ar_proto.v1 import administration_pb2, administration_pb2_grpc

    with admin_channel(directory) as pool:
        stub = administration_pb2_grpc.AdministrationServiceStub(pool.channel)
        found = pool.call(stub.ListIdentities, administration_pb2.ListIdentitiesRequest()).identities
    documents = [_document(status) for status in found]
    if as_json:
        output.data({"schema": "ar.workers/1", "workers": documents})
        return
    rows = [
        [*(str(d[key] or "") for key in ("machine", "contributor", "role", "grade")), _claims(d),
         *(str(d[key] or "") for key in ("joined", "banned"))]
        for d in documents
    ]  # fmt: skip
    output.table(["MACHINE", "CONTRIBUTOR", "ROLE", "GRADE", "CLAIMS", "JOINED (UTC)", "BANNED"], rows)


@workers.command()
@data_option
@click.argument("machine")
@click.option("--reason", default="", help="Why; the banned one is told.")
@json_option
def ban(directory: "DataDirectory", machine: str, reason: str, as_json: bool) -> None:
    """Refuse everything from a machine (m-…) or identity (i-…) from now on."""
    document = _set(directory, machine, banned=True, reason=reason)
    if as_json:
        output.data(document)
    else:
        output.say(f"{machine} is banned.")


@workers.command()
@data_option
@click.argument("machine")
@json_option
def unban(directory: "DataDirectory", machine: str, as_json: bool) -> None:
    """Lift a ban."""
    document = _set(directory, machine, banned=False, reason="")
    if as_json:
        output.data(document)
    else:
        output.say(f"{machine} is welcome again.")


def _set(directory: "DataDirectory", machine: str, *, banned: bool, reason: str) -> dict[str, Any]:
    from ar_coordinator.admin_session import admin_channel
    from ar_proto.v1 import administration_pb2, administration_pb2_grpc

    request = administration_pb2.SetBanRequest(identity=machine, banned=banned, reason=reason)
    with admin_channel(directory) as pool:
        stub = administration_pb2_grpc.AdministrationServiceStub(pool.channel)
        return {"schema": "ar.worker/1", **_document(pool.call(stub.SetBan, request).identity)}


def _claims(document: dict[str, Any]) -> str:
    """Say what a machine's claims came to, and whether it has to wait for that."""
    words = f"{document['claims_held']} held" if document["claims_held"] else ""
    if document["claims_failed"]:
        words += f"{', ' if words else ''}the last {document['claims_failed']} did not"
    if document["cool_until"]:
        words += f"; cools down until {document['cool_until'][11:19]}"
    return words


def _document(status: Any) -> dict[str, Any]:
    from ar_core.wire import identity_from_wire, time_from_wire

    identity = identity_from_wire(status.identity)
    return {
        "id": identity.id, "machine": identity.machine, "contributor": identity.contributor,
        "role": identity.role.value, "joined": identity.joined.isoformat(timespec="seconds"),
        "banned": (status.reason or "yes") if status.banned else None, "grade": status.sandbox_grade or None,
        "claims_held": status.claims_held, "claims_failed": status.claims_failed,
        "cool_until": time_from_wire(status.cool_until).isoformat(timespec="seconds")
        if status.HasField("cool_until")
        else None,
    }  # fmt: skip
